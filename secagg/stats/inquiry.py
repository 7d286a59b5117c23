"""The coordinator's side of a query: one round of secure aggregation for each of its steps, over any transport.

    inquiry = Inquiry(query, settings_of({"scheme": "bonawitz"}), names)
    while not inquiry.done:
        with inquiry.open() as rnd:
            inquiry.close(drive(rnd, exchange))
    inquiry.results

In a folder it outlives its process: made again with the same query, settings and names it goes on with the step, and
within the step where its round was. Whoever is not among the survivors of the first sum is not asked again: the
difference of two sums would be that site's (`ledger`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from secagg.codec import Codec, Layout, Terms
from secagg.round import Proposal, Round, Settings, kept_round
from secagg.round.audit import Stamp
from secagg.round.peers import Peers
from secagg.round.private import PREFIX
from secagg_protocols import (
    SYSTEM,
    DurableServer,
    InputError,
    Output,
    ParameterError,
    RoundFailed,
    Scheme,
    StateError,
)
from secagg_protocols.core import storage
from secagg_protocols.core.noise import Noise
from secagg_protocols.core.wire import Message, decode, encode

from .noise import PlannedNoise, Wish
from .progress import PROGRESS_LIMIT, Progress
from .query import Query
from .results import Result
from .site import progress_digest
from .terms import NONCE_BYTES, QueryTerms, context_of
from .words import EXACT, noisy

_FILE = "inquiry"
_STATE_LIMIT = PROGRESS_LIMIT + (1 << 20)
_EARLY = {"early_keys": False}
"""Steps are few, and each is about another state: keys that are made before it is known win nothing."""


class Integers(Terms, frozen=True):
    """In place of a codec: statistics are integers already. epsilon, delta, tolerated, colluders: of `noise.Wish`; no
    epsilon: no noise."""

    kind: ClassVar[str] = "integers"
    version: ClassVar[int] = 1

    epsilon: float | None = None
    delta: float = 1e-5
    tolerated: int = 0
    colluders: int = 0

    @property
    def wish(self) -> Wish | None:
        """What is wanted of noise; None where there is to be none."""
        if self.epsilon is None:
            return None
        return Wish(float(self.epsilon), float(self.delta), self.tolerated, self.colluders)

    def check(self) -> None:
        """What is wrong with it is seen with the query."""

    def codec(self, layout: Layout) -> Codec:
        """There is none."""
        raise ParameterError("statistics are integers already: there is no codec")


def settings_of(knobs: Mapping[str, Any]) -> Settings:
    """Return what the coordinator decides (`Settings.of`), but for a codec. Raises `ParameterError`.

    dp_epsilon, dp_delta, dp_tolerated, dp_colluders: noise under the sums, which protects one row of any site.
    """
    asked = {name.removeprefix(PREFIX): value for name, value in knobs.items() if name.startswith(PREFIX)}
    others = {name: value for name, value in knobs.items() if not name.startswith(PREFIX)}
    return Settings.of({**_EARLY, **others, "codec": Integers.of(asked)})


class _Kept(Message, frozen=True):
    """The whole state: names, in order; those left out; the nonce; failed attempts; the progress, encoded; why there
    will be no results, once a sum has shown that."""

    names: tuple[str, ...]
    left_out: tuple[str, ...]
    nonce: bytes
    attempt: int
    progress: bytes
    ended: str = ""


class Inquiry:
    """One query, asked once. names: of the sites, in the order of their numbers. folder: where it is kept; None: it
    ends with its process.

    Raises `ParameterError` for settings that no such sum can have, `InputError` for a folder of another query, or of
    one whose sums have shown that it has no results.
    """

    def __init__(
        self, query: Query, settings: Settings, names: Sequence[str], folder: Path | str | None = None
    ) -> None:
        self._settings = settings
        self._folder = None if folder is None else Path(folder)
        fresh = _Kept(tuple(names), (), SYSTEM.bytes(NONCE_BYTES), 0, Progress.begin(query).to_bytes())
        self._kept = self._found(fresh)
        self._progress = Progress.from_bytes(self._kept.progress)
        if (self._progress.query, self._kept.names) != (query, tuple(names)):
            raise InputError(f"{folder} is of another query, or other sites: give another folder")
        self._round: Round[str] | None = None
        self._check_not_ended()
        settings.check_sampled(len(names), "ask more sites")
        if not self.done:
            self._scheme()
        if self._kept is fresh:  # else whoever only looks would put back what another process has gone on from
            self._keep(fresh)

    def _found(self, fresh: _Kept) -> _Kept:
        if self._folder is None:
            return fresh
        try:
            storage.make_folder(self._folder)
            return decode(_Kept, (self._folder / _FILE).read_bytes(), _STATE_LIMIT)
        except FileNotFoundError:
            return fresh
        except OSError as error:
            raise InputError(f"{self._folder}: cannot be used for a query ({error.strerror}); give another") from None

    def _check_not_ended(self) -> None:
        """Raise what a sum has shown already: the same step, asked again, would only show it again."""
        if self._kept.ended:
            raise InputError(self._kept.ended)

    @property
    def done(self) -> bool:
        """Whether all results are there."""
        return self._progress.done

    @property
    def may_leave_out(self) -> bool:
        """Whether a site that is late may be left out: of the first sum alone, since the others refuse to be told apart
        later."""
        return self._progress.step == 0

    @property
    def progress(self) -> Progress:
        """How far it has come."""
        return self._progress

    @property
    def results(self) -> tuple[Result, ...]:
        """The results, in the order of the statistics; once it is done."""
        return self._progress.results

    @property
    def job(self) -> str:
        """The job of its rounds, as audit records have it."""
        return context_of(self._terms(), self._progress).job

    @property
    def asked(self) -> tuple[str, ...]:
        """Who is asked: all that were not left out."""
        return tuple(name for name in self._kept.names if name not in self._kept.left_out)

    # --- one step

    @contextmanager
    def open(self) -> Iterator[Round[str]]:
        """Yield the round of the step at hand; in a folder, where it was left. Give its output to `close`."""
        self._check_not_ended()
        scheme = self._scheme()
        terms = self._terms()
        context = context_of(terms, self._progress)
        proposal = Proposal.of(scheme, context, terms=terms.to_bytes())
        folder = None if self._folder is None else self._step_folder()
        server = self._settings.make_server(scheme, context, datetime.now(UTC), folder)
        names, left_out = self._kept.names, self._kept.left_out
        try:
            if folder is None:
                self._round = Round(server, proposal, Peers(names, not scheme.active, left_out))
                yield self._round
                return
            assert isinstance(server, DurableServer)
            with kept_round(folder, server, proposal, names, left_out=left_out) as rnd:
                self._round = rnd
                yield rnd
        except RoundFailed:
            self._record(self._kept.progress)
            left_out = tuple(name for name in names if name in left_out or name in self._without_a_vector())
            self._turn(msgspec.structs.replace(self._kept, attempt=self._kept.attempt + 1, left_out=left_out))
            raise

    def _without_a_vector(self) -> set[str]:
        """Return who was not in a first sum that failed once sites had agreed to its survivors, as they remember."""
        rnd = self._round
        if rnd is None or self._progress.step:
            return set()
        scheme = rnd.server.scheme
        answered = rnd.outcome.answered
        later = scheme.steps[scheme.steps.index(scheme.upload_step) + 1 :]
        if not any(answered.get(step) for step in later):
            return set()
        return {name for name in self._kept.names if rnd.participants.get(name) not in answered[scheme.upload_step]}

    def close(self, output: Output) -> None:
        """Take the sum of a step. It is on disk, and in the audit log, when this returns.

        Raises `ProtocolViolation` for a sum that no such sites have, `InputError` for one that shows that the query
        has no results: then it has ended, and says so from now on.
        """
        if self._round is None:
            raise StateError("no step is open: call open first")
        total = output.total
        plan = self._planned
        if plan is not None:
            total = plan.read(output.total, len(output.survivors), self._progress)
        try:
            following = self._progress.combined(total, len(output.survivors))
        except InputError as error:
            self._record(self._kept.progress)
            self._turn(msgspec.structs.replace(self._kept, ended=str(error)))
            raise
        left_out = self._kept.left_out
        if self._progress.step == 0:
            participants = self._round.participants
            left_out = tuple(name for name in self._kept.names if participants.get(name) not in output.survivors)
        after = following.to_bytes()
        self._record(after)
        self._turn(msgspec.structs.replace(self._kept, left_out=left_out, progress=after))

    def _turn(self, kept: _Kept) -> None:
        """Go on to another round; what is kept of the one before is deleted."""
        folder = self._step_folder()
        self._keep(kept)
        self._round = None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def _keep(self, kept: _Kept) -> None:
        if self._folder is not None:
            storage.replace(self._folder / _FILE, encode(kept))
        self._kept = kept
        self._progress = Progress.from_bytes(kept.progress)

    def _record(self, after: bytes) -> None:
        """Write the audit record of the round that ended, unless it was written before a crash."""
        trail = self._settings.audit
        if trail is None or self._round is None:
            return
        context = self._round.proposal.context
        last = trail.log.last or {}
        if (last.get("job"), last.get("round")) == (context.job, context.round):
            return
        terms = self._terms()
        asked_after = Progress.from_bytes(after).asked()
        model, model_after = progress_digest(terms.progress), progress_digest(asked_after)
        wish = self._wish
        spent = self.epsilon(len(self._round.outcome.survivors))
        stamp = Stamp(
            now=datetime.now(UTC),
            model=model,
            model_after=model_after,
            epsilon=spent,
            delta=None if wish is None else wish.delta,
        )
        trail.write_round(self._round, stamp)

    # --- what a step is made of

    def _terms(self) -> QueryTerms:
        gain = 1 if self._planned is None else self._planned.gain
        return QueryTerms(self._kept.nonce, self._kept.attempt, self._progress.asked(), gain)

    def _scheme(self) -> Scheme:
        if self._planned is not None:
            return self._planned.scheme
        self._progress.check(self._participants)
        return self._settings.make_scheme_for(self._participants, self._progress.length, self._progress.value_bits)

    @property
    def _participants(self) -> int:
        return self._settings.participants(len(self._kept.names))

    @property
    def _wish(self) -> Wish | None:
        codec = self._settings.codec
        return codec.wish if isinstance(codec, Integers) else None

    @cached_property
    def _planned(self) -> PlannedNoise | None:
        """The noise of the only sum that a query with noise has."""
        if self._wish is None:
            return None
        return self._wish.planned(self._settings, self._participants, Progress.begin(self._progress.query))

    @property
    def noise(self) -> str:
        """What the results hold beside what is true of all rows, in words: noise, or what exact figures tell."""
        return EXACT if self._planned is None else noisy(Noise.of(str(self._planned.scheme.noise)), self._planned.gain)

    def epsilon(self, survivors: int) -> dict[str, float]:
        """Return view → ε of this query's sum over so many sites, for one row; empty without noise, or a sum."""
        if self._planned is None or self._wish is None or not survivors:
            return {}
        return self._planned.epsilon(survivors, self._wish.delta)

    def _step_folder(self) -> Path | None:
        if self._folder is None:
            return None
        return self._folder / f"round-{self._progress.step + self._kept.attempt + 1}"
