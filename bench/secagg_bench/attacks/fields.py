"""What was found, as one JSON object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from .attack import Attack
from .costs import Cost
from .matrix import Cell, Matrix
from .registry import grouped


def as_fields(matrix: Matrix, costs: Sequence[Cost]) -> dict[str, Any]:
    """Return everything that was found."""
    return {
        "seeds": list(matrix.effort.seeds),
        "records": matrix.effort.records.name if matrix.effort.records else None,
        "attacks": [
            _attack(attack, group, matrix) for group, attacks in grouped(matrix.attacks).items() for attack in attacks
        ],
        "cells": [_cell(cell) for cell in matrix.cells],
        "costs": [_cost(cost) for cost in costs],
        "wrong": len(matrix.wrong),
    }


def _attack(attack: Attack, group: str, matrix: Matrix) -> dict[str, Any]:
    return {
        "name": attack.name,
        "group": group,
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
        "view": cell.view,
        "value": cell.value,
        "interval": cell.interval,
        "baseline": cell.baseline,
        "succeeded": cell.succeeded,
        "verdict": cell.verdict,
        "words": cell.words,
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
