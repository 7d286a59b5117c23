"""One call at a time: what a machine that two threads call at once would add up is no sum, and nobody would notice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from ..errors import StateError

P = ParamSpec("P")
R = TypeVar("R")


class Turn:
    """Held by the call that is under way. A copy of it, or of its machine, is nobody's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise StateError(
                "another call on this machine is under way, and this one changed nothing: a machine is for one thread "
                "at a time; hold a lock of your own around its calls, or call again when that one is done"
            )

    def __exit__(self, *raised: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type[Turn], tuple[()]]:
        return Turn, ()


class TakesTurns(Protocol):
    """What has a `Turn`."""

    _turn: Turn


M = TypeVar("M", bound=TakesTurns)


def one_at_a_time(call: Callable[Concatenate[M, P], R]) -> Callable[Concatenate[M, P], R]:
    """Make a method raise `StateError`, and change nothing, while another so marked runs on the same machine."""

    @wraps(call)
    def alone(machine: M, /, *arguments: P.args, **named: P.kwargs) -> R:
        with machine._turn:
            return call(machine, *arguments, **named)

    return alone
