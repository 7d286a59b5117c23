"""The work that cannot be avoided: mask keystream and key agreements (and signatures, when the server is active).

`limits` times those alone, in this process, for as many as a run needed. measured CPU ÷ limit is the figure of merit:
1.0 would mean that everything else is free. Keystream is timed as masks of the run's length, each under its own key,
in blocks that stay in cache; agreements with keys already loaded. Each figure is the median of several timings.

Conventions. A mask is 8 bytes of keystream per packed word, the width at which it is added, although only the word's
5 to 8 bytes travel. A broadcast is signed once. Bytes under signatures are hashed once by who makes or gets them.
"""

from __future__ import annotations

import hashlib
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from secagg_protocols import SYSTEM, Bonawitz, LightSecAgg, Scheme, SecAggPlus, Step

from .simulation import Run

_BLOCK = 1 << 18
_REPEATS = 9


@dataclass(frozen=True, slots=True)
class Work:
    """Unavoidable operations of one party: agreements, keystream bytes, signatures made and verified, bytes signed."""

    agreements: float
    keystream_bytes: float
    signed: float = 0
    verified: float = 0
    hashed_bytes: float = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """CPU milliseconds of the unavoidable work: of one client (mean over the survivors), and of the server."""

    client_ms: float
    server_ms: float


@dataclass(frozen=True, slots=True)
class Costs:
    """Measured CPU seconds of one operation each."""

    agreement: float
    keystream_byte: float
    sign: float
    verify: float
    hashed_byte: float

    def ms(self, work: Work) -> float:
        """Return the CPU milliseconds of some work."""
        seconds = (
            work.agreements * self.agreement
            + work.keystream_bytes * self.keystream_byte
            + work.signed * self.sign
            + work.verified * self.verify
            + work.hashed_bytes * self.hashed_byte
        )
        return 1e3 * seconds


def measure(scheme: Scheme) -> Costs:
    """Time the primitives of a scheme's ciphersuite in this process (about 0.3 s)."""
    suite = scheme.suite
    agreement, signatures = suite.agreement, suite.signatures
    secret = agreement.load_secret(agreement.generate(SYSTEM))
    public = agreement.load_public(agreement.public_of(agreement.load_secret(agreement.generate(SYSTEM))))
    signing_key = signatures.load(signatures.generate(SYSTEM))
    verify_key, message = signatures.public_of(signing_key), bytes(100)
    signature = signatures.sign(signing_key, message)
    mask_key, mask_bytes = SYSTEM.bytes(suite.mask_key_bytes), 8 * scheme.domain.lanes.words
    zeros, out = memoryview(bytes(_BLOCK)), bytearray(_BLOCK)

    def one_mask() -> None:
        stream = Cipher(algorithms.AES(mask_key), modes.CTR(bytes(16))).encryptor()
        for start in range(0, mask_bytes, _BLOCK):
            stream.update_into(zeros[: mask_bytes - start], out)

    return Costs(
        agreement=_median_seconds(lambda: agreement.agree(secret, public), 100),
        keystream_byte=_median_seconds(one_mask, 1 + (1 << 25) // (mask_bytes + 4096)) / mask_bytes,
        sign=_median_seconds(lambda: signatures.sign(signing_key, message), 50),
        verify=_median_seconds(lambda: signatures.verify(verify_key, signature, message), 50),
        hashed_byte=_median_seconds(lambda: hashlib.sha256(zeros).digest(), 20) / _BLOCK,
    )


def _median_seconds(operation: Callable[[], object], count: int) -> float:
    operation()
    times = []
    for _ in range(_REPEATS):
        start = time.process_time()
        for _ in range(count):
            operation()
        times.append((time.process_time() - start) / count)
    return statistics.median(times)


def work_of(scheme: Scheme, run: Run) -> tuple[Work, Work]:
    """Return the unavoidable work of one surviving client and of the server, counted from what happened."""
    if isinstance(scheme, LightSecAgg):
        # One mask with its T uniform pieces, and one channel to every peer. Coding and decoding are matrix products,
        # which are not counted; the server expands no mask.
        elements = scheme.quorum * scheme.piece_length
        peers = len(run.answered.get(Step.ADVERTISE_KEYS, ())) - 1
        return Work(peers, elements * scheme.packing.word_bytes), Work(0, 0)
    if not isinstance(scheme, Bonawitz):
        return Work(0, 0), Work(0, 0)  # nothing is masked, or ciphertexts do the same job
    mask_bytes = 8 * scheme.domain.lanes.words
    answered = {step: len(run.answered.get(step, ())) for step in Step}
    members, dealers, survivors = (answered[step] for step in (Step.ADVERTISE_KEYS, Step.SHARE_KEYS, Step.MASKED_INPUT))
    vanished = dealers - survivors
    reach: float = members
    if isinstance(scheme, SecAggPlus):  # edges go to everyone, and who is at their end is gone as often as anyone
        reach = 1 + scheme.degree * (members - 1) / (scheme.participants - 1)
    edges = vanished * survivors * (reach - 1) / (members - 1) if members > 1 else 0
    partners = (reach - 1) * (dealers - 1) / (members - 1) if members > 1 else 0
    client = Work(reach - 1 + partners, (1 + partners) * mask_bytes)
    server = Work(edges, (survivors + edges) * mask_bytes)
    if not scheme.active:
        return client, server
    sealed = dealers * (dealers - 1) * scheme.sealed_bytes
    blocks = -(-scheme.domain.lanes.size // (1 << 20))
    sent = 3 + blocks  # AdvertiseKeys, ShareKeys, each block, ConsistencyCheck; Unmasking is the one more
    heard = 4  # KeyList, SealedShares, SurvivorList, UnmaskRequest
    traffic = [
        run.bytes_sent.get(party, 0) + run.bytes_received.get(party, 0) for party in run.answered[Step.ADVERTISE_KEYS]
    ]
    return (
        Work(
            client.agreements,
            client.keystream_bytes,
            signed=sent + 1,
            verified=heard + members - 1 + scheme.quorum,
            hashed_bytes=sum(traffic) / members,
        ),
        Work(
            server.agreements,
            server.keystream_bytes,
            signed=dealers + 3,  # SealedShares to each; KeyList, SurvivorList and UnmaskRequest to all
            verified=members
            + dealers
            + survivors * blocks
            + answered[Step.CONSISTENCY_CHECK]
            + answered[Step.UNMASKING],
            hashed_bytes=sum(run.bytes_sent.values()) + sealed,
        ),
    )


def limits(scheme: Scheme, run: Run, costs: Costs | None = None) -> Limits:
    """Return the limits for a run's work; `costs` from `measure`, or measured now."""
    costs = costs or measure(scheme)
    client, server = work_of(scheme, run)
    return Limits(costs.ms(client), costs.ms(server))
