"""Uploads as the server sees them: words in which a vector stands behind masks or in a ciphertext."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg_he.ring import ring
from secagg_he.single_key import messages as single_key
from secagg_he.single_key import steps as single_key_steps
from secagg_he.threshold import messages as threshold
from secagg_protocols.bonawitz import messages as bonawitz
from secagg_protocols.lightsecagg import messages as lightsecagg


@dataclass(frozen=True)
class Upload:
    """The first block of one. words: as integers, modulo `modulus`. vector: laid into words, before anything hides it.

    unit: what 1 in a word of the vector adds to a word of the upload; noise is less than half of it.
    """

    words: NDArray[np.object_]
    modulus: int
    vector: NDArray[np.object_]
    unit: int = 1

    @property
    def by_chance(self) -> float:
        """How probable it is that a word which says nothing looks right."""
        return self.unit / self.modulus

    def learnt_beside(self, other: Upload) -> float:
        """Return the share of words in which the difference of two uploads is that of the two vectors."""
        count = len(self.vector)
        found = self.words[:count] - other.words[:count]
        error = (found - (self.vector - other.vector) * self.unit) % self.modulus
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
            return Upload(words.astype(object), 1 << 8 * lanes.word_bytes, _packed(lanes, vector))
        case lightsecagg.MaskedInput():
            packing = scheme.packing
            words = packing.from_bytes(message.words)
            return Upload(words.astype(object), packing.field.prime, _packed(packing, vector))
        case threshold.Encrypt():
            words = np.zeros(scheme.ciphertexts.words, dtype=np.uint64)
            scheme.ciphertexts.add_bytes(words, message.words)
            lanes = scheme.plaintext.lanes
            return Upload(words.astype(object), scheme.plaintext.primes[0], _packed(lanes, vector), 1 << scheme.shift)
        case single_key.Encrypt():
            return _ciphertext(running, envelope.sender, message, vector)
    raise AssertionError(type(message).__name__)


def _ciphertext(running: Any, sender: int, message: Any, vector: NDArray[Any]) -> Upload:
    scheme = running.scheme
    parameters = scheme.parameters
    polynomials, _ = single_key_steps.open_upload(scheme, running.server._sealer, sender, message)
    residues = polynomials[0].astype(np.int64)
    unit = 1 << parameters.scale_bits
    if parameters.kind == "ckks":
        transforms = zip(parameters.primes, residues, strict=True)
        residues = np.array([ring(parameters.degree, prime).inverse(row[None, :])[0] for prime, row in transforms])
    else:
        unit = parameters.modulus // parameters.plain_moduli[0]
    words = _composed(residues.astype(object), parameters.primes)
    return Upload(words, parameters.modulus, _packed(scheme.packing.lanes, vector), unit)


def _composed(residues: NDArray[np.object_], primes: tuple[int, ...]) -> NDArray[np.object_]:
    """Return integers from their residues modulo one prime, or modulo two."""
    if len(primes) == 1:
        return residues[0]
    first, second = primes
    factors = (residues[1] - residues[0]) * pow(first, -1, second) % second
    composed: NDArray[np.object_] = residues[0] + first * factors
    return composed


def _packed(lanes: Any, vector: NDArray[Any]) -> NDArray[np.object_]:
    packed: NDArray[np.object_] = lanes.pack(vector).astype(object)
    return packed
