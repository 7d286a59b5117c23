"""The command `liars`: worst-case work of a server's last step, by scheme, size and mix of liars."""

from __future__ import annotations

from itertools import groupby
from typing import Annotated

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from secagg.cli.memory import least_bytes, refuse_beyond
from secagg.cli.output import AsJson, console, print_json, progress_bar
from secagg.extras import needed

from ..overhead import machine
from ..units import duration
from .measure import LEAST_S, SCHEMES, TIMES, VALUE_BITS, WHOLE, Row, rows_of

SIZES = (20, 100, 240, 1000)
QUICK_SIZES = (20, 60)
WHOLE_SIZES = (20, 100, 240)
"""Of a scheme whose participants are not shortened: more take a quarter of an hour, and are asked for by --clients."""


def run_liars(
    clients: Annotated[list[int] | None, typer.Option(min=5, help="Participants; may be repeated.")] = None,
    scheme: Annotated[list[str] | None, typer.Option(help=f"{', '.join(SCHEMES)}; may be repeated.")] = None,
    length: Annotated[int, typer.Option(min=1, help="Coordinates of a vector.")] = 1000,
    quick: Annotated[bool, typer.Option("--quick", help="Small rounds only: a minute, not ten.")] = False,
    as_json: AsJson = False,
) -> None:
    """What the server's last step costs when participants lie, and whether the sum comes out; exit 1 where a bound is
    broken."""
    if scheme and not set(scheme) <= SCHEMES.keys():
        raise typer.BadParameter(f"choose among {', '.join(SCHEMES)}", param_hint="--scheme")
    chosen = [name for name in SCHEMES if not scheme or name in scheme]
    rounds = [(name, size) for name in chosen for size in clients or _sizes(name, quick=quick)]
    for _, size in rounds:
        refuse_beyond(least_bytes(size, length, VALUE_BITS), size, length)
    rows: list[Row] = []
    with needed("bench"):
        from threadpoolctl import threadpool_limits
    # Threads that BLAS keeps waiting count as CPU time: with one, it is the work that is measured.
    with progress_bar() as move, threadpool_limits(1):
        for name, size in rounds:

            def told(done: int, total: int, text: str, what: str = f"{name}, {size}: ") -> None:
                move(done, total, what + text)

            for row in rows_of(name, size, length, told):
                rows.append(row)
                told(1, 1, row.mix)
    broken = [row for row in rows if row.broken]
    _print_tables(rows, as_json=as_json)
    if as_json:
        print_json(
            {
                "benchmark": "liars",
                "machine": machine(),
                "length": length,
                "bound": {"seconds": LEAST_S, "times": TIMES},
                "rows": [msgspec.to_builtins(row) | {"ratio": row.ratio} for row in rows],
                "broken": len(broken),
            }
        )
    if broken:
        raise typer.Exit(1)


def _sizes(name: str, *, quick: bool) -> tuple[int, ...]:
    """Return how many participants a scheme is played with."""
    if quick:
        return QUICK_SIZES
    return WHOLE_SIZES if name in WHOLE else SIZES


def _print_tables(rows: list[Row], *, as_json: bool) -> None:
    target = console(as_json)
    for (scheme, clients), group in groupby(rows, key=lambda row: (row.scheme, row.clients)):
        played = list(group)
        title = f"{scheme}, n = {clients}, t = {played[0].threshold}; honest: {duration(1000 * played[0].honest_s)}"
        table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
        for heading in ("mix", "liars", "attacked", "×", "sum", "corrected", "named", ""):
            table.add_column(heading, justify="left" if heading in ("mix", "sum", "") else "right")
        for row in played:
            table.add_row(
                row.mix,
                str(row.liars),
                duration(1000 * row.attacked_s),
                f"{row.ratio:.1f}",
                "exact" if row.exact else "none",
                f"{row.corrected:,}",
                str(row.named),
                ", ".join(row.broken),
            )
        target.print(table)
    target.print(
        f"CPU time of the server's last step, BLAS in one thread, on {machine()}; at most {LEAST_S:g} s or {TIMES:g} × "
        "the honest one. "
        "Participants leave out what the server does not see; those of threshold-ckks are whole.",
        soft_wrap=True,
    )
