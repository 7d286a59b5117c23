"""One bytes object (`secagg.round.request`) in Flower's records, beside those of the inner strategy.

It travels in a ConfigRecord, or in an ArrayRecord when it is large, because Flower cuts arrays into chunks and nothing
else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
from numpy.typing import NDArray

from secagg_protocols import InputError, ProtocolViolation

SMALL = "secagg"
LARGE = "secagg-blocks"
CHUNKED_FROM = 1 << 16
"""What has so many bytes or more goes into an array."""

_KEY = "envelopes"


def write(data: bytes, beside: RecordDict | None = None) -> RecordDict:
    """Return `beside` with our record in it; `beside` itself, which messages share, stays as it is."""
    content = RecordDict(dict(beside or {}))
    if len(data) < CHUNKED_FROM:
        content[SMALL] = ConfigRecord({_KEY: data})
    else:
        content[LARGE] = ArrayRecord({_KEY: Array(np.frombuffer(data, dtype=np.uint8))})
    return content


def read(content: RecordDict) -> bytes:
    """Return what is in our record. Raises `ProtocolViolation` where there is none, or one of another shape."""
    small = content.config_records.get(SMALL)
    large = content.array_records.get(LARGE)
    if small is None and large is None:
        raise ProtocolViolation("a message without a step of the protocol")
    if large is None:
        data = small.get(_KEY)
        if not isinstance(data, bytes):
            raise ProtocolViolation(f"the {SMALL} record's {_KEY} are no bytes")
        return data
    if small is not None or list(large) != [_KEY]:
        raise ProtocolViolation(f"the {LARGE} record is not all that there is, or is not {_KEY} alone")
    block = numpy_of(_KEY, large[_KEY])
    if block.dtype != np.uint8 or block.ndim != 1:
        raise ProtocolViolation(f"{_KEY} are an array of {block.dtype} with {block.ndim} dimensions, not of bytes")
    return block.tobytes()


def strip(content: RecordDict) -> RecordDict:
    """Return the records that are not ours: some mods accept exactly one of a kind."""
    return RecordDict({name: record for name, record in content.items() if name not in (SMALL, LARGE)})


def sole(records: dict[str, object], kind: str) -> tuple[str, Any]:
    """Return the only record of its kind, and its name. Raises `InputError`."""
    if len(records) != 1:
        raise InputError(f"expected exactly one {kind}, found {len(records)}: {sorted(records)}; put all into one")
    return next(iter(records.items()))


def arrays_in(record: ArrayRecord) -> dict[str, NDArray[Any]]:
    """Return a record's arrays, sorted by name, whatever order it arrived in. Raises `InputError`."""
    return {name: numpy_of(name, record[name]) for name in sorted(record)}


def numpy_of(name: str, array: Array) -> NDArray[Any]:
    """Return a Flower array's values. Raises `InputError` when it holds anything but a numpy array."""
    try:
        values = array.numpy()
    except Exception as error:  # bytes of the other side's: numpy tries them as zip files, headers, giant shapes
        raise InputError(f"array {name!r} is no numpy array: {type(error).__name__}") from None
    if not isinstance(values, np.ndarray):
        raise InputError(f"array {name!r} is no numpy array")
    return values
