"""The audit trail: one signed, hash-chained record per round, for whoever asks afterwards what was computed.

A record says who took part, who vanished at which step, which shares were opened, what was refused and why, and
commits to the released aggregate. It never holds weights, seeds, shares or keys. Lines are canonical JSON: sorted
keys, no spaces.

The chain shows that records were neither changed nor reordered nor removed from the middle. That none was cut off the
*end* only others can tell: compare the last hash with what the peers hold.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg_protocols import (
    SYSTEM,
    AuthenticationError,
    Identity,
    InputError,
    Randomness,
    RoundContext,
    Scheme,
    SecAggError,
    strict_json,
)
from secagg_protocols.domain import Use, digest, separated
from secagg_protocols.suites import suite_named

from .simulation import Run

GENESIS = bytes(32).hex()


class AuditError(SecAggError):
    """The audit trail does not hold together; the message names the first bad line."""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """What happened in one round. Hashes are hexadecimal; times are UTC, ISO 8601.

    dropped: id → "step: reason". opened: which secrets were reconstructed, and of whom ("sum_of_shares": only the sum
    of theirs). refusals: "party at step: reason".
    epsilon: adversary view → ε at `delta`. failure: why no sum came out; empty when one did. aggregate_commitment:
    salted hash of the released sum (empty when there is none); whoever holds the sum and the salt can open it.
    """

    time: str
    job: str
    round: int
    context_digest: str
    scheme: str
    scheme_id: str
    adversary: str
    participants: int
    survivors: tuple[int, ...]
    dropped: Mapping[str, str]
    opened: Mapping[str, tuple[int, ...]]
    corrections: tuple[str, ...]
    refusals: tuple[str, ...]
    epsilon: Mapping[str, float]
    delta: float | None
    failure: str
    aggregate_commitment: str
    insecure_deterministic: bool


def describe(
    scheme: Scheme,
    context: RoundContext,
    run: Run,
    *,
    now: datetime,
    salt: bytes,
    epsilon: Mapping[str, float] | None = None,
    delta: float | None = None,
    insecure_deterministic: bool = False,
) -> AuditRecord:
    """Make the record of a round that ended, with a sum or (see `Simulation.result`) without.

    now: timezone-aware. salt: 32 bytes from `new_salt`, kept by whoever may open the commitment.
    """
    if now.tzinfo is None:
        raise InputError(f"the record's time {now} has no time zone; give an aware datetime")
    for view, value in (epsilon or {}).items():
        if not math.isfinite(value):
            raise InputError(f"ε = {value} for {view!r} is not finite; leave a view without a guarantee out")
    return AuditRecord(
        time=now.astimezone(UTC).isoformat(timespec="seconds"),
        job=context.job,
        round=context.round,
        context_digest=context.context_digest.hex(),
        scheme=scheme.name,
        scheme_id=scheme.id.hex(),
        adversary=str(scheme.adversary),
        participants=scheme.participants,
        survivors=run.survivors,
        dropped={str(party): f"{item.step}: {item.reason}" for party, item in sorted(run.dropped.items())},
        opened=scheme.opened(run),
        corrections=tuple(
            f"share of {item.dealer} held by {item.holder}: at fault {sorted(item.culprits)}"
            for item in run.corrections
        ),
        refusals=tuple(f"{item.party} at {item.step}: {item.error}" for item in run.refusals),
        epsilon=dict(epsilon or {}),
        delta=delta,
        failure="" if run.failure is None else str(run.failure),
        aggregate_commitment="" if run.failure is not None else commit(run.total, salt),
        insecure_deterministic=insecure_deterministic,
    )


def new_salt(randomness: Randomness = SYSTEM) -> bytes:
    """Return a fresh salt for a commitment."""
    return randomness.bytes(32)


def commit(total: NDArray[np.uint64], salt: bytes) -> str:
    """Return the salted commitment to a released sum."""
    return digest(Use.AGGREGATE_COMMITMENT, salt, total.astype("<u8").tobytes()).hex()


def opens(record: AuditRecord, total: NDArray[np.uint64], salt: bytes) -> None:
    """Raise `AuditError` unless the record commits to this sum."""
    if not hmac.compare_digest(record.aggregate_commitment, commit(total, salt)):
        raise AuditError(f"the record of round {record.round} does not commit to this sum and salt")


class AuditLog:
    """A file of signed records, each with the hash of the one before it. One writer.

    Raises `AuditError` for a file that is no trail of this identity's, and `InputError` for one that cannot be read;
    the file is then as it was. The end of a line that a crash cut short is dropped: its record was never acknowledged.
    """

    def __init__(self, path: Path, identity: Identity) -> None:
        self._path, self._identity = path, identity
        self._head = GENESIS
        if not path.exists():
            return
        content = _read(path)
        *lines, rest = content.split(b"\n")
        checked = _Chain(path, identity.public_key, identity.suite.name)
        for line in lines:
            checked.follow(line)
        if rest:
            self._mend(checked, content, rest)
        self._head = checked.head

    def _mend(self, checked: _Chain, content: bytes, rest: bytes) -> None:
        """Complete, or drop, a last line without its end. Raises `AuditError` when it is not what a crash leaves."""
        began = _canonical({"previous": checked.head, "record": {}})[:-2].encode()
        try:
            checked.follow(rest)
            end, missing = len(content), b"\n"  # a whole record, signed: all it lacks is the end of its line
        except AuditError:
            written = rest.rstrip(b"\0")  # as file systems leave what was not written
            if not (written.startswith(began) or began.startswith(written)):
                raise
            end, missing = len(content) - len(rest), b""
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

    def append(self, record: AuditRecord) -> str:
        """Sign and append a record; return its hash."""
        body = {"previous": self._head, "record": asdict(record)}
        body["signature"] = self._identity.sign(separated(Use.AUDIT_SIGNATURE, _canonical(body))).hex()
        line = _canonical(body).encode()
        with self._path.open("ab") as file:
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._head = hashlib.sha256(line).hexdigest()
        return self._head


@dataclass(frozen=True, slots=True)
class AuditLine:
    """A verified line: its record as plain data, and its hash."""

    record: Mapping[str, Any]
    hash: str


def verify(path: Path, public_key: bytes, ciphersuite: str = "x25519") -> Iterator[AuditLine]:
    """Yield each record, once its signature and its place in the chain are checked.

    Raises `AuditError` naming the first line that was changed, moved, or signed by another key, `InputError` for a file
    that cannot be read, and `ParameterError` for a key that cannot be one.
    """
    chain = _Chain(path, public_key, ciphersuite)
    *lines, rest = _read(path).split(b"\n")
    for line in [*lines, rest] if rest else lines:
        yield chain.follow(line)


class _Chain:
    """The lines of a trail, one after another."""

    def __init__(self, path: Path, public_key: bytes, ciphersuite: str) -> None:
        self._path, self._public_key = path, public_key
        self._signatures = suite_named(ciphersuite).signatures
        self._signatures.check_public(public_key)
        self._number, self.head = 0, GENESIS

    def follow(self, line: bytes) -> AuditLine:
        """Return the record of the next line. Raises `AuditError`."""
        where = f"{self._path} line {self._number + 1}"
        try:
            body = strict_json.loads(line)
            if _canonical(body).encode() != line:
                raise ValueError("not in canonical form")
            signature = bytes.fromhex(body.pop("signature"))
            self._signatures.verify(self._public_key, signature, separated(Use.AUDIT_SIGNATURE, _canonical(body)))
            previous, record = body["previous"], body["record"]
            if not isinstance(record, dict):
                raise ValueError("its record is no record")
        except (AuthenticationError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise AuditError(f"{where}: changed, or not signed by this key ({error})") from None
        if previous != self.head:
            raise AuditError(f"{where}: a record before it was removed, added or moved")
        self._number, self.head = self._number + 1, hashlib.sha256(line).hexdigest()
        return AuditLine(record, self.head)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None


def _canonical(body: object) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
