"""Noise flooding: Gaussian noise that drowns what a decrypted sum tells about the key.

The noise is a function of a key that only participants hold and of the very aggregate that is released. So every
participant releases the same aggregate with the same bytes, and asking again tells nothing more; different aggregates
get independent noise. Its width is `Parameters.deviation`.

Two machines whose mathematical libraries differ in a last place may round some noise differently. Exact sums never
show that. Ckks with a raw precision does with a probability below 2⁻³⁰ a round, as it divides by its scale Δ (about
2³⁶, unless a precision of millions is asked for); the server would refuse the round, as two answers differ, and 1 more
or less in σ tells nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.packing.masks import Keystream
from secagg_protocols.primitives.domain import Use, separated
from secagg_protocols.primitives.kdf import derive

FLOODING_KEY_BYTES = 32

_UNIT = 2.0**-53


def flooding_noise(flooding_key: bytes, aggregate: bytes, deviation: int, rows: int, degree: int) -> NDArray[np.int64]:
    """Return Gaussian noise of the given deviation, rounded: shape (rows, degree).

    aggregate: 32 bytes that name the session and the ciphertexts that are released. By Box and Muller (1958) from
    53-bit uniform values: the tails end at 8.5 deviations, which has probability below 2⁻⁵².
    """
    source = Keystream(derive(flooding_key, 32, separated(Use.HE_FLOOD, aggregate)))
    uniform = np.frombuffer(source.bytes(8 * rows * degree), dtype="<u8") >> np.uint64(11)
    radius, angle = (uniform.reshape(2, -1) + 1) * _UNIT
    radius = deviation * np.sqrt(-2 * np.log(radius))
    angle *= 2 * np.pi
    noise = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    rounded: NDArray[np.int64] = np.rint(noise).astype(np.int64)
    return rounded.reshape(rows, degree)
