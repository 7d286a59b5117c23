"""Heavy work on any `concurrent.futures.Executor`: threads, processes of this machine, a cluster.

Workers belong to the party whose work they do, and links to other machines must be encrypted. A server's are sent keys
that take masks off, and each sends back its part of one vector: never a participant's vector. A participant's (`Ckks`
and `Bfv` only) are sent its vector and the group key's secret. The work is pure functions of their arguments, so the
result is the same bytes wherever they run; only encryption draws randomness, anew in every call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..errors import SecAggError, WorkerLost

R = TypeVar("R")


def run(executor: Executor, function: Callable[..., R], *arguments: Iterable[Any]) -> list[R]:
    """Return `function` of every set of arguments, in order. Raises `WorkerLost` unless all came back."""
    try:
        return list(executor.map(function, *arguments))
    except SecAggError:
        raise
    except Exception as error:  # every kind of executor has errors of its own for a worker that is gone
        reason = str(error).partition("\n")[0]
        raise WorkerLost(
            f"a worker was lost ({type(error).__name__}: {reason}); nothing was released, no answer is lost: set the "
            "machine's executor to one that works, or to None (a server: and call advance() again)"
        ) from error


@dataclass(frozen=True, slots=True)
class Task:
    """A call with secret arguments: a worker's log of what it was sent shows the function alone.

    nonce: makes it differ from every other. A cluster such as Dask runs equal tasks once and returns one result for
    all, so that equal plaintexts would leave as equal ciphertexts.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...] = field(repr=False)
    nonce: bytes = field(default=b"", repr=False)

    def __call__(self) -> Any:
        return self.function(*self.arguments)
