"""When a step is closed, and what comes after a round: the coordinator's policy, and its only use of a clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from secagg.round.rounds import Rounds

from .desk import Desk
from .settings import Deadlines


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
