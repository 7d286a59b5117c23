"""An update and the vector that carries it: what is summed, what is kept, weights, metrics, and the mean applied.

Arrays are plain numpy, by name. Arrays of integers and booleans (counters of batch normalisation, flags) are no part of
a mean: they are not summed, and the global model keeps its own.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from secagg.codec import Codec, Decoded, Encoded, Layout, fit
from secagg.codec.layout import renamed
from secagg.listing import listed
from secagg_protocols import InputError, Output
from secagg_protocols.core.parameters import Parameters

from .terms import CodecTerms

log = logging.getLogger("secagg.round")

Arrays: TypeAlias = Mapping[str, NDArray[Any]]
Integers: TypeAlias = NDArray[np.unsignedinteger[Any]]

_SUMMED = "f"
_KEPT = "iub"
_WHOLE = "return the arrays that were sent; to train adapters alone, begin with a model of the adapters alone"


def as_arrays(given: Mapping[str, object]) -> dict[str, NDArray[Any]]:
    """Return whatever holds numbers, by name, as arrays. Raises `InputError` for what does not."""
    try:
        arrays = {str(name): np.asarray(values) for name, values in given.items()}
    except (TypeError, ValueError, RuntimeError) as error:  # what other libraries' arrays raise
        raise InputError(f"these are no arrays: {error}") from None
    check_numbers(arrays)
    return arrays


def layout_of_model(model: object) -> Layout | None:
    """Return the layout of an update to a model: one with a `state_dict`, as PyTorch's, or one array, as such or as
    lists, in single precision. None for a model that is described in another way."""
    if callable(state := getattr(model, "state_dict", None)):
        return layout_of({name: values.detach().cpu().numpy() for name, values in state().items()})
    return layout_of({"model": np.asarray(model, np.float32)}) if isinstance(model, list | np.ndarray) else None


def check_numbers(arrays: Arrays) -> None:
    """Raise `InputError` for values that are no numbers."""
    for name, values in arrays.items():
        if values.dtype.kind not in _KEPT + _SUMMED:
            raise InputError(f"array {name!r} is {values.dtype}: send floats, which are averaged, or integers")


def summed(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Return the arrays that are averaged: the floats."""
    return {name: values for name, values in arrays.items() if values.dtype.kind in _SUMMED}


def kept(arrays: Arrays) -> tuple[str, ...]:
    """Return the names of the arrays that are not averaged."""
    return tuple(name for name, values in arrays.items() if values.dtype.kind in _KEPT)


def layout_of(arrays: Arrays) -> Layout:
    """Return the layout of an update to this model. Raises `InputError` when it has no floats."""
    check_numbers(arrays)
    return Layout.of(summed(arrays))


def change(received: Arrays, trained: Arrays, *, relative: bool = False) -> dict[str, NDArray[Any]]:
    """Participant: what training changed, trained − received, in the received arrays' own dtypes. relative: `trained`
    is that difference already.

    Raises `InputError` naming an array that is missing, strange, of another shape or no number.
    """
    expected = summed(received)
    if how := renamed(expected, summed(trained)):
        raise InputError(f"the reply's arrays are not called as in the model that was sent: {how}")
    if missing := sorted(expected.keys() - trained.keys()):
        raise InputError(f"array {missing[0]!r} is missing from the reply ({len(missing)} in all): {_WHOLE}")
    if strange := sorted(trained.keys() - received.keys()):
        raise InputError(f"array {strange[0]!r} is not in the model that was sent ({len(strange)} in all): {_WHOLE}")
    changes = {}
    for name, before in expected.items():
        after = trained[name]
        if after.shape != before.shape:
            raise InputError(f"array {name!r} has shape {after.shape}, the model that was sent has {before.shape}")
        if after.dtype.kind not in _KEPT + _SUMMED:
            raise InputError(f"array {name!r} is {after.dtype}, the model that was sent has {before.dtype}")
        with np.errstate(over="ignore", invalid="ignore"):  # the codec refuses what comes of it, by name
            changes[name] = np.subtract(after, 0.0 if relative else before, dtype=np.float64).astype(before.dtype)
    return changes


