"""The masking that one writes in an afternoon: numpy, a loop over the peers, and nothing that a real server needs.

Each pair agrees on a seed; the lower id adds the mask of that seed, the higher one subtracts it. Survivors hand the
server their seeds with the dropouts. No second mask, so a late upload is open; no shares, so whoever drops out
while handing over seeds stops the round; masks from a statistical generator, not a cipher. A yardstick for cost only.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from secagg.codec import Codec

from .task import NAME, Cost, CpuClock, Task


@dataclass
class Peer:
    """A participant: its key, and after `agree` a 32-byte seed with each other one."""

    participant: int
    key: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate)
    seeds: dict[int, bytes] = field(default_factory=dict)

    def public(self) -> bytes:
        return self.key.public_key().public_bytes_raw()

    def agree(self, publics: dict[int, bytes]) -> None:
        for other, public in publics.items():
            if other != self.participant:
                shared = self.key.exchange(X25519PublicKey.from_public_bytes(public))
                pair = f"naive {min(self.participant, other)} {max(self.participant, other)}".encode()
                self.seeds[other] = HKDF(SHA256(), 32, None, pair).derive(shared)

    def masked(self, vector: NDArray[np.unsignedinteger]) -> bytes:
        total = vector.astype(np.uint64)
        for other, seed in self.seeds.items():
            total += mask_between(self.participant, other, seed, len(total))
        return total.tobytes()


def mask_between(participant: int, other: int, seed: bytes, length: int) -> NDArray[np.uint64]:
    """Return what `participant` adds for `other`, modulo 2**64: the two add up to zero."""
    generator = np.random.default_rng(int.from_bytes(seed, "big"))
    mask = generator.integers(0, 1 << 64, length, dtype=np.uint64)
    return mask if participant < other else np.negative(mask)


def unmasked(uploads: dict[int, bytes], handed: dict[int, dict[int, bytes]], length: int) -> NDArray[np.uint64]:
    """Server: the sum of the uploads. handed: survivor → the seeds it had with the dropouts."""
    total = np.zeros(length, np.uint64)
    for upload in uploads.values():
        total += np.frombuffer(upload, np.uint64)
    for participant, seeds in handed.items():
        for other, seed in seeds.items():
            total -= mask_between(participant, other, seed, length)
    return total


def secure_sum(
    vectors: dict[int, NDArray[np.unsignedinteger]], dropouts: range, clock: CpuClock
) -> tuple[NDArray[np.uint64], int]:
    """Run one round over vectors of survivors and of dropouts; return the sum and a survivor's upload."""
    with clock.spent_on("client"):
        peers = {participant: Peer(participant) for participant in vectors}
        publics = {participant: peer.public() for participant, peer in peers.items()}
    survivors = {participant: peer for participant, peer in peers.items() if participant not in dropouts}
    uploads = {}
    handed = {}
    for participant, peer in survivors.items():
        with clock.spent_on("client"):
            peer.agree(publics)
            uploads[participant] = peer.masked(vectors[participant])
            handed[participant] = {dropout: peer.seeds[dropout] for dropout in dropouts}
    length = len(next(iter(vectors.values())))
    with clock.spent_on("server"):
        total = unmasked(uploads, handed, length)
    return total, 32 + 8 * length + 32 * len(dropouts)


def measure(task: Task) -> Cost:
    """Run one round. Raises ArithmeticError if the sum is wrong."""
    codec = task.codec()
    clock = CpuClock()
    vectors = {participant: _encoded(task, codec, participant, clock) for participant in range(1, task.clients + 1)}
    total, upload = secure_sum(vectors, task.dropouts, clock)
    if not np.array_equal(total, sum(vectors[participant].astype(np.uint64) for participant in task.survivors)):
        raise ArithmeticError("the sum is not the sum of the encoded updates")
    with clock.spent_on("server"):
        mean = task.mean_of(total)
    survivors = len(task.survivors)
    return Cost(np.__version__, clock.ms["client"] / survivors, clock.ms["server"], upload, task.error_of(mean))


def _encoded(task: Task, codec: Codec, participant: int, clock: CpuClock) -> NDArray[np.unsignedinteger]:
    update = {NAME: task.update(participant)}
    weight = task.weight(participant)
    with clock.spent_on("unused" if participant in task.dropouts else "client"):
        return codec.encode(update, weight=weight).vector
