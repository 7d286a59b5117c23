"""What was found, as one JSON object and as one page: what would leak, what stops it, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import fmean, stdev
from typing import Any

import msgspec
from markupsafe import Markup

from secagg.cli.output import readable_bytes
from secagg.pages import environment

from ..units import duration
from . import pictures
from .attack import Attack, Pictures
from .costs import DATASET, EPSILON, VALUES, Cost
from .defence import DELTA
from .matrix import CONFIDENCE, Cell, Matrix


def as_fields(matrix: Matrix, costs: Sequence[Cost]) -> dict[str, Any]:
    """Return everything that was found."""
    return {
        "seeds": list(matrix.effort.seeds),
        "records": matrix.effort.records.name if matrix.effort.records else None,
        "attacks": [_attack(attack, matrix) for attack in matrix.attacks],
        "cells": [_cell(cell) for cell in matrix.cells],
        "costs": [_cost(cost) for cost in costs],
        "wrong": len(matrix.wrong),
    }


def _attack(attack: Attack, matrix: Matrix) -> dict[str, Any]:
    return {
        "name": attack.name,
        "title": attack.title,
        "source": attack.source,
        "adversary": attack.adversary,
        "metric": attack.metric.name,
        "unit": attack.metric.unit,
        "success": attack.metric.success,
        "seconds": round(matrix.seconds(attack), 1),
        "curves": msgspec.to_builtins(axes.curves if (axes := matrix.axes.get(attack.name)) else ()),
    }


def _cell(cell: Cell) -> dict[str, Any]:
    said: dict[str, Any] = {
        "attack": cell.attack.name,
        "defence": cell.defence.name,
        "broken": cell.defence.broken,
        "claimed": cell.claimed,
        "wrong": cell.wrong,
    }
    if not cell.runs:
        return {**said, "not_run" if cell.missing else "no_view": cell.reason}
    return {
        **said,
        "view": cell.attack.view(cell.defence),
        "value": cell.value,
        "interval": cell.interval,
        "baseline": cell.baseline,
        "succeeded": cell.succeeded,
        "values": {str(run.seed): run.value for run in cell.runs},
        "notes": sorted({run.note for run in cell.runs} - {""}),
        "seconds": round(sum(run.seconds for run in cell.runs), 2),
    }


def _cost(cost: Cost) -> dict[str, Any]:
    return {
        "defence": cost.defence.name,
        "missing": cost.missing,
        "price": msgspec.to_builtins(cost.price),
        "aucs": list(cost.trained.aucs) if cost.trained else None,
    }


def render(matrix: Matrix, costs: Sequence[Cost], fields: Mapping[str, Any]) -> str:
    """Return the page."""
    pages = environment("secagg_bench")
    pages.filters |= {"duration": duration, "bytes": readable_bytes, "spread": spread, "figure": figure}
    return pages.get_template("attacks.html.j2").render(
        matrix=matrix,
        costs=costs,
        fields=fields,
        stopped={attack.name: _names(matrix, attack, succeeded=False) for attack in matrix.attacks},
        succeeds={attack.name: _names(matrix, attack, succeeded=True) for attack in matrix.attacks},
        shown=[(one.title, Markup(pictures.side_by_side(one))) for one in _pictures(matrix)],
        curves=[(one.title, Markup(pictures.curve(one))) for axes in matrix.axes.values() for one in axes.curves],
        confidence=f"{CONFIDENCE:.0%}",
        values=VALUES,
        epsilon=EPSILON,
        delta=DELTA,
        dataset=DATASET,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _names(matrix: Matrix, attack: Attack, *, succeeded: bool) -> list[str]:
    return [
        cell.defence.name
        for cell in matrix.cells
        if cell.attack is attack and cell.runs and not cell.weak and cell.succeeded is succeeded
    ]


def _pictures(matrix: Matrix) -> list[Pictures]:
    """Return the first seed's pictures of each view, each once."""
    found: dict[str, Pictures] = {}
    for cell in matrix.cells:
        for one in cell.runs[0].figures if cell.runs and not cell.weak else ():
            if isinstance(one, Pictures):
                found.setdefault(one.title, one)
    return list(found.values())


def figure(value: float) -> str:
    """Return a number in three digits, as short as it goes."""
    return f"{value:.3g}" if abs(value) >= 0.001 or value == 0 else f"{value:.0e}"


def spread(values: Sequence[float]) -> str:
    """Return a mean, with the standard deviation where there are several."""
    return f"{fmean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")
