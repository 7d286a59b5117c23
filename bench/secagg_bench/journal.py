"""Finished cases, one JSON object per line, so that a long run can be taken up where it ended."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

import secagg

from .cases import Case
from .overhead import Cost


class Journal:
    """The file of finished cases. Each is on disk before the next one starts."""

    def __init__(self, path: Path, *, resume: bool) -> None:
        """Open the file: emptied, or (resume) read. Raises `secagg.InputError` for a line that is no finished case."""
        self._path = path
        self._costs: dict[tuple[str, Case, str], Cost] = {}
        if resume and path.exists():
            self._costs = {cost.key: cost for cost in _read(path)}
        else:
            path.write_bytes(b"")

    def get(self, key: tuple[str, Case, str]) -> Cost | None:
        """Return the cost with this `Cost.key`, if it was measured."""
        return self._costs.get(key)

    def append(self, cost: Cost) -> None:
        """Write a finished case through to the disk."""
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(cost) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._costs[cost.key] = cost


def _read(path: Path) -> list[Cost]:
    costs = []
    lines = path.read_bytes().split(b"\n")
    if lines.pop():
        raise _refused(path, len(lines) + 1, "the line does not end")
    for number, line in enumerate(lines, start=1):
        try:
            costs.append(msgspec.json.decode(line, type=Cost))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _refused(path, number, str(error)) from error
    return costs


def _refused(path: Path, number: int, reason: str) -> secagg.InputError:
    return secagg.InputError(
        f"{path}, line {number}, is no finished case ({reason}); remove the line, or begin anew without --resume"
    )
