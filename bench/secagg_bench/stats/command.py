"""The command `stats`: statistics through secure sums beside other packages on the pooled rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Annotated

import typer

from secagg.cli.output import AsJson, print_json

from ..overhead import machine
from ..privacy.command import measured, print_rows
from ..privacy.rows import Row
from .cost import cost
from .counts import counts
from .models import components_and_pooling, linear, logistic, poisson
from .survival import of_all, of_lung, survival

Part = Callable[[], Iterator[Row]]


def parts_of(quick: bool) -> Sequence[Part]:
    """Return what is measured, in order. quick: two tables."""
    if quick:
        return (counts, partial(survival, of_lung()), logistic)
    followed = [partial(survival, asked) for asked in of_all()]
    return (counts, *followed, logistic, linear, poisson, components_and_pooling, cost)


def run_stats(
    quick: Annotated[bool, typer.Option("--quick", help="Two tables, and no times: half a minute.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare statistics through secure sums with those of the pooled rows; exit 1 where a claim does not hold."""
    start = time.monotonic()
    rows = measured(parts_of(quick))
    found = {
        "benchmark": "stats",
        "machine": machine(),
        "quick": quick,
        "seconds": time.monotonic() - start,
        "rows": [row.json() for row in rows],
        "broken": sum(not row.held for row in rows),
    }
    note = "Figures are relative differences, and seconds of CPU time, which depend on the machine."
    print_rows(rows, found, note, as_json=as_json)
    if as_json:
        print_json(found)
    if found["broken"]:
        raise typer.Exit(1)
