"""`python -m secagg_bench.peers` is `secagg bench peers`."""

import typer

from .command import run_peers

typer.run(run_peers)
