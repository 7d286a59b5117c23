"""A file of signed, hash-chained records, one party's: the audit trail, and what was spent of a privacy budget.

Lines are canonical JSON: sorted keys, no spaces. The chain shows that records were neither changed nor reordered nor
removed from the middle. That none was cut off the *end* only others can tell: compare the last hash with what they
hold.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from secagg_protocols import AuthenticationError, Identity, InputError
from secagg_protocols.core import storage, strict_json
from secagg_protocols.primitives.suites import suite_named

GENESIS = bytes(32).hex()
_REMEDY = "give a file that may be written, in a folder that exists"


class AuditError(InputError):
    """A file of signed records does not hold together; the message names the first bad line."""


class ChainError(AuditError):
    """A line is whole and signed, and does not follow the one before it."""


@dataclass(frozen=True)
class Form:
    """What stands in a file. called: what it is, for errors. signed: the bytes that a line's writer signs, bound to
    this use. check: raises `ValueError` for plain data that can be no record."""

    called: str
    signed: Callable[[str], bytes]
    check: Callable[[object], None]


class SignedLog:
    """A file of signed records, each with the hash of the one before it. One writer; the file is made when missing.

    whole: check every line of a file that is there, or (where a process writes one line and ends) the last one alone.
    Raises `AuditError` for a file that is no such log of this identity's, and `InputError` for one that cannot be read
    or written; the file is then as it was. The end of a line that a crash cut short is dropped: its record was never
    acknowledged.
    """

    form: ClassVar[Form]

    def __init__(self, path: Path | str, identity: Identity, *, whole: bool = True) -> None:
        self._path = path = Path(path)
        self._identity = identity
        self.last: Mapping[str, Any] | None = None
        """The last record, as plain data."""
        content = _made(path, self.form)
        *lines, rest = content.split(b"\n")
        skipped = 0 if whole or not lines else len(lines) - 1
        checked = _Chain(path, self.form, identity.public_key, identity.suite.name, skipped)
        for line in lines[skipped:]:
            self.took(checked.follow(line).record)
        if rest:
            self._mend(checked, content, rest)
        self._head = checked.head
        self._end = path.stat().st_size

    def took(self, record: Mapping[str, Any]) -> None:
        """Look at a record that stands in the file, once it is checked."""
        self.last = record

    def _mend(self, checked: _Chain, content: bytes, rest: bytes) -> None:
        """Complete, or drop, a last line without its end. Raises `AuditError` when it is not what a crash leaves."""
        began = _canonical({"previous": checked.head, "record": {}})[:-2].encode()
        try:
            self.took(checked.follow(rest).record)
            end, missing = len(content), b"\n"  # a whole record, signed: all it lacks is the end of its line
        except AuditError:
            written = rest.rstrip(b"\0")  # as file systems leave what was not written
            if not (written.startswith(began) or began.startswith(written)):
                raise
            end = len(content) - len(rest)
            missing = b""
        with self._path.open("r+b") as file:
            file.truncate(end)
            file.seek(end)
            file.write(missing)
            file.flush()
            os.fsync(file.fileno())

    @property
    def head(self) -> str:
        """Hash of the last record; exchange it with the peers."""
        return self._head

    def append(self, record: Any) -> str:
        """Sign and append a record, a dataclass; return its hash. Raises `AuditError` when it cannot be written; the
        file is then as it was, and this log can go on."""
        body = {"previous": self._head, "record": asdict(record)}
        body["signature"] = self._identity.sign(self.form.signed(_canonical(body))).hex()
        line = _canonical(body).encode()
        try:
            self._write(line + b"\n")
        except OSError as error:
            raise AuditError(
                f"{self._path}: the record of round {record.round} cannot be written ({error.strerror}); {_REMEDY}"
            ) from None
        self._head = hashlib.sha256(line).hexdigest()
        self.last = json.loads(line)["record"]
        return self._head

    def _write(self, data: bytes) -> None:
        with os.fdopen(storage.open_locked(self._path), "r+b") as file:
            if file.seek(0, os.SEEK_END) != self._end:
                raise AuditError(f"{self._path}: somebody else writes to it too; give each writer its own")
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(self._end)
                raise
            self._end += len(data)


@contextmanager
def held(path: Path, form: Form) -> Iterator[None]:
    """Hold a file of records, so that nobody else reads it in order to write to it. Raises `InputError`."""
    try:
        lock = storage.open_locked(path.with_name(f"{path.name}.lock"))
    except OSError as error:
        raise InputError(f"{path}: cannot be used as {form.called} ({error.strerror}); {_REMEDY}") from None
    try:
        yield
    finally:
        os.close(lock)


@dataclass(frozen=True, slots=True)
class AuditLine:
    """A verified line: its record as plain data, its hash, and where it stands (from 1)."""

    record: Mapping[str, Any]
    hash: str
    path: Path
    number: int


def verified(path: Path | str, form: Form, public_key: bytes, ciphersuite: str) -> Iterator[AuditLine]:
    """Yield each record, once its signature and its place in the chain are checked.

    Raises `AuditError` naming the first line that was changed, moved, or signed by another key, `InputError` for a file
    that cannot be read, and `ParameterError` for a key that cannot be one.
    """
    path = Path(path)
    chain = _Chain(path, form, public_key, ciphersuite)
    *lines, rest = _read(path).split(b"\n")
    for line in [*lines, rest] if rest else lines:
        yield chain.follow(line)


class _Chain:
    """The lines of a log, one after another. skipped: so many are not looked at, and the next stands for them."""

    def __init__(self, path: Path, form: Form, public_key: bytes, ciphersuite: str, skipped: int = 0) -> None:
        self._path = path
        self._form = form
        self._public_key = public_key
        self._signatures = suite_named(ciphersuite).signatures
        self._signatures.check_public(public_key)
        self._number = skipped
        self.head = "" if skipped else GENESIS

    def follow(self, line: bytes) -> AuditLine:
        """Return the record of the next line. Raises `AuditError`."""
        number = self._number + 1
        where = f"{self._path} line {number}"
        try:
            body = strict_json.loads(line)
            if _canonical(body).encode() != line:
                raise ValueError("not in canonical form")
            signature = bytes.fromhex(body.pop("signature"))
            self._signatures.verify(self._public_key, signature, self._form.signed(_canonical(body)))
            previous = body["previous"]
            record = body["record"]
            self._form.check(record)
        except (AuthenticationError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise AuditError(
                f"{where}{_round_of(line)}: changed, or not signed by this key ({error}); compare with a backup, or "
                "give the writer's key or another file"
            ) from None
        if self.head and previous != self.head:
            raise ChainError(f"{where}{_round_of(line)}: a record before it was removed, added or moved")
        self._number = number
        self.head = hashlib.sha256(line).hexdigest()
        return AuditLine(record, self.head, self._path, number)


def _round_of(line: bytes) -> str:
    """Return which round a line says that it is about, for an error; nothing where it does not."""
    try:
        number = strict_json.loads(line)["record"]["round"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return ""
    return f" (round {number})" if type(number) is int else ""


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None


def _made(path: Path, form: Form) -> bytes:
    """Return what is in a file that may be written; it is made when missing."""
    try:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "rb") as file:
            return file.read()
    except OSError as error:
        raise InputError(f"{path}: cannot be used as {form.called} ({error.strerror}); {_REMEDY}") from None


def _canonical(body: object) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
