"""The scientist's side: rounds over datasites, in a folder, for as many days as their owners take.

Nothing is kept but the folder: each `step` makes the round anew from it, so that a notebook may end at any time. A step
goes out as one job for each owner; who has not answered by the deadline is a dropout.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from secagg.listing import listed
from secagg.round import Answers, Round
from secagg.round.approvals import run_id
from secagg_protocols import InputError, Output, ParameterError
from secagg_protocols.core import storage
from secagg_protocols.errors import LocalError

from .job import DONE, FAILED, PREFIX, REJECTED, Params, Training, quiet, read_answer, submit

T = TypeVar("T")

POLL = 30.0
"""Seconds between two looks of `Kept.wait`."""

PLAN, ROUNDS = "run.json", "rounds"
_ASKED, _LOCK = "asked.json", "run.lock"
_DECIDED = (DONE, REJECTED, FAILED)


class Plan(msgspec.Struct, frozen=True):
    """What a run was submitted with. query: its JSON. knobs: of `settings_of`, or of `Settings.of` where it is a
    training. deadline: seconds."""

    owners: tuple[str, ...]
    knobs: dict[str, Any]
    deadline: float
    query: str = ""
    training: Training | None = None


class _Asked(msgspec.Struct, frozen=True):
    """The open step. since: seconds since 1970. jobs: owner → name of its job."""

    round: int = 0
    step: str = ""
    since: float = 0.0
    jobs: dict[str, str] = {}


@dataclass(frozen=True)
class Status:
    """How far a run has come. step: the open one. owners: owner → what became of its job, in PySyft's words."""

    run_id: str
    round: int
    step: str
    done: bool
    owners: Mapping[str, str]

    def __str__(self) -> str:
        if self.done:
            return f"run {self.run_id}: done"
        head = f"run {self.run_id}: round {self.round}, step {self.step}"
        return "\n".join([head, *(f"  {owner}: {said}" for owner, said in self.owners.items())])


class Rounds(Protocol):
    """Rounds that follow each other, kept in a folder: an `Inquiry`, or `KeptAveraging`."""

    @property
    def job(self) -> str:
        """The job of all of them."""

    @property
    def done(self) -> bool:
        """Whether nothing more is to be asked."""

    @property
    def may_leave_out(self) -> bool:
        """Whether owners that are late may be left out of the sum at hand."""

    def open(self) -> AbstractContextManager[Round[str]]:
        """Return the round at hand, where it was left."""

    def close(self, output: Output) -> None:
        """Take its sum."""


