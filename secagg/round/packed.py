"""Named arrays as bytes, for a transport that has no arrays of its own."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from secagg_protocols import WireError

from .updates import Arrays

_NUMBERS = re.compile(r"[<>|][fiub][0-9]{1,2}")
"""What `dtype.str` is of arrays that `check_numbers` takes."""
_Row = tuple[str, str, tuple[int, ...], bytes]


def packed(arrays: Arrays) -> bytes:
    """Encode arrays by name, in their order."""
    rows = [(name, one.dtype.str, one.shape, np.ascontiguousarray(one).tobytes()) for name, one in arrays.items()]
    return msgspec.msgpack.encode(rows)


def unpacked(data: bytes) -> dict[str, NDArray[Any]]:
    """Decode. Raises `WireError` for what is no model, or has arrays of other things than numbers."""
    try:
        rows = msgspec.msgpack.decode(data, type=list[_Row])
        arrays = {name: _array(kind, shape, held) for name, kind, shape, held in rows}
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        raise WireError(f"there is no model in the request: {error}") from None
    return arrays


def _array(kind: str, shape: tuple[int, ...], held: bytes) -> NDArray[Any]:
    if not _NUMBERS.fullmatch(kind):  # numpy takes a type's name for a small language, and fails in many ways
        raise ValueError(f"an array of {kind[:20]!r}, which are no numbers")
    return np.frombuffer(held, np.dtype(kind)).reshape(shape).copy()
