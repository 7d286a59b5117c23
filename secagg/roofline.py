"""The work that cannot be avoided: mask keystream and key agreements (and signatures, when the server is active).

Each scheme counts its own (`Scheme.work`). `limits` times those alone, in this process, for as many as a run needed.
Measured CPU ÷ limit is the figure of merit: 1.0 would mean that everything else is free. Keystream is timed as masks of
the run's length, each under its own key, in blocks that stay in cache; agreements with keys already loaded. Each figure
is the median of several timings.

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

from secagg_protocols import SYSTEM, MeasuredRound, Scheme, Work

_BLOCK = 1 << 18
_REPEATS = 9


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
    agreement = suite.agreement
    signatures = suite.signatures
    secret = agreement.load_secret(agreement.generate(SYSTEM))
    public = agreement.load_public(agreement.public_of(agreement.load_secret(agreement.generate(SYSTEM))))
    signing_key = signatures.load(signatures.generate(SYSTEM))
    verify_key = signatures.public_of(signing_key)
    message = bytes(100)
    signature = signatures.sign(signing_key, message)
    mask_key = SYSTEM.bytes(suite.mask_key_bytes)
    mask_bytes = 8 * scheme.domain.lanes.words
    zeros = memoryview(bytes(_BLOCK))
    out = bytearray(_BLOCK)

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


def limits(scheme: Scheme, run: MeasuredRound, costs: Costs | None = None) -> Limits:
    """Return the limits for a run's work; `costs` from `measure`, or measured now."""
    client, server = scheme.work(run)
    if client == server == Work():
        return Limits(0, 0)
    costs = costs or measure(scheme)
    return Limits(costs.ms(client), costs.ms(server))
