"""The one loop that every runtime drives a round with, from its beginning to its sum."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from secagg_protocols import Output

from .request import Answers, Requests
from .rounds import Round
from .terms import Peer

Exchange: TypeAlias = Callable[[Requests[Peer], bool], Iterable[tuple[Peer, bytes | memoryview | Answers]]]
"""A runtime's own part: (requests, whether the model goes with them) → peers and what they answer, as it comes in.

It ends when the step is to be closed: when all have answered, or a deadline has passed. Who answers nothing is a
dropout. Answers are taken one at a time, each before the next is asked for, so they may be made as they are needed.
"""


def drive(rnd: Round[Peer], exchange: Exchange[Peer]) -> Output:
    """Run a round to its sum. Raises `RoundFailed`, and what else `Round.advance` and the exchange raise."""
    requests = rnd.begin()
    while rnd.output is None:
        for peer, answers in exchange(requests, rnd.uploads):
            rnd.take(peer, answers)
        requests = rnd.advance()
    return rnd.output