def weight_of(reported: Mapping[str, object], codec: Codec, weight_key: str) -> int | None:
    """Participant: its weight, capped at the public maximum; None where all weigh the same. Raises `InputError`."""
    if not codec.weight_max:
        return None
    if weight_key not in reported:
        raise InputError(
            f"metric {weight_key!r} is missing: it is this participant's weight; report it, or agree on weight_max=0"
        )
    weight = _number(weight_key, reported[weight_key])
    if not weight.is_integer():
        raise InputError(f"metric {weight_key!r} is no whole number: give a number of examples")
    if weight > codec.weight_max:
        log.warning("secagg: this site's weight is above weight-max=%d and counts as that", codec.weight_max)
    return min(int(weight), codec.weight_max)


def metrics_of(reported: Mapping[str, object], codec: Codec, weight_key: str) -> dict[str, float]:
    """Participant: the metrics that have an agreed range; everything else stays here. Raises `InputError`."""
    ranges = codec.metrics.keys()
    if left_out := sorted(reported.keys() - ranges - {weight_key}):
        log.info("secagg: %s not sent: no range was agreed for a sum (knob: metrics)", ", ".join(left_out))
    return {name: _number(name, reported[name]) for name in sorted(ranges & reported.keys())}


def scalars_of(reported: Mapping[str, object], most: int = 64) -> dict[str, float]:
    """Participant: a report of numbers by name, to be sent as it is. most: so many, with names as long: no model hides
    in them. Raises `InputError`."""
    if len(reported) > most or any(not isinstance(name, str) or len(name) > most for name in reported):
        raise InputError(f"the report has more than {most} numbers, or a name that is no text or longer")
    return {name: _number(name, value) for name, value in reported.items()}


def vector_of(changes: Arrays, reported: Mapping[str, object], terms: CodecTerms, scheme: Parameters) -> Integers:
    """Participant: its update, weight and metrics as the vector that the scheme sums. Raises `InputError`, and
    `ParameterError` where the scheme does not sum what the codec makes of the model."""
    codec = terms.codec(layout_of(changes))
    key = terms.weight_key
    fit(scheme, codec)
    encoded = codec.encode(changes, weight=weight_of(reported, codec, key), metrics=metrics_of(reported, codec, key))
    if encoded.clipped:
        log.warning("secagg: out of range and clipped: %s", _clipped(encoded, changes))
    return encoded.vector


def mean_of(output: Output, codec: Codec) -> Decoded:
    """Aggregator: the survivors' weighted mean. Raises `InputError` for a sum that no updates have."""
    return codec.decode(output.total, len(output.survivors))


def applied(received: Arrays, mean: Decoded) -> dict[str, NDArray[Any]]:
    """Aggregator: the model that was sent plus the mean update; what is kept stays as it was."""
    assert isinstance(mean.arrays, dict)  # the layout was made of a mapping
    changed = {name: np.asarray(received[name] + by) for name, by in mean.arrays.items()}
    return {name: changed.get(name, values) for name, values in received.items()}


def _clipped(encoded: Encoded, changes: Arrays) -> str:
    """Return how much of what was clipped, the most of its kind first: for a participant's own log."""
    shares = {name: count / changes[name].size for name, count in encoded.clipped_in.items()}
    worst = sorted(shares, key=lambda name: -shares[name])
    rows = [f"{encoded.clipped_in[name]} of {changes[name].size} values of {name} (knob: clip)" for name in worst]
    if metrics := encoded.clipped - sum(encoded.clipped_in.values()):
        rows.append(f"{metrics} of the metrics (knob: metrics)")
    return listed(rows, str)


def _number(name: str, value: object) -> float:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"metric {name!r} is no finite number")
    return float(value)
