"""A model on its way to owners: named arrays as bytes, and what they and the training's terms are digested to."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from secagg.round import received_digest
from secagg.round.updates import Arrays, check_numbers
from secagg_protocols import WireError

from .job import Training

WEIGHT_KEY = "num-examples"
"""What a training function reports its number of rows as."""

_Row = tuple[str, str, tuple[int, ...], bytes]


def packed(arrays: Arrays) -> bytes:
    """Encode arrays by name, in their order."""
    rows = [(name, one.dtype.str, one.shape, np.ascontiguousarray(one).tobytes()) for name, one in arrays.items()]
    return msgspec.msgpack.encode(rows)


def unpacked(data: bytes) -> dict[str, NDArray[Any]]:
    """Decode. Raises `WireError` for what is no model, `InputError` for arrays of other things than numbers."""
    try:
        rows = msgspec.msgpack.decode(data, type=list[_Row])
        arrays = {name: np.frombuffer(held, np.dtype(kind)).reshape(shape).copy() for name, kind, shape, held in rows}
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        raise WireError(f"there is no model in the request: {error}") from None
    check_numbers(arrays)
    return arrays


def received(training: Training, arrays: Arrays) -> bytes:
    """Return the digest of what an owner is sent."""
    return received_digest(arrays, training.function, [training.dataset, training.rounds, training.expires])
