"""The one door by which randomness enters. Machines take it as an argument and own none."""

from __future__ import annotations

import hashlib
import os
from typing import Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


class Randomness(Protocol):
    """A source of uniform bytes."""

    def bytes(self, count: int) -> bytes:
        """Return `count` fresh uniform bytes."""
        ...


class SystemRandomness:
    """The operating system's generator: what every real deployment uses."""

    def bytes(self, count: int) -> bytes:
        return os.urandom(count)

    def __repr__(self) -> str:
        return "SystemRandomness()"


class InsecureDeterministicRandomness:
    """An AES-256-CTR stream from a seed, for test vectors and debugging only: whoever knows the seed knows the keys.

    `label` separates the streams of different parties under one seed.
    """

    def __init__(self, seed: bytes | int, label: str = "") -> None:
        material = seed if isinstance(seed, bytes) else str(seed).encode()
        key = hashlib.sha256(b"secagg insecure deterministic\0" + label.encode() + b"\0" + material).digest()
        self._seed = material
        self._stream = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()

    def fork(self, label: str) -> InsecureDeterministicRandomness:
        """Return an independent stream under the same seed."""
        return InsecureDeterministicRandomness(self._seed, label)

    def bytes(self, count: int) -> bytes:
        return self._stream.update(bytes(count))

    def __repr__(self) -> str:
        return "InsecureDeterministicRandomness(<redacted>)"


SYSTEM = SystemRandomness()
