"""Ours: `SecAggRecipe`, with the same model and script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from secagg.adapters.flare import SecAggRecipe
from secagg_bench.peers.task import CLIP, WEIGHT_MAX, Task


def recipe(task: Task, workspace: Path, **common: Any) -> Any:
    """Return the recipe."""
    return SecAggRecipe(
        **common,
        scheme=task.scheme,
        threshold=task.threshold,
        clip=CLIP,
        value_bits=task.value_bits,
        weight_max=WEIGHT_MAX,
    )
