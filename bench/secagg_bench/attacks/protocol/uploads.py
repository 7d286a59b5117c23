"""Uploads as the server sees them: words in which a vector stands behind masks or in a ciphertext."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg_he.envelope import Sealer
from secagg_he.ring import ring
from secagg_he.single_key import messages as single_key
from secagg_he.single_key import steps as single_key_steps
from secagg_he.threshold import messages as threshold
from secagg_protocols.bonawitz import messages as bonawitz
from secagg_protocols.lightsecagg import messages as lightsecagg
from secagg_protocols.packing.lanes import Lanes


@dataclass(frozen=True)
class Upload:
    """The first block of one. words: as integers, modulo `modulus`. vector: what is hidden in it. lanes: how.

    unit: what 1 in a word of the vector adds to a word of the upload; noise is less than half of it.
    """

    words: NDArray[np.object_]
    modulus: int
    vector: NDArray[Any]
    lanes: Lanes
    unit: int = 1

    @property
    def packed(self) -> NDArray[np.object_]:
        """The vector in words, before anything hides it."""
        words: NDArray[np.object_] = self.lanes.pack(self.vector).astype(object)
        return words

    @property
    def unpacked(self) -> NDArray[np.uint64]:
        """What stands in the place of each value."""
        words = self.words[: self.lanes.words] // self.unit % (1 << 64)
        return self.lanes.unpack(words.astype(np.uint64))

    @property
    def by_chance(self) -> float:
        """How probable it is that a word which says nothing looks right."""
        return self.unit / self.modulus

    def learnt_beside(self, other: Upload) -> float:
        """Return the share of words in which the difference of two uploads is that of the two vectors."""
        found = self.words[: self.lanes.words] - other.words[: self.lanes.words]
        error = (found - (self.packed - other.packed) * self.unit) % self.modulus
        return float(np.mean([2 * min(value, self.modulus - value) < self.unit for value in error]))


def upload_of(running: Any, who: int, vector: NDArray[Any]) -> Upload:
    """Run a rehearsal until a participant has sent its upload; return the first block, which holds this vector."""
    scheme = running.scheme
    kind = scheme.upload_step.value
    for _ in running.moments():
        if (who, kind) in running.sent:
            break
    return read(running, running.parse(running.sent[who, kind]), vector)


def read(running: Any, envelope: Any, vector: NDArray[Any]) -> Upload:
    """Return what the server of a rehearsal sees in the envelope of an upload."""
    scheme = running.scheme
    match message := running.server.open(envelope):
        case bonawitz.MaskedInput():
            lanes = scheme.domain.lanes
            words = np.zeros(lanes.words, dtype=np.uint64)
            lanes.add_bytes(words, message.words)
            return Upload(words.astype(object), 1 << 8 * lanes.word_bytes, vector, lanes)
        case lightsecagg.MaskedInput():
            packing = scheme.packing
            words = packing.from_bytes(message.words)
            return Upload(words.astype(object), packing.field.prime, vector, packing._lanes)
        case threshold.Encrypt():
            words = np.zeros(scheme.ciphertexts.words, dtype=np.uint64)
            scheme.ciphertexts.add_bytes(words, message.words)
            plaintext = scheme.plaintext
            return Upload(words.astype(object), plaintext.modulus, vector, plaintext.lanes, 1 << scheme.shift)
        case single_key.Encrypt():
            return _ciphertext(running, envelope.sender, message, vector)
    raise AssertionError(type(message).__name__)


def ciphertexts_of(running: Any, sender: int, message: Any) -> tuple[NDArray[np.uint64], memoryview]:
    """Return (first polynomials, seeds) of an upload under a key of the group's, which a server opens as far."""
    server = running.server
    handle = server._standing
    sealer = Sealer.of(handle.key_id, handle.parameter_hash, handle.wire_key, server._address, server.context)
    return single_key_steps.open_upload(running.scheme, sealer, sender, message)


def _ciphertext(running: Any, sender: int, message: Any, vector: NDArray[Any]) -> Upload:
    scheme = running.scheme
    parameters = scheme.parameters
    polynomials, _ = ciphertexts_of(running, sender, message)
    residues = polynomials.swapaxes(0, 1).astype(np.int64)
    if parameters.plain_moduli:
        unit = parameters.modulus // parameters.plain_moduli[0]
    else:
        unit = 1 << parameters.scale_bits
        transforms = zip(parameters.primes, residues, strict=True)
        residues = np.array([ring(parameters.degree, prime).inverse(rows) for prime, rows in transforms])
    words = _composed(residues.reshape(len(residues), -1).astype(object), parameters.primes)
    return Upload(words, parameters.modulus, vector, scheme.packing.lanes, unit)


def _composed(residues: NDArray[np.object_], primes: tuple[int, ...]) -> NDArray[np.object_]:
    """Return integers from their residues modulo one prime, or modulo two."""
    composed: NDArray[np.object_] = residues[0]
    if len(primes) == 2:
        first, second = primes
        composed = composed + first * ((residues[1] - composed) * pow(first, -1, second) % second)
    return composed
