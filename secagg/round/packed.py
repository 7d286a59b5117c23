"""Named arrays as bytes, for a transport that has no arrays of its own."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from secagg_protocols import WireError

from .updates import Arrays, check_numbers

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
