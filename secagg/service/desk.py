"""What is asked of whom at the moment, and who has answered. One event loop, no HTTP.

A request is handed out until it is answered, and an answer that comes twice is taken once. A site answers each step
once: what is wrong with its answer, the round records.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from secagg.round import Round
from secagg_protocols import LateMessage


@dataclass
class Seen:
    """What the coordinator knows of one site. heard: when it last called, on the loop's clock."""

    heard: float | None = None
    refused: str = ""


@dataclass(frozen=True)
class View:
    """The open step as it was when nothing was at work on it. waiting: who has not answered. left: who is out of the
    round. answer_limit: of one answer, in bytes."""

    round: int
    step: str
    needed: int
    ready: bool
    waiting: frozenset[str]
    left: frozenset[str]
    answer_limit: int

    @classmethod
    def of(cls, rnd: Round[str], names: Iterable[str]) -> View:
        """Look at a round."""
        known = rnd.participants
        return cls(
            round=rnd.proposal.round,
            step=str(rnd.step),
            needed=rnd.needed,
            ready=rnd.ready,
            waiting=rnd.waiting_for,
            left=frozenset(name for name in names if known.get(name) is None or known[name] in rnd.dropped),
            answer_limit=rnd.answer_limit,
        )


@dataclass
class _Open:
    """The open step. asked: site → the digest of its request. answered: who has."""

    rnd: Round[str]
    requests: Mapping[str, bytes]
    since: float
    asked: dict[str, str]
    view: View
    answered: set[str] = field(default_factory=set)


class Desk:
    """The coordinator's desk, between rounds and sites. names: of all sites, in the roster's order."""

    def __init__(self, names: Iterable[str]) -> None:
        self.sites = {name: Seen() for name in names}
        self.over = ""
        self.stops = False
        self.told: set[str] = set()
        self.broken: OSError | None = None
        self._step: _Open | None = None
        self._changed = asyncio.Event()
        self._round = asyncio.Lock()

    @property
    def view(self) -> View | None:
        """The open step; None between steps."""
        return None if self._step is None else self._step.view

    @property
    def since(self) -> float | None:
        """When the open step began, on the loop's clock."""
        return None if self._step is None else self._step.since

    @property
    def missing(self) -> frozenset[str]:
        """Sites whose answers the open step still waits for."""
        return frozenset() if self._step is None else self._step.view.waiting - self._step.answered

    @property
    def ready(self) -> bool:
        """Whether enough have answered for the step to be closed."""
        return self._step is not None and self._step.view.ready

    @property
    def progress(self) -> str:
        """How far the open step has come, in one line."""
        assert self._step is not None
        view, asked = self._step.view, len(self._step.asked)
        return f"round {view.round}, step {view.step}: {len(self._step.answered)} of {asked} asked have answered"

    def open(self, rnd: Round[str], requests: Mapping[str, bytes]) -> None:
        """Ask what a step begins with."""
        asked = {name: _digest(requests[name]) for name in requests}
        self._step = _Open(rnd, requests, asyncio.get_running_loop().time(), asked, View.of(rnd, self.sites))
        self._tell()

    async def advance(self) -> Mapping[str, bytes]:
        """Close the open step; return whom to ask next. Raises what `Round.advance` raises."""
        assert self._step is not None
        async with self._round:
            step, self._step = self._step, None
            return await asyncio.to_thread(step.rnd.advance)

    def end(self, why: str) -> None:
        """Tell everybody who asks that nothing more is asked, and why."""
        self._step = None
        self.over = why
        self._tell()

    def stop(self) -> None:
        """Let everybody who waits come again: this process ends, and another may go on."""
        self.stops = True
        self._tell()

    def request_for(self, name: str) -> tuple[str, bytes] | None:
        """Return what is asked of a site now, with its digest; None where nothing is."""
        if self._step is None or name in self._step.answered or name not in self._step.asked:
            return None
        return self._step.asked[name], self._step.requests[name]

    def answer_limit(self, name: str, about: str) -> int:
        """Return how long an answer may be, in bytes. Raises `LateMessage` for one that nobody waits for."""
        step = self._step
        if step is None or step.asked.get(name) != about:
            raise LateMessage("nobody waits for this answer: its step is closed")
        return step.view.answer_limit

    async def take(self, name: str, about: str, answer: bytes) -> None:
        """Take what a site answers to the request with this digest. Raises `LateMessage`."""
        async with self._round:
            self.answer_limit(name, about)
            step = self._step
            assert step is not None
            if name in step.answered:
                return
            try:
                await asyncio.to_thread(step.rnd.take, name, answer)
            except OSError as error:
                self.broken = error
            step.answered.add(name)
            step.view = View.of(step.rnd, self.sites)
            if own := [item for item in step.rnd.refused if item.peer == name]:
                self.sites[name].refused = str(own[-1])
        self._tell()

    async def change(self, seconds: float) -> None:
        """Wait until something has changed since this was called, no longer than so many seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), max(seconds, 0))

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _digest(request: bytes) -> str:
    return hashlib.sha256(request).hexdigest()
