"""The page: what would leak, what stops it, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import fmean, stdev
from typing import Any

from markupsafe import Markup

from secagg.cli.output import readable_bytes
from secagg.pages import environment

from ..units import duration
from . import pictures
from .attack import Attack, Pictures
from .costs import DATASET, EPSILON, VALUES, Cost
from .defence import DELTA
from .matrix import CONFIDENCE, Cell, Matrix, names_of
from .registry import grouped
from .summary import in_short, standings


def render(matrix: Matrix, costs: Sequence[Cost], fields: Mapping[str, Any]) -> str:
    """Return the page."""
    pages = environment("secagg_bench")
    pages.filters |= {"duration": duration, "bytes": readable_bytes, "spread": spread, "figure": figure, "told": told}
    pages.filters |= {"short": short, "names": names_of}
    found = standings(matrix, costs)
    return pages.get_template("attacks.html.j2").render(
        matrix=matrix,
        fields=fields,
        groups=grouped(matrix.attacks),
        standings=found,
        in_short=in_short(found),
        strips=_strips(matrix),
        curves=_curves(matrix),
        confidence=f"{CONFIDENCE:.0%}",
        values=VALUES,
        epsilon=EPSILON,
        delta=DELTA,
        dataset=DATASET,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def told(cell: Cell) -> str:
    """Return everything of a cell in one line, for whoever points at it."""
    where = f"{cell.attack.name} × {cell.defence.name}"
    if not cell.runs:
        return f"{where}: {'not run' if cell.missing else 'no such view'}: {cell.reason}"
    seeds = ", ".join(str(run.seed) for run in cell.runs)
    interval = f" ({figure(cell.interval[0])} to {figure(cell.interval[1])})" if cell.interval else ""
    return (
        f"{where}: {cell.verdict}. {cell.attack.metric.name}: {figure(cell.value)}{interval}, "
        f"a guess {figure(cell.baseline)}, success from {figure(cell.attack.metric.success)}; seeds {seeds}"
    )


def _curves(matrix: Matrix) -> list[tuple[Attack, list[tuple[str, Markup]]]]:
    """Return each attack that has curves, with them drawn."""
    return [
        (attack, [(one.title, Markup(pictures.curve(one))) for one in axes.curves])
        for attack in matrix.attacks
        if (axes := matrix.axes.get(attack.name)) and axes.curves
    ]


def _strips(matrix: Matrix) -> list[tuple[Attack, list[tuple[str, str]]]]:
    """Return each attack that has pictures, with the first seed's of each view."""
    found = []
    for attack in matrix.attacks:
        strips = [
            (names_of(cells), pictures.strip(one))
            for cells in matrix.by_view(attack)
            if cells[0].runs
            for one in cells[0].runs[0].figures
            if isinstance(one, Pictures)
        ]
        if strips:
            found.append((attack, strips))
    return found


def figure(value: float) -> str:
    """Return a number in three digits, as short as it goes."""
    return f"{value:.3g}" if abs(value) >= 0.001 or value == 0 else f"{value:.0e}"


def short(value: float) -> str:
    """Return a number that fits a narrow cell: .58, 1, 23, 0."""
    text = f"{value:.2f}" if abs(value) < 10 else f"{value:.0f}"
    return text.rstrip("0").rstrip(".").replace("-0", "0") if "." in text and float(text) == int(float(text)) else text


def spread(values: Sequence[float]) -> str:
    """Return a mean, with the standard deviation where there are several."""
    return f"{fmean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")
