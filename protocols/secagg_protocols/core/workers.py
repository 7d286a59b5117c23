"""Heavy work on any `concurrent.futures.Executor`: threads, processes of this machine, a cluster.

Workers belong to the party whose work they do, and links to other machines must be encrypted. A server's are sent keys
that take masks off, and each sends back its part of one vector: never a participant's vector. A participant's (`Ckks`
and `Bfv` only) are sent its vector and the group key's secret. The work is pure functions of their arguments, so the
result is the same bytes wherever they run; only encryption draws randomness, anew in every call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..errors import SecAggError, WorkerLost
from ..primitives.domain import Use
from ..primitives.suites import Ciphersuite
from .channels import PairwiseKeys

R = TypeVar("R")

Row = tuple[int, bytes, tuple[int, ...]]
"""One vanished participant, its mask secret key, and the peers that masked against it."""

_BATCHES_PER_PART = 4
"""More batches than workers: one that is slow or shares its core holds up less."""


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


@dataclass(frozen=True, slots=True)
class Agreements:
    """A batch of agreements on mask keys. public: each peer's encoded mask key."""

    suite: Ciphersuite
    session: bytes
    public: Mapping[int, bytes]
    rows: Sequence[Row] = field(repr=False)


def agree(batch: Agreements) -> list[bytes]:
    """Return the mask key of every pair of a batch, in order."""
    loaded = {peer: batch.suite.agreement.load_public(key) for peer, key in batch.public.items()}
    found = []
    for owner, secret, peers in batch.rows:
        keys = PairwiseKeys(batch.suite, Use.MASK_KEY, batch.session, owner, secret)
        found += [keys.with_loaded(peer, batch.public[peer], loaded[peer]) for peer in peers]
    return found


def agree_with(executor: Executor, parts: int, whole: Agreements) -> list[bytes]:
    """As `agree`, in batches over an executor."""
    batches = [
        Agreements(whole.suite, whole.session, whole.public, rows)
        for rows in split_rows(whole.rows, _BATCHES_PER_PART * parts)
    ]
    return [key for keys in run(executor, agree, batches) for key in keys]


def split_rows(rows: Sequence[Row], count: int) -> list[list[Row]]:
    """Cut rows into at most `count` batches of equally many pairs, keeping their order."""
    size = max(1, -(-sum(len(peers) for _, _, peers in rows) // count))
    batches: list[list[Row]] = []
    room = 0
    for owner, secret, peers in rows:
        while peers:
            if not room:
                batches.append([])
                room = size
            head, peers = peers[:room], peers[room:]
            batches[-1].append((owner, secret, head))
            room -= len(head)
    return batches
