"""How long a step lasts, for runtimes that push requests and leave the waiting to the aggregator: threads and a clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from queue import Empty, SimpleQueue
from typing import TypeVar

from .request import Requests
from .rounds import Round
from .terms import Peer

T = TypeVar("T")

POLL = 0.5
"""Seconds between two looks at whether to go on."""


def ask_all(requests: Requests[Peer], ask: Callable[[Peer, bytes], bytes | None]) -> Iterator[tuple[Peer, bytes]]:
    """Ask every peer in a thread of its own; yield answers as they come. ask: returns None where there is none; it has
    a limit of its own."""
    with ThreadPoolExecutor(max(1, len(requests))) as pool:
        asked = {pool.submit(ask, peer, requests[peer]): peer for peer in requests}
        for done in as_completed(asked):
            if (answers := done.result()) is not None:
                yield asked[done], answers


def arriving(
    rnd: Round[Peer],
    peers: Iterable[Peer],
    arrived: SimpleQueue[tuple[Peer, T]],
    limits: tuple[float, float],
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[Peer, T]]:
    """Yield what arrives of these peers, until all have sent something, or a limit is reached: seconds in all, and
    seconds after enough have answered. One that sent what is no answer is not waited for, and counts for nothing.

    arrived: is filled by whoever receives. stopped: whether to leave off.
    """
    longest, grace = limits
    waiting = set(peers)
    closes = time.monotonic() + longest
    enough = False
    while waiting and not stopped() and (left := closes - time.monotonic()) > 0:
        if rnd.ready and not enough:
            enough = True
            closes = min(closes, time.monotonic() + grace)
            continue
        try:
            peer, given = arrived.get(timeout=min(POLL, left))
        except Empty:
            continue
        waiting.discard(peer)
        yield peer, given
