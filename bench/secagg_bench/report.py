"""What a benchmark found, as one JSON object and as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import msgspec
from markupsafe import Markup

from secagg import Step
from secagg.cli.output import readable_bytes
from secagg.pages import environment

from . import figures
from .cases import Case, Grid, Table, published
from .overhead import CONVENTIONS, Cost, machine
from .units import duration


def as_json(grid: Grid, costs: Mapping[Case, Cost]) -> dict[str, Any]:
    """Return everything measured, and beside each row what its paper reports (None where nothing is certain)."""
    return {
        "benchmark": "overhead",
        "grid": grid.name,
        "version": version("secagg"),
        "machine": machine(),
        "exact": all(costs[case].max_abs_error == 0 for case in grid.cases),
        "conventions": list(CONVENTIONS),
        "tables": [
            {"title": table.title, "note": table.note, "rows": [_row(case, costs[case]) for case in table.cases]}
            for table in grid.tables
        ],
        "growth": [
            {"axis": sweep.axis, "fixed": sweep.fixed, "rows": [_row(case, costs[case]) for case in sweep.cases]}
            for sweep in grid.sweeps
        ],
    }


def _row(case: Case, cost: Cost) -> dict[str, Any]:
    paper = published(case)
    fields: dict[str, Any] = msgspec.to_builtins(cost)
    return {**fields, "paper": None if paper is None else msgspec.to_builtins(paper)}


def render(grid: Grid, costs: Mapping[Case, Cost]) -> str:
    """Return the page."""
    pages = environment("secagg_bench")
    pages.filters |= {"duration": duration, "bytes": readable_bytes, "times": times, "published": published}
    return pages.get_template("overhead.html.j2").render(
        grid=grid,
        costs=costs,
        published=published,
        steps={table.title: _steps(table, costs) for table in grid.tables},
        conventions=CONVENTIONS,
        figures={sweep.axis: Markup(figures.growth(sweep, costs)) for sweep in grid.sweeps},
        axes=figures.AXES,
        machines=sorted({costs[case].machine for case in grid.cases}),
        version=version("secagg"),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _steps(table: Table, costs: Mapping[Case, Cost]) -> list[str]:
    """Return the names of the steps that any scheme of this table has, in order."""
    return [step.value for step in Step if any(step.value in costs[case].server_ms for case in table.cases)]


def times(ratio: float | None) -> str:
    """Return a ratio for people; a dash for none."""
    return "–" if ratio is None else f"{ratio:.2f}"
