"""The coordinator's process: it listens, holds its rounds, and stays a little so that every site hears of the end."""

from __future__ import annotations

import asyncio
import signal
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

from secagg.round.request import one_line
from secagg.round.rounds import Rounds
from secagg_protocols import SYSTEM, ParameterError, Roster, RoundFailed, SecAggError, StateError

from .calls import DONE, START_BYTES, Doorkeeper
from .conduct import conduct
from .desk import Desk
from .limits import Connections
from .listening import listen, served
from .settings import Address, Deadlines
from .tls import is_loopback
from .web import Service

STAYS_SECONDS = 30.0
"""How long a coordinator that is done answers the sites that have called, so that they hear of it."""


def names_of(roster: Roster) -> tuple[str, ...]:
    """Return what the sites of a roster are called. Raises `ParameterError` where two have one name."""
    names = [entry.name for entry in roster.entries if entry.id in roster.participants]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ParameterError(
            f"two sites of the roster (--roster) are called {twice[0]!r}: give every site its own name"
        )
    return tuple(names)


async def serve(
    rounds: Rounds,
    roster: Roster,
    address: Address,
    context: ssl.SSLContext | None,
    deadlines: Deadlines,
    say: Callable[[str], None],
) -> None:
    """Hold all rounds with the sites of the roster. context: None only where nobody but this machine can connect.

    Raises `RoundFailed`, `InputError` for an address that is taken, `StateError` when it is stopped from outside.
    """
    if context is None and not is_loopback(address.host):
        raise ParameterError(
            f"without --tls-cert and --tls-key only this machine may connect: give both, or --host 127.0.0.1, "
            f"not {address.host}"
        )
    names = names_of(roster)
    desk = Desk(names)
    service = Service(desk, Doorkeeper(roster, SYSTEM.bytes(START_BYTES)), "secagg coordinator", address.show_status)
    listening = listen(address.host, address.port, Connections.of(len(names)))
    port = listening.getsockname()[1]
    try:
        async with served(service.application(), listening, context):
            say(f"listening on {'http' if context is None else 'https'}://{address.host}:{port} for {len(names)} sites")
            await _held(rounds, desk, deadlines, say)
    except asyncio.CancelledError:
        raise StateError("stopped; the same command goes on where this one was (--state)") from None


async def _held(rounds: Rounds, desk: Desk, deadlines: Deadlines, say: Callable[[str], None]) -> None:
    """Hold all rounds, and let the sites hear how it ended."""
    try:
        await conduct(rounds, desk, deadlines, say)
        desk.end(DONE)
        await _stay(desk)
    except RoundFailed as failed:
        say("the same command asks this step again (--state)")
        desk.end(f"failed: {one_line(str(failed))}")
        await _stay(desk)
        raise
    except (SecAggError, OSError):
        desk.end("failed at the coordinator")
        await _stay(desk)
        raise
    finally:
        desk.stop()


async def _stay(desk: Desk) -> None:
    """Wait until every site that has called has heard of the end, no longer than `STAYS_SECONDS`."""
    clock = asyncio.get_running_loop().time
    end = clock() + STAYS_SECONDS
    while clock() < end and {name for name, seen in desk.sites.items() if seen.heard} - desk.told:
        await asyncio.sleep(0.1)


def run(serving: Coroutine[Any, Any, None]) -> None:
    """Run `serve` in a process of its own, until it is done or somebody ends it (SIGTERM, SIGINT)."""

    async def main() -> None:
        own = asyncio.current_task()
        assert own is not None
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, own.cancel)
        await serving

    asyncio.run(main())
