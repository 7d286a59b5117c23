"""Shares as elements of a field, in which anybody can lie, and as the bytes that travel.

What they look like goes by the message that a holder opens with (`ENCODINGS`), whatever scheme it belongs to.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from secagg_he.threshold import messages as threshold
from secagg_protocols.bonawitz import messages as bonawitz
from secagg_protocols.core.wire import Message
from secagg_protocols.dealing.messages import OpenedSum
from secagg_protocols.dealing.params import Dealing
from secagg_protocols.lightsecagg import messages as lightsecagg
from secagg_protocols.primitives import shamir
from secagg_protocols.primitives.field import PRIME, Elements

OF_THE_SUM = 0
"""In the place of a dealer's id: a share of the sum over all of them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a holder opens. dealers: whose shares, (OF_THE_SUM,) for one sum over all. elements: (dealers, columns)."""

    dealers: tuple[int, ...]
    elements: Elements
    missing: tuple[int, ...] = ()


class Encoding(ABC):
    """How elements travel."""

    @abstractmethod
    def modulus(self, scheme: Any) -> Elements:
        """Return the prime of each column, or one for all."""

    @abstractmethod
    def encode(self, scheme: Any, elements: Elements) -> bytes | memoryview:
        """Return elements as they travel, row after row."""

    @abstractmethod
    def noise(self, scheme: Any, size: int) -> bytes:
        """Return so many bytes of uniform elements."""


class Limbs(Encoding):
    """Shamir's shares: so many elements to a share, each one bit too long for two bytes."""

    def modulus(self, scheme: Dealing) -> Elements:
        """Return the one prime."""
        return np.array([PRIME])

    def encode(self, scheme: Dealing, elements: Elements) -> memoryview:
        """Return shares, one after the other."""
        return memoryview(shamir.encode(elements.reshape(-1, shamir.LIMBS)).tobytes())

    def noise(self, scheme: Dealing, size: int) -> bytes:
        """Return `size` // SHARE_BYTES shares."""
        shape = (size // shamir.SHARE_BYTES, shamir.LIMBS)
        return bytes(self.encode(scheme, np.random.default_rng().integers(0, 1 << 16, shape)))


class Packed(Encoding):
    """Pieces of packed masks: elements of several fields, by the scheme's own `packing`."""

    def modulus(self, scheme: Any) -> Elements:
        """Return the prime of the field that each column is in."""
        primes = np.empty(scheme.piece_length, dtype=np.int64)
        for field, part in scheme.packing.sections(primes.size):
            primes[part] = field.prime
        return primes

    def encode(self, scheme: Any, elements: Elements) -> memoryview:
        """Return one piece."""
        piece: memoryview = scheme.packing.to_bytes(elements.reshape(-1))
        return piece

    def noise(self, scheme: Any, size: int) -> bytes:
        """Return one piece: all of them are of one size."""
        return bytes(self.encode(scheme, np.random.default_rng().integers(0, 1 << 23, scheme.piece_length)))


ENCODINGS: Mapping[type[Message], Encoding] = {
    bonawitz.Unmasking: Limbs(),
    lightsecagg.Unmasking: Packed(),
    threshold.Opening: Limbs(),
}


def read(server: Any, holder: int, message: Any) -> Answer:
    """Return what a holder opened: the sum of its shares, or a share of each dealer."""
    if isinstance(message, OpenedSum):
        return Answer((OF_THE_SUM,), server._decode_sum(message.share)[None, :])
    rows = np.frombuffer(message.shares, dtype=np.uint8).reshape(-1, shamir.SHARE_BYTES)
    return Answer(server._delivered[holder], shamir.decode(rows))


def write(scheme: Dealing, kind: type[Any], answer: Answer) -> Message:
    """Return an answer as the message of this kind that says it."""
    message: Message
    if issubclass(kind, OpenedSum) and answer.missing:
        message = kind(answer.missing, memoryview(b""))
        return message
    opened = [row for row, dealer in enumerate(answer.dealers) if dealer not in answer.missing]
    message = kind(answer.missing, memoryview(ENCODINGS[kind].encode(scheme, answer.elements[opened])))
    return message
