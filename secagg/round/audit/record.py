"""The record of one round, and how a party makes it from what it saw itself: a server of the whole, a participant of
what it was sent. It never holds weights, seeds, shares or keys.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from secagg.chained import AuditError
from secagg_protocols import (
    SERVER,
    SYSTEM,
    Client,
    Correction,
    Dropout,
    InputError,
    Output,
    Randomness,
    RoundContext,
    RoundFailed,
    Server,
    Step,
)
from secagg_protocols.core.machine import Terminal
from secagg_protocols.core.parameters import Parameters
from secagg_protocols.primitives.domain import Use, digest, frame

from ..outcome import who_completed
from ..request import one_line

_ID = re.compile(r"[1-9][0-9]{0,9}")
"""A participant's id, as a name in JSON."""


class Stage(StrEnum):
    """How far a party had come when it wrote: it had begun, answered all it was asked, refused something, or left."""

    BEGUN = "begun"
    ENDED = "ended"
    REFUSED = "refused"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """What one party saw of one round. Hashes are hexadecimal; times are UTC, ISO 8601. What a party was not told, or
    does not see, is empty.

    party: who wrote it: 0 the server, else the participant's id in this round; None where it refused before it knew.
    stage: see `Stage`. contributed: whether the writer's own vector has left it. adversary: the server that the scheme
    withstands; "none" where it hides nothing. listed: whose shares were dealt, as this side knows. survivors: whose
    vectors are in the sum, as this side knows. dropped: id → "step: reason" (server). opened: which secrets were
    reconstructed, and of whom ("sum_of_shares": only the sum of theirs); a participant's: towards which it gave what it
    holds. refusals: "party at step: reason". epsilon: adversary view → ε at `delta`. failure: why no sum came out;
    empty when one did. aggregate_commitment: salted hash of the released sum (server; empty when there is none);
    whoever holds the sum and the salt can open it. model: `model_digest` of what the server sent, or of what the
    participant received. model_after: of what came of it, to be sent in the next round (server).
    """

    time: str
    job: str
    round: int
    party: int | None
    stage: str
    contributed: bool
    context_digest: str
    scheme: str
    scheme_id: str
    adversary: str
    participants: int
    listed: tuple[int, ...] = ()
    survivors: tuple[int, ...] = ()
    dropped: Mapping[str, str] = field(default_factory=dict)
    opened: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    corrections: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    epsilon: Mapping[str, float] = field(default_factory=dict)
    delta: float | None = None
    failure: str = ""
    aggregate_commitment: str = ""
    model: str = ""
    model_after: str = ""
    insecure_deterministic: bool = False

    @property
    def subject(self) -> tuple[str, int, str]:
        """What it is about: job, round, context digest."""
        return self.job, self.round, self.context_digest

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data, as it reads when it is read back."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain


def check_record(plain: object) -> None:
    """Raise `ValueError` unless this can be a record: whoever signed it, it must not stop whoever reads it."""
    try:
        record = msgspec.convert(plain, AuditRecord)
    except msgspec.ValidationError as error:
        raise ValueError(f"its record cannot be: {error}") from None
    if strange := [own for own in record.dropped if not _ID.fullmatch(own)]:
        raise ValueError(f"its record cannot be: {strange[0][:16]!r} among those dropped is no participant's id")


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What is recorded of a round beside the protocol. now: timezone-aware. model, model_after: 32 bytes, or none."""

    now: datetime
    model: bytes = b""
    model_after: bytes = b""
    epsilon: Mapping[str, float] = field(default_factory=dict)
    delta: float | None = None
    insecure_deterministic: bool = False

    @property
    def time(self) -> str:
        """The time as it is written."""
        return self.now.astimezone(UTC).isoformat(timespec="seconds")

    def __post_init__(self) -> None:
        if self.now.tzinfo is None:
            raise InputError(f"the record's time {self.now} has no time zone; give an aware datetime")
        for view, value in self.epsilon.items():
            if not math.isfinite(value):
                raise InputError(f"ε = {value} for {view!r} is not finite; leave a view without a guarantee out")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one party saw of one round, whatever drove it. Fields are those of the record."""

    party: int
    stage: Stage
    contributed: bool = False
    listed: tuple[int, ...] = ()
    survivors: tuple[int, ...] = ()
    dropped: Mapping[int, Dropout] = field(default_factory=dict)
    corrections: tuple[Correction, ...] = ()
    refusals: tuple[str, ...] = ()
    failure: str = ""
    output: Output | None = None

    @classmethod
    def by_server(cls, server: Server, refusals: tuple[str, ...] = ()) -> Seen:
        """What a server's machine saw; a sum that stays with the participants it did not see."""
        output = server.output
        return cls(
            party=SERVER,
            stage=Stage.ENDED,
            listed=server.scheme.listed(who_completed(server)),
            survivors=() if output is None else output.survivors,
            dropped=server.dropped,
            corrections=server.corrections,
            refusals=refusals,
            failure=_why(server.failure),
            output=output,
        )

    @classmethod
    def by_participant(cls, client: Client, *, contributed: bool = False, refusals: tuple[str, ...] = ()) -> Seen:
        """What a participant's machine saw. contributed: whether it gave its vector, where the machine has aborted and
        does not know."""
        stage = Stage.ENDED if client.ended else Stage.BEGUN
        if client.state is Terminal.ABORTED:
            stage = Stage.ABORTED
        elif refusals and stage is Stage.BEGUN:
            stage = Stage.REFUSED
        return cls(
            party=client.participant,
            stage=stage,
            contributed=contributed or client.contributed,
            listed=tuple(sorted(client.dealers)),
            survivors=client.survivors,
            refusals=tuple(map(one_line, refusals)),
            failure=one_line(client.abort_reason or ""),
        )


