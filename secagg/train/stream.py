"""Sampling and noise for one site and one round: an AES-256-CTR stream, uniform and Gaussian draws on top.

The run's 32-byte secret comes from the one randomness door. Deriving the streams from it (rather than asking the
door for every draw) lets the plain and the secure training use the same draws, so that the two can be compared.

Gaussians are float64, so the known attacks on floating-point noise (Mironov, CCS'12) are not excluded by
construction; tails end at 8.57 standard deviations (mass 10⁻¹⁷).
"""

from __future__ import annotations

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from secagg_protocols.primitives.domain import frame

SECRET_BYTES = 32


class SiteStream:
    """Draws that only this site knows. Equal (secret, site, round) give equal draws."""

    def __init__(self, secret: bytes, site: int, round_number: int) -> None:
        info = b"secagg train v1 sampling and noise " + frame(site, round_number)
        key = HKDF(hashes.SHA256(), 32, None, info).derive(secret)
        # Each key has one stream, so the counter may start at zero.
        self._keystream = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()

    def uniform(self, count: int) -> NDArray[np.float64]:
        """Return `count` multiples of 2⁻⁵³ in (0, 1]."""
        words = np.frombuffer(self._keystream.update(bytes(8 * count)), dtype="<u8")
        return ((words >> np.uint64(11)) + np.uint64(1)).astype(np.float64) * 2.0**-53

    def poisson_lot(self, units: int, rate: float) -> NDArray[np.int64]:
        """Return which of `units` units are in a lot that each joins independently with probability `rate`."""
        return np.flatnonzero(self.uniform(units) <= rate)

    def normal(self, count: int) -> NDArray[np.float64]:
        """Return `count` standard Gaussians (Box–Muller)."""
        pairs = (count + 1) // 2
        radius = np.sqrt(-2.0 * np.log(self.uniform(pairs)))
        angle = 2.0 * np.pi * self.uniform(pairs)
        return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]

    def __repr__(self) -> str:
        return "SiteStream(<redacted>)"
