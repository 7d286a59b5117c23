"""What is finished of a long run, one JSON object per line, so that it can be taken up where it ended."""

from __future__ import annotations

import os
from collections.abc import Hashable
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import msgspec

import secagg


class Finished(Protocol):
    """A struct that says itself what makes it the same piece of work."""

    @property
    def key(self) -> Hashable:
        """Return what no other piece of work has."""
        ...


Piece = TypeVar("Piece", bound=Finished)


class Journal(Generic[Piece]):
    """The file of finished pieces. Each is on disk before the next one starts."""

    def __init__(self, path: Path, kind: Any, *, resume: bool) -> None:
        """Open the file: emptied, or (resume) read. kind: what its lines are.

        Raises `secagg.InputError` for a line that is nothing finished.
        """
        self._path = path
        self._pieces: dict[Hashable, Piece] = {}
        if resume and path.exists():
            self._pieces = {piece.key: piece for piece in _read(path, kind)}
        else:
            path.write_bytes(b"")

    def get(self, key: Hashable) -> Piece | None:
        """Return the piece with this `key`, if it was finished."""
        return self._pieces.get(key)

    def append(self, piece: Piece) -> None:
        """Write a finished piece through to the disk."""
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(piece) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._pieces[piece.key] = piece


def _read(path: Path, kind: Any) -> list[Any]:
    pieces = []
    lines = path.read_bytes().split(b"\n")
    if lines.pop():
        raise _refused(path, len(lines) + 1, "the line does not end")
    for number, line in enumerate(lines, start=1):
        try:
            pieces.append(msgspec.json.decode(line, type=kind))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _refused(path, number, str(error)) from error
    return pieces


def _refused(path: Path, number: int, reason: str) -> secagg.InputError:
    return secagg.InputError(
        f"{path}, line {number}, is no finished case ({reason}); remove the line, or begin anew without --resume"
    )