def record_of(scheme: Parameters, context: RoundContext, seen: Seen, stamp: Stamp, salt: bytes = b"") -> AuditRecord:
    """Make the record of one party. salt: 32 bytes from `new_salt`, kept by whoever may open the commitment; needed
    where there is a sum."""
    opens = seen.party == SERVER or seen.stage is Stage.ENDED
    return AuditRecord(
        time=stamp.time,
        job=context.job,
        round=context.round,
        party=seen.party,
        stage=str(seen.stage),
        contributed=seen.contributed,
        context_digest=context.context_digest.hex(),
        scheme=scheme.name,
        scheme_id=scheme.id.hex(),
        adversary=str(scheme.guarantee.adversary or "none"),
        participants=scheme.participants,
        listed=seen.listed,
        survivors=seen.survivors,
        dropped={str(party): f"{item.step}: {item.reason}" for party, item in sorted(seen.dropped.items())},
        opened=scheme.opened(seen) if opens else {},
        corrections=tuple(
            f"share of {item.dealer} held by {item.holder}: at fault {sorted(item.culprits)}"
            for item in seen.corrections
        ),
        refusals=seen.refusals,
        epsilon=dict(stamp.epsilon),
        delta=stamp.delta,
        failure=seen.failure,
        aggregate_commitment=_commitment(seen.output, salt),
        model=stamp.model.hex(),
        model_after=stamp.model_after.hex(),
        insecure_deterministic=stamp.insecure_deterministic,
    )


class Ended(Protocol):
    """A round that ended, as plain data: a `Round.outcome`, or what a simulation returns. See `Outcome`."""

    @property
    def output(self) -> Output | None: ...
    @property
    def failure(self) -> RoundFailed | None: ...
    @property
    def survivors(self) -> tuple[int, ...]: ...
    @property
    def dropped(self) -> Mapping[int, Dropout]: ...
    @property
    def corrections(self) -> tuple[Correction, ...]: ...
    @property
    def refused(self) -> Sequence[object]: ...
    @property
    def answered(self) -> Mapping[Step, tuple[int, ...]]: ...


def describe(
    scheme: Parameters, context: RoundContext, ended: Ended, *, now: datetime, salt: bytes, **stamp: Any
) -> AuditRecord:
    """Make the server's record of a round that ended, with a sum or (see `Simulation.result`) without.

    now: timezone-aware. salt: 32 bytes from `new_salt`. stamp: what else is in `Stamp`.
    """
    seen = Seen(
        party=SERVER,
        stage=Stage.ENDED,
        listed=scheme.listed(ended.answered),
        survivors=ended.survivors,
        dropped=ended.dropped,
        corrections=ended.corrections,
        refusals=tuple(map(str, ended.refused)),
        failure=_why(ended.failure),
        output=ended.output if ended.failure is None else None,
    )
    return record_of(scheme, context, seen, Stamp(now=now, **stamp), salt)


def _why(failure: RoundFailed | None) -> str:
    return "" if failure is None else str(failure)


def new_salt(randomness: Randomness = SYSTEM) -> bytes:
    """Return a fresh salt for a commitment."""
    return randomness.bytes(32)


def commit(total: NDArray[np.integer[Any]], salt: bytes) -> str:
    """Return the salted commitment to a released sum."""
    return digest(Use.AGGREGATE_COMMITMENT, salt, total.astype("<u8").tobytes()).hex()


def opens(record: AuditRecord, total: NDArray[np.integer[Any]], salt: bytes) -> None:
    """Raise `AuditError` unless the record commits to this sum."""
    if not hmac.compare_digest(record.aggregate_commitment, commit(total, salt)):
        raise AuditError(f"the record of round {record.round} does not commit to this sum and salt")


def _commitment(output: Output | None, salt: bytes) -> str:
    if output is None or not output.total.size:  # no sum, or one that stays with the participants
        return ""
    if len(salt) != 32:
        raise InputError(f"a salt of {len(salt)} bytes: make one with new_salt()")
    return commit(output.total, salt)


def model_digest(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return 32 bytes that name a model: all its arrays by name, whatever their order; nothing of configuration."""
    rows = []
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name])
        rows.append(frame(name, values.dtype.str, repr(values.shape), hashlib.sha256(values.data).digest()))
    return digest(Use.AUDIT_MODEL, frame(*rows))
