"""An owner's side: what is asked of it in words, what it approved, what it answers. No scientist's code is run.

A request is a pending PySyft job. Answered, it goes to *done* without ever having been *approved* in PySyft's sense,
which would run it; refused, to *rejected*, with the reason for the scientist to read. What nobody has approved stays
pending, and nothing is told about it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from secagg.listing import listed
from secagg.round import Answers, Request, SiteStore
from secagg.round.approvals import Approvals, run_id
from secagg.round.own_training import Fit
from secagg.round.site import told
from secagg_protocols import Envelope, ParameterError, SecAggError
from secagg_protocols.core import storage
from secagg_protocols.errors import Declined

from .answering import Answering, AskedJob, Statistics, Trainings
from .job import PENDING, PREFIX, Params, deposit, quiet, read_params
from .policy import Policy

FOLDER = Path("private") / "secagg"
"""In the owner's datasite: PySyft uploads nothing of `private`."""
WAITS = "waits for approval"


@dataclass(frozen=True)
class Pending:
    """A run that waits for approval. words: what is asked."""

    run_id: str
    scientist: str
    words: str

    def __str__(self) -> str:
        return f"run {self.run_id} of {self.scientist}\n{self.words}"


@dataclass
class Owner:
    """client: the owner's own, of PySyft. data: dataset, by the name that scientists know → its table, or CSV file.
    train: functions that this owner lets train on them, by name (`secagg.round.own_training.Fit`).

    Raises `ParameterError` for a policy that cannot be meant, `InputError` for bad files.
    """

    client: Any
    data: Mapping[str, Any] = field(repr=False)
    policy: Policy
    train: Mapping[str, Fit] = field(default_factory=dict, repr=False)
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC), repr=False)

    def __post_init__(self) -> None:
        if not self.client.has_do_role:
            raise ParameterError(f"the client of {self.client.email} is a scientist's: log in with syft_rds.login_do")
        self._folder = self.client.syftbox_folder / self.client.email / FOLDER
        storage.make_folder(self._folder)
        self._stats = self.policy.read(self._folder)
        self._statistics = Statistics(self._stats, self.data, self.now)
        self._trainings = Trainings(self._stats, self.train, self.data, self.now)
        self._shown: dict[str, AskedJob] = {}

    def pending(self) -> tuple[Pending, ...]:
        """Return what waits for approval. Nothing is answered; what the policy refuses anyway is not shown."""
        with self._alone() as approvals:
            earlier, self._shown = self._shown, {}
            for job in self._jobs():
                with suppress(SecAggError, OSError):  # `answer` refuses it, and says why
                    asked = self._read(job)
                    name = run_id(asked.job)
                    first = self._shown.get(name, earlier.get(name, asked))
                    # Names are the scientist's: under one that was read, nothing else may be approved.
                    if not approvals.covers(asked) and first.lasting == asked.lasting:
                        self._shown[name] = asked
        return tuple(Pending(name, asked.asker, self._words(asked)) for name, asked in self._shown.items())

    def approve(self, run: str) -> None:
        """Approve a run as `pending` has shown it, for all its steps. Raises `ParameterError` for one that was not."""
        if run not in self._shown:
            raise ParameterError(f"run {run!r} was not shown: call pending(), which has {listed(self._shown)}")
        with self._alone(sync=False) as approvals:
            approvals.add(self._shown.pop(run))

    def reject(self, run: str, reason: str) -> None:
        """Say no to a run that `pending` has shown, with a reason for the scientist. Raises `ParameterError`."""
        if run not in self._shown:
            raise ParameterError(f"run {run!r} was not shown: call pending(), which has {listed(self._shown)}")
        with self._alone():
            shown = self._shown.pop(run)
            for job in self._jobs():
                with suppress(SecAggError, OSError):  # of another run
                    if self._read(job).lasting == shown.lasting:
                        _refuse(job, reason)
            self._sync()

    def answer(self) -> dict[str, str]:
        """Answer what is approved, refuse what this owner's policy refuses; return what became of each request, by the
        name of its job."""
        with self._alone() as approvals:
            ended = approvals.take_expired(self.now())
            became: dict[str, str] = {}
            for job in self._jobs():
                became[_unused(job.name, became)] = self._turn(job, approvals, ended)
            self._sync()
            if isinstance(store := self._stats.site.store, SiteStore):
                for job in ended:  # not before its last answer is on its way
                    store.end(job)
        return became

    def _turn(self, job: Any, approvals: Approvals, ended: list[str]) -> str:
        """Answer one request, or refuse it. ended: the jobs whose rounds are over."""
        try:
            asked = self._read(job)
            if not approvals.covers(asked):
                return WAITS
        except (SecAggError, OSError) as refused:
            return _refuse(job, told(refused))
        answering = self._answering(asked.params)
        answer = answering.answer(asked)
        said = Answers.from_bytes(answer, len(answer))
        if said.refusal:
            return _refuse(job, said.refusal + answering.unfit(asked))
        deposit(job, answer)
        if said.envelopes and Envelope.from_bytes(said.envelopes[-1], len(answer)).kind == asked.scheme.steps[-1]:
            ended.append(asked.job)
        return "answered"

    def _read(self, job: Any) -> AskedJob:
        """Read a job once. Raises `SecAggError` for one that this owner never answers."""
        if not self.policy.may_ask(job.submitted_by):
            raise Declined(f"{job.submitted_by} is none of the scientists who may ask here (scientists)")
        params = read_params(job)
        request = Request.from_bytes(params.request)
        expires, about = self._answering(params).read(params, request)
        scheme = self._stats.site.accept(request.proposal)
        roster = self._stats.site.roster
        named = b"" if roster is None else roster.digest
        return AskedJob(job.submitted_by, request, scheme, named, expires, about, params)

    def _answering(self, params: Params) -> Answering:
        return self._statistics if params.training is None else self._trainings

    def _words(self, asked: AskedJob) -> str:
        """Say what an approval is of."""
        scheme = asked.scheme
        keys = f"the roster {asked.roster.hex()[:16]}" if scheme.active else "no roster: the scientist says who is who"
        return "\n".join(
            [
                f"{asked.asker} asks {scheme.participants} owners, of whom {scheme.quorum} must answer to the end.",
                f"The scientist may be {scheme.guarantee.adversary}: {scheme.name}, with {keys}.",
                self._answering(asked.params).words(asked),
            ]
        )

    def _jobs(self) -> list[Any]:
        """Return the requests that nobody has decided on, the oldest first."""
        with quiet():
            jobs = list(self.client.jobs)
        return [
            job
            for job in reversed(jobs)
            if job.status == PENDING and job.datasite_owner_email == self.client.email and job.name.startswith(PREFIX)
        ]

    @contextmanager
    def _alone(self, *, sync: bool = True) -> Iterator[Approvals]:
        """Hold the owner's folder. Raises `LocalError` where another process of this owner is at it."""
        descriptor = storage.open_locked(self._folder / "lock", wait=False)
        try:
            if sync:
                self._sync()
            yield Approvals(self._folder / "approvals.json")
        finally:
            os.close(descriptor)

    def _sync(self) -> None:
        with quiet():
            self.client.sync()


def _refuse(job: Any, reason: str) -> str:
    with quiet():
        job.reject(reason=reason)
    return f"rejected: {reason}"


def _unused(name: str, names: Container[str]) -> str:
    """Return a name that is not among those: jobs of two scientists, or two layouts of PySyft, may share one."""
    numbered = (f"{name} ({count})" for count in itertools.count(2))
    return next(one for one in itertools.chain([name], numbered) if one not in names)
