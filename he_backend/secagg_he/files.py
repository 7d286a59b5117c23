"""Files that hold a secret: they appear whole, for their owner alone, and are not read when others may."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from secagg_protocols.errors import InputError


def write_new(path: Path, text: str) -> None:
    """Write a file for its owner alone, which appears whole, on disk, or not at all. Raises `InputError`."""
    try:
        descriptor, hidden = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # readable by its owner alone
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(hidden, path)  # a link, not a renaming: that would overwrite
        finally:
            os.unlink(hidden)
        _sync(path.parent)
    except FileExistsError:
        raise InputError(f"{path} exists; it is never overwritten, choose another file") from None
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}; choose another place") from None


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_own(path: Path) -> str:
    """Return the text of a file that nobody but its owner may read. Raises `InputError`."""
    try:
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise InputError(
                    f"others may read or write {path} (mode {mode:04o}): chmod 600 it, and rotate the key if anyone has"
                )
            return file.read()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} cannot be read: it is no text") from None
