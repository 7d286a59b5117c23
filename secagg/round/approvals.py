"""What a person at a site has approved, on the site's own disk: a run, not a request. Later steps need no person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from secagg_protocols import InputError, ProtocolViolation, Scheme
from secagg_protocols.core import storage
from secagg_protocols.core.wire import encode
from secagg_protocols.primitives.domain import Use, digest, frame

from .expiry import is_over
from .request import Request

_SHORT = 16


def run_id(job: str) -> str:
    """Return the short name of a run, the same for who asks and all sites."""
    return job.rpartition(" ")[2][:_SHORT]


@dataclass(frozen=True)
class Asked:
    """A request that was read, and is answered as it was read. asker: who asks. roster: the site's, by its digest;
    empty: none. Raises `ProtocolViolation` for a run that has no name for a person.

    expires: of what is asked. about: what is asked for, as far as it stays the same in all rounds.
    """

    asker: str
    request: Request
    scheme: Scheme
    roster: bytes
    expires: str
    about: bytes

    def __post_init__(self) -> None:
        if not self.job.isprintable():
            raise ProtocolViolation("the name of the run has signs that cannot be shown to a person")

    @property
    def job(self) -> str:
        """The run."""
        return self.request.proposal.job

    @property
    def lasting(self) -> bytes:
        """What is approved: who asks for what, and the proposal, but for what changes from round to round."""
        proposal = self.request.proposal
        kept = {name: value for name, value in proposal.parameters.items() if name != "value_bits"}
        values = msgspec.msgpack.encode(kept, order="deterministic")
        same = (proposal.scheme, str(proposal.participants), values, proposal.job, frame(*proposal.bound))
        return digest(Use.APPROVAL, self.asker, *same, self.about, self.roster)

    @property
    def whole(self) -> bytes:
        """What all requests of one round have in common."""
        return digest(Use.APPROVED_ROUND, encode(self.request.proposal), str(self.request.participant))


class Approval(msgspec.Struct):
    """lasting: of `Asked`. expires: of its query. rounds: round → `Asked.whole`, as it was asked first."""

    lasting: bytes
    expires: str
    rounds: dict[int, bytes] = {}

    def is_over(self, now: datetime) -> bool:
        """Whether its query has expired."""
        return is_over(self.expires, now)


class Approvals:
    """The file. Raises `InputError` for a damaged one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._runs = msgspec.json.decode(path.read_bytes(), type=dict[str, Approval])
        except FileNotFoundError:
            self._runs = {}
        except msgspec.MsgspecError as error:
            raise InputError(f"{path} is damaged ({error}): delete it, and approve again what is to go on") from None

    def add(self, asked: Asked) -> None:
        """Write down that a person has approved a run. One that was approved stays as it was."""
        self._runs.setdefault(asked.job, Approval(asked.lasting, asked.expires))
        self._write()

    def covers(self, asked: Asked) -> bool:
        """Tell whether a request is of an approved run. Raises `ProtocolViolation` for one that has changed."""
        approval = self._runs.get(asked.job)
        if approval is None:
            return False
        if approval.lasting != asked.lasting:
            raise ProtocolViolation("the proposal is not the one that this site has approved: submit another run")
        number = asked.request.proposal.round
        if approval.rounds.setdefault(number, asked.whole) != asked.whole:
            raise ProtocolViolation(f"round {number} of this run was asked before with another proposal")
        self._write()
        return True

    def take_expired(self, now: datetime) -> list[str]:
        """Return the jobs of runs that have expired, and forget their approvals."""
        over = [job for job, approval in self._runs.items() if approval.is_over(now)]
        for job in over:
            del self._runs[job]
        if over:
            self._write()
        return over

    def _write(self) -> None:
        storage.replace(self._path, msgspec.json.encode(self._runs))
