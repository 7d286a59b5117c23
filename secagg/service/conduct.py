"""When a step is closed, and what comes after a round: the coordinator's policy, and its only use of a clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from secagg.round import Round
from secagg_protocols import Output

from .desk import Desk
from .settings import Deadlines


class Rounds(Protocol):
    """Rounds that follow each other, each from what came before."""

    @property
    def done(self) -> bool:
        """Whether there is nothing more to ask."""

    @property
    def may_leave_out(self) -> bool:
        """Whether sites that are late may be left out of the round at hand."""

    def open(self) -> AbstractContextManager[Round[str]]:
        """Return the round at hand; after a restart, the same one where it was."""

    def close(self, output: Output) -> None:
        """Take its sum, and go on to the next. It is on disk when this returns."""


async def conduct(rounds: Rounds, desk: Desk, deadlines: Deadlines, say: Callable[[str], None]) -> None:
    """Hold one round after the other until nothing more is to be asked. Raises `RoundFailed`, and what the rounds
    raise. After a restart all deadlines begin anew."""
    while not rounds.done:
        with rounds.open() as rnd:
            requests: Mapping[str, bytes] = rnd.begin()
            while rnd.output is None:
                desk.open(rnd, requests)
                await _answers(desk, deadlines.step_timeout, deadlines.grace if rounds.may_leave_out else None)
                say(desk.progress)
                requests = await desk.advance()
            await asyncio.to_thread(rounds.close, rnd.output)


async def _answers(desk: Desk, seconds: float, grace: float | None) -> None:
    """Return when the open step is to be closed. grace: how long it waits once enough are there; None: for all."""
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    while desk.missing:
        if desk.ready and grace is not None:
            end, grace = min(end, clock() + grace), None
        if clock() >= end:
            return
        await desk.change(end - clock())
        if desk.broken is not None:
            raise desk.broken
