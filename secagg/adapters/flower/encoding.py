"""Flower's records ↔ what the codec takes: an update of named float arrays, a weight and a few metrics.

Arrays are taken in order of their names, whatever order a record arrives in. Arrays of integers and booleans (counters
of batch normalisation, flags) are no part of a mean: they are not summed, and the global model keeps its own.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from logging import INFO, WARNING
from typing import Any, TypeAlias

import msgspec
import numpy as np
from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict
from flwr.common.logger import log
from numpy.typing import NDArray

from secagg.codec import Decoded, Layout
from secagg_protocols import InputError, Scheme
from secagg_protocols.domain import Use, digest, frame

from .records import CodecTerms, guard_bits, numpy_of, sole

Arrays: TypeAlias = dict[str, NDArray[Any]]
Integers: TypeAlias = NDArray[np.unsignedinteger[Any]]

RunConfig: TypeAlias = Mapping[str, bool | float | int | str]

ROUND_KEY = "server-round"
"""Flower's strategies put the round's number into the configuration. It is bound beside the digest, not in it."""

_KEPT = "iub"


def arrays_of(record: ArrayRecord) -> Arrays:
    """Return a model's arrays, sorted by name. Raises `InputError` for values that are no numbers."""
    arrays = {name: numpy_of(name, record[name]) for name in sorted(record)}
    for name, values in arrays.items():
        if values.dtype.kind not in _KEPT + "f":
            raise InputError(f"array {name!r} is {values.dtype}: send floats, which are averaged, or integers")
    return arrays


