"""How shares of keys travel: elements of GF(65537), 17 bits each, `LIMBS` to a row (`primitives.shamir`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from secagg_protocols.primitives import shamir
from secagg_protocols.primitives.field import Elements

from .params import CHECKS, ThresholdCkks


def encode_dealt(scheme: ThresholdCkks, shares: Elements) -> list[bytes]:
    """Encode what is dealt to each holder, shape (holders, share_elements + CHECKS): `share_bytes` each."""
    count = len(shares)
    columns = scheme.share_elements
    keys = shamir.encode(shares[:, :columns].reshape(count, -1, shamir.LIMBS)).reshape(count, -1)
    blinding = shamir.encode(shares[:, columns:])
    return [row.tobytes() for row in np.concatenate([keys, blinding], axis=1)]


def decode_dealt(scheme: ThresholdCkks, dealt: Sequence[bytes]) -> Elements:
    """Return what dealers dealt to one holder, shape (dealers, share_elements + CHECKS). Raises `ProtocolViolation`."""
    rows = np.frombuffer(b"".join(dealt), dtype=np.uint8).reshape(len(dealt), scheme.share_bytes)
    keys = shamir.decode(rows[:, : scheme.sum_bytes].reshape(len(dealt), -1, shamir.SHARE_BYTES))
    padded = np.zeros((len(dealt), shamir.SHARE_BYTES), dtype=np.uint8)
    padded[:, : 2 * CHECKS] = rows[:, scheme.sum_bytes : -1]
    padded[:, 2 * shamir.LIMBS] = rows[:, -1]
    blinding = shamir.decode(padded)[:, :CHECKS]
    return np.concatenate([keys.reshape(len(dealt), scheme.share_elements), blinding], axis=1)


def decode_share(scheme: ThresholdCkks, share: bytes | memoryview) -> Elements:
    """Return the elements of a share of a key, or of a sum of such, shape (share_elements,)."""
    rows = np.frombuffer(share, dtype=np.uint8).reshape(-1, shamir.SHARE_BYTES)
    return shamir.decode(rows).reshape(scheme.share_elements)


def check_bytes(dealers: int) -> int:
    """Return the size of so many dealers' check values on the wire."""
    return -(-dealers * CHECKS // shamir.LIMBS) * shamir.SHARE_BYTES


def encode_check(values: Elements) -> memoryview:
    """Encode check values, shape (dealers, CHECKS)."""
    padded = np.zeros(check_bytes(len(values)) // shamir.SHARE_BYTES * shamir.LIMBS, dtype=np.int64)
    padded[: values.size] = values.reshape(-1)
    return memoryview(shamir.encode(padded.reshape(-1, shamir.LIMBS)).tobytes())


def decode_check(dealers: int, values: memoryview) -> Elements:
    """Return check values, shape (dealers, CHECKS). Raises `ProtocolViolation`."""
    rows = np.frombuffer(values, dtype=np.uint8).reshape(-1, shamir.SHARE_BYTES)
    return shamir.decode(rows).reshape(-1)[: dealers * CHECKS].reshape(dealers, CHECKS)
