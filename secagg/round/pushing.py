"""The aggregator's waiting, for runtimes that send requests out and leave it to the caller: threads, and a clock."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Protocol, TypeAlias

from secagg_protocols import StateError

from .drive import Exchange
from .request import Requests, one_line
from .rounds import Round
from .settings import Settings

log = logging.getLogger("secagg.round")

POLL = 0.5
"""Seconds between two looks at whether to go on."""

Arrived: TypeAlias = "SimpleQueue[tuple[str, bytes | str]]"


@dataclass(frozen=True, kw_only=True)
class PushSettings(Settings):
    """What the aggregator decides. In seconds: stage_timeout, for each step without training; train_timeout, for
    training; grace, for the others once enough vectors came; start_timeout, until the sites are there."""

    stage_timeout: float = 30.0
    train_timeout: float = 3600.0
    grace: float = 300.0
    start_timeout: float = 60.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_seconds("stage_timeout", "train_timeout", "grace", "start_timeout")
        self.check_released_to_server("whoever averages")


class Line(Protocol):
    """How a runtime reaches its sites, and whether it is to leave off."""

    def stopped(self) -> bool:
        """Whether the job was called off."""

    def ask(self, peer: str, request: bytes, seconds: float) -> bytes | str:
        """Return a site's answers to one step; as a text, why there are none. Called in many threads."""

    def send(self, peers: Sequence[str], limit: int, arrived: Arrived) -> None:
        """Send the model to these sites, and return; put into `arrived` what comes of it, or in words why it is no
        answer. limit: of an answer, in bytes."""

    def close(self) -> None:
        """Take the model back: what comes from now on is too late."""


def pushed(rnd: Round[str], line: Line, settings: PushSettings) -> Exchange[str]:
    """Return how a step of this round is asked: the model goes to those that answer when vectors are due."""

    def exchange(requests: Requests[str], uploads: bool) -> Iterator[tuple[str, bytes]]:
        there = set()
        for peer, answers in _asked(requests, line, settings.stage_timeout):
            there.add(peer)
            yield peer, answers
        if uploads and (peers := sorted(there & rnd.waiting_for)):
            arrived: Arrived = SimpleQueue()
            line.send(peers, rnd.answer_limit, arrived)
            yield from _arriving(rnd, peers, arrived, line, settings)
            line.close()
        log.info("secagg: %s: %d asked, missing: %s", rnd.step, len(requests), sorted(rnd.waiting_for) or "nobody")

    return exchange


def await_peers(there: Callable[[], tuple[int, int]], needed: int, line: Line, settings: PushSettings) -> None:
    """Wait until all are there; after a while, until as many as are needed. there: how many are, and of how many.
    Raises `StateError`."""
    until = time.monotonic() + settings.start_timeout
    while not line.stopped():
        count, known = there()
        late = time.monotonic() > until
        if count >= needed and (late or count == known):
            return
        if late:
            raise StateError(
                f"{count} of {known} sites are there after start_timeout={settings.start_timeout:g} s, fewer than "
                f"{needed}: their logs say why"
            )
        time.sleep(POLL)


def _asked(requests: Requests[str], line: Line, seconds: float) -> Iterator[tuple[str, bytes]]:
    """Ask every peer in a thread of its own; yield answers as they come."""
    with ThreadPoolExecutor(max(1, len(requests))) as pool:
        asked = {pool.submit(line.ask, peer, requests[peer], seconds): peer for peer in requests}
        for done in as_completed(asked):
            if isinstance(answers := done.result(), bytes):
                yield asked[done], answers
            else:
                log.warning("secagg: %s gave no answer to this step: %s", asked[done], one_line(answers))


def _arriving(
    rnd: Round[str], peers: Collection[str], arrived: Arrived, line: Line, settings: PushSettings
) -> Iterator[tuple[str, bytes]]:
    """Yield what arrives, until all have sent something, or `grace` after enough were taken, or at the deadline.
    Whatever is no answer counts for nothing, and its sender is not waited for."""
    waiting = set(peers)
    closes = time.monotonic() + settings.train_timeout
    enough = False
    while waiting and not line.stopped() and (left := closes - time.monotonic()) > 0:
        if rnd.ready and not enough:
            enough = True
            closes = min(closes, time.monotonic() + settings.grace)
            continue
        try:
            peer, answers = arrived.get(timeout=min(POLL, left))
        except Empty:
            continue
        waiting.discard(peer)
        if isinstance(answers, bytes):
            yield peer, answers
        else:
            log.warning("secagg: %s brings no vector: %s", peer, one_line(answers))