def summed(arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Return the arrays that are averaged: the floats."""
    return {name: values for name, values in arrays.items() if values.dtype.kind == "f"}


def kept(arrays: Mapping[str, NDArray[Any]]) -> tuple[str, ...]:
    """Return the names of the arrays that are not averaged."""
    return tuple(name for name, values in arrays.items() if values.dtype.kind in _KEPT)


def layout_of(arrays: Mapping[str, NDArray[Any]]) -> Layout:
    """Return the layout of an update to this model. Raises `InputError` when it has no floats."""
    return Layout.of(summed(arrays))


def context_digest(
    content: RecordDict,
    arrays: Mapping[str, NDArray[Any]],
    kind: str,
    codec_digest: bytes,
    weight_key: str,
    run_config: RunConfig | None,
) -> bytes:
    """Digest what a participant is sent, as its trainer sees it: model, configuration, codec.

    run_config: the run's, which a SuperLink could hand to every node otherwise; None where the trainer gets none.

    kind: the message's type, which picks the function that trains. weight_key: a node that takes its weight from
    another metric than the rest could be made to outweigh them all. The order of the arrays counts: trainers go by it.
    The round's number is not in it: a model asked about again must be recognised, in whatever round. A participant
    compares the number with the proposal's instead.
    """
    rows = []
    for name, values in arrays.items():
        data = hashlib.sha256(np.ascontiguousarray(values).data).digest()
        rows.append(frame(name, values.dtype.str, repr(values.shape), data))
    settings: list[Any] = [kind, weight_key, [(name, list(record)) for name, record in content.array_records.items()]]
    settings.append(None if run_config is None else sorted(run_config.items()))
    for name, record in sorted(content.config_records.items()):
        settings.append(["config", name, sorted((key, None if key == ROUND_KEY else record[key]) for key in record)])
    for name, record in sorted(content.metric_records.items()):
        settings.append(["metrics", name, sorted(record.items())])
    return digest(Use.CONTEXT, frame(*rows), msgspec.msgpack.encode(settings), codec_digest)


def check_round(content: RecordDict, expected: int) -> None:
    """Raise `InputError` where the configuration gives the round another number than the proposal does."""
    for name, record in content.config_records.items():
        said = record.get(ROUND_KEY, expected)
        if type(said) is not int or said != expected:
            raise InputError(f"{name!r} says {ROUND_KEY}={record[ROUND_KEY]}, the proposal says {expected}")


def update(received: Mapping[str, NDArray[Any]], trained: ArrayRecord) -> Arrays:
    """Participant: what training changed, trained − received, in the received arrays' own dtypes.

    Raises `InputError` naming an array that is missing, strange, of another shape or no number.
    """
    given = {name: numpy_of(name, trained[name]) for name in trained}
    expected = summed(received)
    if missing := sorted(expected.keys() - given.keys()):
        raise InputError(f"array {missing[0]!r} is missing from the reply ({len(missing)} in all)")
    if strange := sorted(given.keys() - received.keys()):
        raise InputError(f"array {strange[0]!r} is not in the model that was sent ({len(strange)} in all)")
    changes = {}
    for name, before in expected.items():
        after = given[name]
        if after.shape != before.shape:
            raise InputError(f"array {name!r} has shape {after.shape}, the model that was sent has {before.shape}")
        if after.dtype.kind not in _KEPT + "f":
            raise InputError(f"array {name!r} is {after.dtype}, the model that was sent has {before.dtype}")
        with np.errstate(over="ignore", invalid="ignore"):  # the codec refuses what comes of it, by name
            changes[name] = np.subtract(after, before, dtype=np.float64).astype(before.dtype)
    return changes


def weight_and_metrics(content: RecordDict, terms: CodecTerms) -> tuple[int | None, dict[str, float]]:
    """Participant: its weight, capped at the public maximum, and the metrics that have an agreed range.

    Everything else in the MetricRecord stays here. Raises `InputError`.
    """
    _, record = sole(content.metric_records, "MetricRecord")
    assert isinstance(record, MetricRecord)
    ranges = {name for name, _, _ in terms.metrics}
    left_out = sorted(record.keys() - ranges - {terms.weight_key})
    if left_out:
        log(WARNING, "secagg: %s not sent: no range was agreed for a sum (knob: metrics)", ", ".join(left_out))
    metrics = {name: _number(name, record[name]) for name in sorted(ranges & record.keys())}
    if not terms.weight_max:
        return None, metrics
    if terms.weight_key not in record:
        raise InputError(f"metric {terms.weight_key!r} is missing: it is this participant's weight")
    weight = _number(terms.weight_key, record[terms.weight_key])
    if not weight.is_integer():
        raise InputError(f"metric {terms.weight_key!r} is no whole number: give a number of examples")
    if weight > terms.weight_max:
        log(WARNING, "secagg: this site's weight is above weight-max=%d and counts as that", terms.weight_max)
    return min(int(weight), terms.weight_max), metrics


def with_guard(vector: Integers, scheme: Scheme) -> Integers:
    """Participant: leave the low bits to the scheme's error, if it has one."""
    guard = guard_bits(scheme)
    return vector.astype(np.uint64) << np.uint64(guard) if guard else vector


def without_guard(total: Integers, scheme: Scheme) -> Integers:
    """Server: round the scheme's error away."""
    guard = guard_bits(scheme)
    return (total + np.uint64(1 << (guard - 1))) >> np.uint64(guard) if guard else total


def updated(received: Mapping[str, NDArray[Any]], order: list[str], mean: Decoded) -> ArrayRecord:
    """Server: the model that was sent plus the mean update, in the record's own order; what is kept stays as it was."""
    assert isinstance(mean.arrays, dict)  # the layout was made of a mapping
    arrays = dict(received) | {name: received[name] + change for name, change in mean.arrays.items()}
    return ArrayRecord({name: Array(np.asarray(arrays[name])) for name in order})


def with_kept(received: Mapping[str, NDArray[Any]], result: ArrayRecord) -> ArrayRecord:
    """Server: undo what a strategy's arithmetic did to arrays that are no part of a mean."""
    for name in kept(received):
        if name in result:
            result[name] = Array(received[name])
    return result


def tell_kept(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Say which arrays are not averaged."""
    if names := kept(arrays):
        log(INFO, "secagg: not averaged, the global values stay: %s", ", ".join(names))


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"metric {name!r} is no finite number")
    return float(value)
