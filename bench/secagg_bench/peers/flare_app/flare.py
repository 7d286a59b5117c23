"""FLARE's own: `FedAvgRecipeWithHE`, as it is. It refuses the simulator, which runs it all the same given keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tenseal  # noqa: F401  (FLARE needs it; a missing one is to be told by its own name)
from nvflare.app_opt.pt.recipes.fedavg_he import FedAvgRecipeWithHE

from secagg_bench.peers.flare import write_contexts
from secagg_bench.peers.task import Task


def recipe(task: Task, workspace: Path, **common: Any) -> Any:
    """Return the recipe; make the keys that all sites share where the simulator hands them out."""
    startup = workspace / "startup"
    startup.mkdir(parents=True)
    write_contexts(startup)
    return FedAvgRecipeWithHE(**common)
