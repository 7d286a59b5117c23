"""The file of what was spent: a `SignedLog` of charges, a participant's own or an aggregator's.

A record holds the noise and the event, so that dp-accounting alone gives ε again. A participant writes one for each of
its answers, before it leaves, at the worst case that is tolerated. An aggregator writes one before it asks for vectors,
at the worst case, and one that settles it when the round is over: what was really there, or nothing, where nobody
sent a vector. Killed in between, it finds its round charged at the worst case, as its participants have it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from secagg.chained import AuditError, Form, SignedLog
from secagg_protocols import Identity, InputError, ParameterError
from secagg_protocols.primitives.domain import Use, separated

from .views import COLLUDING, VIEWS, Event, composed

VERSION = 1


class Stage(StrEnum):
    """What a charge is for: an answer that a participant gives; a round that an aggregator asks for, or that gave a
    sum, or to which nobody sent a vector. The last two settle the one before them."""

    ANSWERED = "answered"
    ASKED = "asked"
    SUMMED = "summed"
    EMPTY = "empty"


SETTLING = (Stage.SUMMED, Stage.EMPTY)


@dataclass(frozen=True, kw_only=True)
class Charge:
    """One answer, or one round, and what it cost. Hashes are hexadecimal; the time is UTC, ISO 8601.

    session: empty in an aggregator's. releases: how many answers for this context there are with this one. epsilon: at
    `delta`, of all so far, in the view of the server with its colluders; None: unbounded. dropouts: an aggregator's: of
    a round that gave a sum. The rest is as in `Cost`.
    """

    version: int = VERSION
    stage: Stage = Stage.ANSWERED
    time: str
    unit: str
    job: str
    round: int
    context_digest: str
    session: str = ""
    noise: str
    scheme: str
    scheme_id: str
    multiplier: float
    others: Mapping[str, float] = field(default_factory=dict)
    sampling_rate: float
    releases: int
    dropouts: int | None = None
    epsilon_charged: float
    delta_charged: float
    epsilon: float | None
    delta: float

    def against(self, view: str) -> float:
        """Return the noise multiplier in a view; 0 in one that was not written down."""
        return self.multiplier if view == COLLUDING else self.others.get(view, 0.0)

    @property
    def subject(self) -> tuple[str, int, str]:
        """What it is about: job, round, context digest."""
        return self.job, self.round, self.context_digest


def check_charge(plain: object) -> None:
    """Raise `ValueError` unless this can be a record; of a newer version, anything can."""
    if isinstance(plain, dict) and isinstance(newer := plain.get("version"), int) and newer > VERSION:
        return
    try:
        charge = msgspec.convert(plain, Charge)
    except msgspec.ValidationError as error:
        raise ValueError(f"its record cannot be: {error}") from None
    if strange := [value for value in (charge.multiplier, *charge.others.values()) if not _is_multiplier(value)]:
        raise ValueError(f"its record cannot be: {strange[0]} is no noise multiplier")


def _is_multiplier(value: float) -> bool:
    """Tell whether it can be computed with."""
    return value == 0 or 1e-100 < value < 1e100


def _signed(line: str) -> bytes:
    return separated(Use.CHARGE_SIGNATURE, line)


FORM = Form("a privacy ledger", _signed, check_charge)


class ChargeLog(SignedLog):
    """The file. charges: all that stand in it, one after another."""

    form: ClassVar[Form] = FORM

    def __init__(self, path: Path, identity: Identity) -> None:
        self.charges: list[Charge] = []
        super().__init__(path, identity)

    def took(self, record: Mapping[str, Any]) -> None:
        """Keep a charge. Raises `InputError` for one that a newer version wrote."""
        super().took(record)
        self.charges.append(read_charge(self._path, record))

    def append(self, record: Charge) -> str:
        """Sign and append a charge, and keep it."""
        head = super().append(record)
        self.charges.append(record)
        return head


def read_charge(path: Path, record: Mapping[str, Any]) -> Charge:
    """Return a record that was checked. Raises `InputError` for one that a newer version wrote."""
    if record["version"] > VERSION:
        raise InputError(
            f"{path}: written by a newer version of secagg (its records are of version {record['version']}, "
            f"this one knows {VERSION}): update secagg, and do not begin a new file, which would forget what is "
            "spent"
        )
    return msgspec.convert(record, Charge)


def standing(charges: Sequence[Charge]) -> list[Charge]:
    """Return the charges that count: those that others settle are left out, and those for nothing."""
    count: list[Charge] = []
    asked: Charge | None = None
    for charge in charges:
        if charge.stage in SETTLING and asked is not None and asked.subject == charge.subject:
            count.pop()
        if charge.stage != Stage.EMPTY:
            count.append(charge)
        asked = charge if charge.stage == Stage.ASKED else None
    return count


def spent(charges: Sequence[Charge], delta: float, view: str = COLLUDING) -> float | None:
    """Return ε at `delta` of all these together in a view; None: unbounded. Raises `ParameterError` for a lot of two
    rates."""
    count = standing(charges)
    lots: dict[tuple[str, str], list[Charge]] = {}
    for charge in count:
        lots.setdefault((charge.job, charge.context_digest), []).append(charge)
    events = []
    for lot in lots.values():
        if len({charge.sampling_rate for charge in lot}) > 1:
            raise ParameterError(
                f"round {lot[-1].round} of job {lot[-1].job!r} is answered again with another sampling rate than "
                "before: answer with the same lot"
            )
        if min(charge.against(view) for charge in lot) <= 0:
            return None
        together = 1 / math.sqrt(sum(charge.against(view) ** -2 for charge in lot))
        events.append(Event(together, lot[0].sampling_rate))
    found = composed(events, delta, sum(charge.delta_charged for charge in count))
    return None if found is None else found + sum(charge.epsilon_charged for charge in count)


def check_spent(path: Path, charges: Sequence[Charge]) -> None:
    """Raise `AuditError` unless what the last record says of ε is what they come to."""
    said = charges[-1].epsilon
    found = spent(charges, charges[-1].delta)
    if said != found and (said is None or found is None or not math.isclose(said, found, rel_tol=1e-3)):
        raise AuditError(
            f"{path} line {len(charges)}: it says ε={said} at δ={charges[-1].delta:g}, and its records come to "
            f"{found}: ask its writer"
        )


def spent_by_view(charges: Sequence[Charge], delta: float) -> dict[str, float]:
    """Return view → ε of all these together; a view without a bound is left out."""
    found = {view: spent(charges, delta, view) for view in VIEWS}
    return {view: epsilon for view, epsilon in found.items() if epsilon is not None}
