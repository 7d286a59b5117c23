"""What is on disk before it is relied on: locked files, files replaced as a whole, folders that know their entries.

Secrets are in files for their owner alone: `write_new` and `read_own`.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from ..errors import InputError, LocalError

try:
    import fcntl
except ImportError:  # no POSIX locks on this system
    fcntl = None  # type: ignore[assignment]


def make_folder(folder: Path) -> None:
    """Make a folder that its owner alone may read. Raises `LocalError` where files cannot be locked."""
    if fcntl is None:
        raise LocalError("what must survive a crash needs POSIX file locks, which this system does not have")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def open_locked(path: Path, *, wait: bool = True) -> int:
    """Open a file for reading and writing, made when missing, under an exclusive lock; return its descriptor.

    The lock ends with the descriptor. Raises `LocalError` when someone else holds it and `wait` is False.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BaseException as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise LocalError(f"{path} is in use by another process: one at a time") from None
        raise
    return descriptor


def replace(path: Path, data: bytes) -> None:
    """Replace a file atomically: the new content is on disk before the name points to it."""
    temporary = path.with_name(f"{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until a folder's entries are on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
        sync_folder(path.parent)
    except FileExistsError:
        raise InputError(f"{path} exists; it is never overwritten, choose another file") from None
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}; choose another place") from None


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
