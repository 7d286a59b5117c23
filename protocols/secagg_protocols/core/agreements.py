"""Agreements on mask keys, in one batch or in several over workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from ..primitives.domain import Use
from ..primitives.suites import Ciphersuite
from ..primitives.workers import run
from .channels import PairwiseKeys

Row = tuple[int, bytes, tuple[int, ...]]
"""One vanished participant, its mask secret key, and the peers that masked against it."""

_BATCHES_PER_PART = 4
"""More batches than workers: one that is slow or shares its core holds up less."""


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
            head = peers[:room]
            peers = peers[room:]
            batches[-1].append((owner, secret, head))
            room -= len(head)
    return batches
