"""`secagg bench lattice`: how hard the lattice problems are on which the homomorphic schemes rest."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.table import Table

from secagg.cli.output import AsJson, console, print_json
from secagg_he.parameters import ERROR_VARIANCE, MAX_MODULUS_BITS
from secagg_he.threshold.noise import MAX_LOG_Q, SIGMA

from .lattice import UNIFORM_TERNARY, Problem, estimate


def problems() -> Iterator[tuple[str, Problem]]:
    """Yield the hardest-pressed problem of every kind: each ring with the widest modulus that its scheme may take."""
    for degree, bits in MAX_MODULUS_BITS.items():
        yield "bfv, ckks", Problem(degree, bits, UNIFORM_TERNARY, math.sqrt(ERROR_VARIANCE))
    # What is left of the width once the sum of all keys is known, and what a reduction without beliefs costs besides.
    sigma = float(SIGMA)
    for what, width in (("threshold-ckks", sigma / math.sqrt(2)), ("… σ/2", sigma / 2)):
        for degree, bits in MAX_LOG_Q.items():
            yield what, Problem(degree, bits, width, width)


def run_lattice(as_json: AsJson = False) -> None:
    """Estimate the security of every ring at its widest modulus: primal attack, gates and core-SVP."""
    table = Table("scheme", "N", "log₂ q", "secret", "error", "β", "gates", "bits", "core-SVP")
    rows = []
    for scheme, problem in problems():
        found = estimate(problem)
        table.add_row(
            scheme,
            str(problem.degree),
            f"{problem.log_q:g}",
            f"{problem.secret:.2f}",
            f"{problem.error:.2f}",
            str(found.block),
            f"{found.gates:.1f}",
            f"{found.bits:.1f}",
            f"{found.core_svp:.1f}",
        )
        rows.append(
            {
                "scheme": scheme,
                "degree": problem.degree,
                "log_q": problem.log_q,
                "secret": problem.secret,
                "error": problem.error,
                "block": found.block,
                "dimension": found.dimension,
                "gates": found.gates,
                "bits": found.bits,
                "core_svp": found.core_svp,
            }
        )
    console(as_json).print(table)
    console(as_json).print("secret, error: deviations; bits: log₂ of the gates, less what other attacks gain")
    if as_json:
        print_json({"estimates": rows})
