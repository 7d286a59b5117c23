"""What a run by letters was submitted with, in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from secagg_protocols import InputError, ParameterError
from secagg_protocols.core import storage

from .mailed import decoded
from .own_training import Training
from .settings import FILES

DEADLINE = 7 * 86_400.0
"""Seconds that sites have for one step, unless it is said."""
ROUNDS = "rounds"
"""Folder of its rounds, beside the plan."""

_FILE = "run.json"


class Plan(msgspec.Struct, frozen=True):
    """sites: their names. knobs: of the settings that it was made with. deadline: seconds. query: its JSON; empty: it
    is a training."""

    sites: tuple[str, ...]
    knobs: dict[str, Any]
    deadline: float
    query: str = ""
    training: Training | None = None

    def make_folder(self, folder: Path) -> None:
        """Make a folder for the run, which nothing is written into. Raises `ParameterError` for a plan that cannot be
        kept, `InputError` for a folder that is in use."""
        if self.deadline <= 0:
            raise ParameterError(f"deadline={self.deadline} is no time; give seconds")
        try:
            msgspec.json.encode(self)
        except TypeError as error:
            raise ParameterError(f"knobs are kept as JSON ({error}): give paths and plain values") from None
        if (folder / _FILE).exists():
            raise InputError(f"{folder} holds a run already: resume it, or give another folder")
        storage.make_folder(folder)

    def write(self, folder: Path) -> None:
        """Write it down: from then on there is a run."""
        storage.replace(folder / _FILE, msgspec.json.encode(self))

    @staticmethod
    def read(folder: Path) -> Plan:
        """Return that of a folder. Raises `InputError` for one without."""
        return decoded(folder / _FILE, Plan)


def kept_knobs(knobs: Mapping[str, Any], minimum_cohort: int) -> dict[str, Any]:
    """Return knobs as they are kept: a path leads to the same file from any folder."""
    paths = {name: str(Path(value).absolute()) for name, value in knobs.items() if name in FILES}
    return {**knobs, **paths, "minimum_cohort": minimum_cohort}