@dataclass
class Kept(ABC):
    """What was submitted, and is kept in a folder. clients: owner's e-mail address → the scientist's client that
    reaches it."""

    folder: Path
    clients: Mapping[str, Any] = field(repr=False)
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC), repr=False)

    def __post_init__(self) -> None:
        self._plan = plan_in(self.folder)
        if sorted(self._plan.owners) != sorted(self.clients):
            raise ParameterError(f"{self.folder} is a run over {listed(self._plan.owners)}: give their clients")

    @abstractmethod
    def _rounds(self) -> Rounds:
        """Return its rounds, made from the folder."""

    @abstractmethod
    def _params(self, request: bytes, uploads: bool) -> Params:
        """Return what a job holds. uploads: whether it asks for a vector."""

    def check(self) -> None:
        """Read all that the open round has in the folder. Raises `InputError`, with the place of what is damaged."""
        with self._alone():
            rounds = self._rounds()
            if not rounds.done:
                with rounds.open():
                    pass

    @property
    def run_id(self) -> str:
        """Its short name, which owners approve."""
        return run_id(self._rounds().job)

    @property
    def done(self) -> bool:
        """Whether nothing more is asked."""
        return self._rounds().done

    @property
    def status(self) -> Status:
        """Who has answered the open step, as far as this machine was synced."""
        rounds, asked = self._rounds(), self._asked()
        jobs = self._jobs(asked)
        said = {owner: _said(jobs.get(owner)) for owner in asked.jobs}
        return Status(run_id(rounds.job), asked.round, asked.step, rounds.done, said)

    def step(self, *, close: bool = False) -> Status:
        """Take what has come; where all have answered, or the deadline is over, ask what comes next. close: do not wait
        for those who are missing.

        After the first sum, sites that are missing are waited for, since the others would refuse to be told apart from
        them. Raises `RoundFailed` for too few answers (the next call asks anew), `LocalError` where another process is
        at this folder.
        """
        with self._alone():
            rounds = self._rounds()
            if not rounds.done:
                self._sync()
                if self._go(rounds, close) and not rounds.done:
                    self._go(rounds, False)
        return self.status

    def wait(self, timeout: float, poll: float = POLL) -> None:
        """Step until nothing more is asked. Both in seconds.

        Raises `LocalError` when the time is over, and what `step` raises.
        """
        end = time.monotonic() + timeout
        while not self.done:
            status = self.step()
            left = end - time.monotonic()
            if not status.done and left <= 0:
                raise LocalError(f"no result within {timeout:g} s; {status}".replace("\n", " "))
            time.sleep(0 if status.done else min(poll, left))

    def _go(self, rounds: Rounds, close: bool) -> bool:
        """Go on with the open step; tell whether its sum is there."""
        with rounds.open() as rnd:
            waiting = self._take(rnd, self._submit(rnd, rnd.begin()))
            if not (close or not waiting or self._overdue(rounds, rnd)):
                return False
            requests = rnd.advance()
            if rnd.output is None:
                self._submit(rnd, requests)
                return False
            rounds.close(rnd.output)
        return True

    def _submit(self, rnd: Round[str], requests: Mapping[str, bytes]) -> dict[str, Any]:
        """Submit what was not submitted before; return the jobs of the open step, by owner."""
        asked = self._asked()
        there: dict[str, Any] = {}
        if (asked.round, asked.step) != (rnd.proposal.round, str(rnd.step)):
            name = f"{PREFIX}{run_id(rnd.proposal.job)}-{rnd.proposal.round}-{rnd.step}"
            jobs = dict.fromkeys(requests, name)
            asked = _Asked(rnd.proposal.round, str(rnd.step), self.now().timestamp(), jobs)
            storage.replace(self.folder / _ASKED, msgspec.json.encode(asked))
        else:
            there = self._jobs(asked)
        if not (new := sorted(requests.keys() - there.keys())):
            return there
        for owner in new:
            submit(self.clients[owner], owner, asked.jobs[owner], self._params(requests[owner], rnd.uploads))
        there = self._jobs(asked)
        if strange := sorted(requests.keys() - there.keys()):
            raise ParameterError(f"{listed(strange)} is no peer of its client: client.add_peer(…), and step again")
        return there

    def _take(self, rnd: Round[str], jobs: Mapping[str, Any]) -> set[str]:
        """Take what has come; return of whom nothing has."""
        waiting = set(rnd.waiting_for) & self._asked().jobs.keys()
        for owner, job in jobs.items():
            if owner not in waiting or job.status not in _DECIDED:
                continue
            waiting.discard(owner)
            if job.status == DONE:
                rnd.take(owner, read_answer(job, rnd.answer_limit))
            else:
                rnd.take(owner, Answers((), f"{job.status}: {job.review_reason or 'it was run, and not answered'}"))
        return waiting

    def _overdue(self, rounds: Rounds, rnd: Round[str]) -> bool:
        """Whether nobody is waited for any more."""
        steps = rnd.server.scheme.steps
        assert rnd.step is not None
        settled = steps.index(rnd.step) > steps.index(rnd.server.scheme.upload_step)
        late = self.now().timestamp() > self._asked().since + self._plan.deadline
        return late and (settled or rounds.may_leave_out)

    # --- the folder, and PySyft

    def _asked(self) -> _Asked:
        path = self.folder / _ASKED
        return _decoded(path, _Asked) if path.exists() else _Asked()

    def _jobs(self, asked: _Asked) -> dict[str, Any]:
        """Return the jobs of the open step, by owner."""
        with quiet():
            held = [job for client in _each(self.clients) for job in client.jobs]
        return {job.datasite_owner_email: job for job in held if asked.jobs.get(job.datasite_owner_email) == job.name}

    def _sync(self) -> None:
        with quiet():
            for client in _each(self.clients):
                client.sync()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        descriptor = storage.open_locked(self.folder / _LOCK, wait=False)
        try:
            yield
        finally:
            os.close(descriptor)


def _each(clients: Mapping[str, Any]) -> list[Any]:
    """Return each client once."""
    return list({id(client): client for client in clients.values()}.values())


def _said(job: Any) -> str:
    if job is None:
        return "not submitted"
    return f"{job.status}: {job.review_reason}" if job.review_reason else str(job.status)


def plan_in(folder: Path) -> Plan:
    """Return what a run was submitted with. Raises `InputError` for a folder without one."""
    return _decoded(folder / PLAN, Plan)


def _decoded(path: Path, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): is {path.parent} the folder of a run?") from None
    except msgspec.MsgspecError as error:
        raise InputError(f"{path} is damaged ({error}): submit another run") from None
