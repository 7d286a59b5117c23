"""The scientist's side: a query over datasites, in a folder, for as many days as its owners take.

Nothing is kept but the folder: each `step` makes the inquiry and its round anew from it, so that a notebook may end
at any time. A step goes out as one job for each owner; who has not answered by the deadline is a dropout.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from secagg.listing import listed
from secagg.round import Answers, Round
from secagg.round.settings import FILES
from secagg.stats import Inquiry, Query, Result, settings_of
from secagg_protocols import InputError, ParameterError
from secagg_protocols.core import storage
from secagg_protocols.errors import LocalError

from .approvals import run_id
from .job import DONE, FAILED, PREFIX, REJECTED, quiet, read_answer, submit

DEADLINE = 7 * 86_400.0
"""Seconds that owners have for one step, unless it is said."""
POLL = 30.0
"""Seconds between two looks of `Run.result`."""

_PLAN, _ASKED, _LOCK, _INQUIRY = "run.json", "asked.json", "run.lock", "inquiry"
_DECIDED = (DONE, REJECTED, FAILED)


class _Plan(msgspec.Struct, frozen=True):
    """What a run was submitted with. query: its JSON. knobs: of `settings_of`. deadline: seconds."""

    owners: tuple[str, ...]
    query: str
    knobs: dict[str, Any]
    deadline: float


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


@dataclass
class Run:
    """A query that was submitted (`submit_secure_sum`, `resume`). clients: owner's e-mail address → the scientist's
    client that reaches it."""

    folder: Path
    clients: Mapping[str, Any] = field(repr=False)
    now: Any = field(default=lambda: datetime.now(UTC), repr=False)

    def __post_init__(self) -> None:
        self._plan = _decoded(self.folder / _PLAN, _Plan)
        if sorted(self._plan.owners) != sorted(self.clients):
            raise ParameterError(f"{self.folder} is a run over {listed(self._plan.owners)}: give their clients")
        self._settings = settings_of(self._plan.knobs)

    @property
    def run_id(self) -> str:
        """Its short name, which owners approve."""
        return run_id(self._inquiry().job)

    @property
    def done(self) -> bool:
        """Whether the results are there."""
        return self._inquiry().done

    @property
    def survivors(self) -> tuple[int, ...]:
        """How many owners are in the last sum of each statistic."""
        return self._inquiry().progress.sites

    @property
    def status(self) -> Status:
        """Who has answered the open step, as far as this machine was synced."""
        inquiry, asked = self._inquiry(), self._asked()
        jobs = self._jobs(asked)
        said = {owner: _said(jobs.get(owner)) for owner in asked.jobs}
        return Status(run_id(inquiry.job), asked.round, asked.step, inquiry.done, said)

    def step(self, *, close: bool = False) -> Status:
        """Take what has come; where all have answered, or the deadline is over, ask what comes next. close: do not wait
        for those who are missing.

        After the first sum, sites that are missing are waited for, since the others would refuse to be told apart from
        them. Raises `RoundFailed` for too few answers (the next call asks anew), `LocalError` where another process is
        at this folder.
        """
        with self._alone():
            inquiry = self._inquiry()
            if not inquiry.done:
                self._sync()
                if self._go(inquiry, close) and not inquiry.done:
                    self._go(inquiry, False)
        return self.status

    def result(self, timeout: float, poll: float = POLL) -> tuple[Result, ...]:
        """Step until the results are there; return them, in the order of the statistics. Both in seconds.

        Raises `LocalError` when the time is over, and what `step` raises.
        """
        end = time.monotonic() + timeout
        while not self.done:
            status = self.step()
            left = end - time.monotonic()
            if not status.done and left <= 0:
                raise LocalError(f"no result within {timeout:g} s; {status}".replace("\n", " "))
            time.sleep(0 if status.done else min(poll, left))
        return self._inquiry().results

    def _go(self, inquiry: Inquiry, close: bool) -> bool:
        """Go on with the open step; tell whether its sum is there."""
        with inquiry.open() as rnd:
            waiting = self._take(rnd, self._submit(rnd, rnd.begin()))
            if not (close or not waiting or self._overdue(inquiry, rnd)):
                return False
            requests = rnd.advance()
            if rnd.output is None:
                self._submit(rnd, requests)
                return False
            inquiry.close(rnd.output)
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
            submit(self.clients[owner], owner, asked.jobs[owner], requests[owner])
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

    def _overdue(self, inquiry: Inquiry, rnd: Round[str]) -> bool:
        """Whether nobody is waited for any more."""
        steps = rnd.server.scheme.steps
        assert rnd.step is not None
        settled = steps.index(rnd.step) > steps.index(rnd.server.scheme.upload_step)
        late = self.now().timestamp() > self._asked().since + self._plan.deadline
        return late and (settled or inquiry.may_leave_out)

    # --- the folder, and PySyft

    def _inquiry(self) -> Inquiry:
        query = Query.from_json(self._plan.query)
        return Inquiry(query, self._settings, self._plan.owners, self.folder / _INQUIRY)

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


def submit_secure_sum(
    clients: Mapping[str, Any],
    dataset: str,
    query: Query,
    folder: Path | str,
    *,
    minimum_owners: int = 3,
    deadline: float = DEADLINE,
    **knobs: Any,
) -> Run:
    """Ask the owners of a dataset; return the run, whose first step is submitted.

    clients: owner's e-mail address → the scientist's client that reaches it; one client may reach all. folder: a new
    one. deadline: seconds that owners have for one step. knobs: those of `secagg.stats.settings_of` as plain values and
    paths: scheme and its parameters, adversary, identity, roster, audit, dp_…

    Raises `ParameterError`, with a remedy, for what owners could not answer; `InputError` for a folder that is in use.
    """
    folder = Path(folder)
    _check_owners(clients, minimum_owners)
    if deadline <= 0:
        raise ParameterError(f"deadline={deadline} is no time; give seconds")
    asked = msgspec.structs.replace(query, dataset=dataset)
    paths = {name: str(Path(value).absolute()) for name, value in knobs.items() if name in FILES}
    plan = _Plan(
        tuple(clients),
        asked.to_json().decode(),
        {**knobs, **paths, "minimum_cohort": minimum_owners},
        deadline,
    )
    try:
        encoded = msgspec.json.encode(plan)
    except TypeError as error:
        raise ParameterError(f"knobs are kept as JSON ({error}): give paths and plain values") from None
    if (folder / _PLAN).exists():
        raise InputError(f"{folder} holds a run already: resume it, or give another folder")
    storage.make_folder(folder)
    Inquiry(asked, settings_of(plan.knobs), plan.owners, folder / _INQUIRY)
    storage.replace(folder / _PLAN, encoded)
    run = Run(folder, clients)
    run.step()
    return run


def resume(folder: Path | str, clients: Mapping[str, Any]) -> Run:
    """Return a run from its folder. Raises `InputError` for a folder without one, or a damaged file of it."""
    return Run(Path(folder), clients)


def _check_owners(clients: Mapping[str, Any], minimum_owners: int) -> None:
    names = [owner.casefold() for owner in clients]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ParameterError(f"owner {listed(twice)} is named twice: each has one dataset, and one vote")
    if len(names) < minimum_owners:
        raise ParameterError(f"{len(names)} owners, and minimum_owners={minimum_owners}: ask more of them")
    scientists = {client.email.casefold() for client in clients.values()}
    if both := sorted(scientists & set(names)):
        raise ParameterError(f"{listed(both)} is the scientist and an owner: the sum would hide one vector fewer")
    if len(scientists) > 1:
        raise ParameterError(f"the clients are of {listed(sorted(scientists))}: one scientist asks")


def _each(clients: Mapping[str, Any]) -> list[Any]:
    """Return each client once."""
    return list({id(client): client for client in clients.values()}.values())


def _said(job: Any) -> str:
    if job is None:
        return "not submitted"
    return f"{job.status}: {job.review_reason}" if job.review_reason else str(job.status)


def _decoded(path: Path, kind: Any) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): is {path.parent} the folder of a run?") from None
    except msgspec.MsgspecError as error:
        raise InputError(f"{path} is damaged ({error}): submit another run") from None
