"""A file that entries are only ever added to, each on disk before `append` returns, and read again after a crash.

    format line · 32 bytes that say whose journal it is · entries
    entry: length (8 bytes, big-endian) · 8 bytes that check it · content · 32 bytes, the chain so far

The chain hashes everything before it, so an entry that was changed, moved or taken out of the middle is noticed. An
entry that the file ends in the middle of was being written when the process died: nothing had been done with it yet,
and it is cut off. A file that its owner cut between two entries looks like one that was never longer.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import InputError, StateError
from ..primitives.domain import VERSION
from . import storage

_FORMAT = b"secagg journal 1 wire %d\n" % VERSION
_NAME_BYTES = _CHAIN_BYTES = 32
_LENGTH_BYTES = _CHECK_BYTES = 8
_HEAD_BYTES = _LENGTH_BYTES + _CHECK_BYTES


class Journal:
    """One journal, open in one process. Read `entries` to the end, then `append`."""

    def __init__(self, path: Path, name: bytes) -> None:
        """Open or make a journal. name: 32 bytes that say whose it is.

        Raises `InputError` for a foreign or damaged file, `LocalError` where another process has it open.
        """
        assert len(name) == _NAME_BYTES
        self._path = path
        self._header = _FORMAT + name
        self._chain = hashlib.sha256(self._header).digest()
        self._descriptor: int | None = storage.open_locked(path, wait=False)
        try:
            self._check_header()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file, and with it the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None

    def _check_header(self) -> None:
        with self._path.open("rb") as file:
            found = file.read(len(self._header))
        if found != self._header and self._header.startswith(found):  # new, or the first thing never got written
            self._write(self._header, at=0)
            storage.sync_folder(self._path.parent)
            return
        if not found.startswith(_FORMAT):
            raise InputError(f"{self._path} is no journal, or one of another version of secagg: use a new folder")
        if found != self._header:
            raise InputError(
                f"{self._path} is the journal of another round, scheme or roster: give every round a folder of its own"
            )

    def entries(self) -> Iterator[bytes]:
        """Yield the content of every entry, oldest first. Raises `InputError` at the first that is damaged."""
        with self._path.open("rb") as file:
            end = os.fstat(file.fileno()).st_size
            start = file.seek(len(self._header))
            for number in itertools.count(1):
                content = self._read_entry(file, end - start, number)
                if content is None:
                    break
                yield content
                start = file.tell()
        if start < end:
            os.ftruncate(self._open(), start)
            os.fsync(self._open())

    def _read_entry(self, file: BinaryIO, left: int, number: int) -> bytes | None:
        """Return the content of the next entry, of that number; None where the file ends before the entry does."""
        if left < _HEAD_BYTES:
            return None
        length = file.read(_LENGTH_BYTES)
        check = file.read(_CHECK_BYTES)
        if check != self._check_of(length):
            raise self._damaged(number)
        count = int.from_bytes(length, "big")
        if left < _HEAD_BYTES + count + _CHAIN_BYTES:
            return None
        content = file.read(count)
        chain = self._chain_after(length)
        chain.update(content)
        if file.read(_CHAIN_BYTES) != chain.digest():
            raise self._damaged(number)
        self._chain = chain.digest()
        return content

    def append(self, content: bytes) -> None:
        """Add an entry; it is on disk when this returns. When that fails, the journal takes no more."""
        length = len(content).to_bytes(_LENGTH_BYTES, "big")
        chain = self._chain_after(length)
        chain.update(content)
        self._write(length + self._check_of(length) + content + chain.digest(), at=None)
        self._chain = chain.digest()

    def _write(self, data: bytes, at: int | None) -> None:
        descriptor = self._open()
        try:
            os.lseek(descriptor, at or 0, os.SEEK_END if at is None else os.SEEK_SET)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        except BaseException:
            self.close()  # what is on disk is not known: only reading it again tells
            raise

    def _open(self) -> int:
        if self._descriptor is None:
            raise StateError(f"{self._path} is closed, or could not be written to: open it again and go on from there")
        return self._descriptor

    def _check_of(self, length: bytes) -> bytes:
        return self._chain_after(length).digest()[:_CHECK_BYTES]

    def _chain_after(self, length: bytes) -> hashlib._Hash:
        return hashlib.sha256(self._chain + length)

    def _damaged(self, number: int) -> InputError:
        return InputError(
            f"{self._path} is damaged at entry {number}: what this server has sent is not known; give the round "
            "up, and run it again under another number in a new folder"
        )
