"""Arbitrary and nearly right bytes at every decoder: our errors or a faithful message, and nothing else."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from secagg import simulate
from secagg_protocols import (
    Bonawitz,
    Envelope,
    InputError,
    InsecureDeterministicRandomness,
    MemoryLedger,
    Participant,
    Plain,
    Policy,
    RoundFailed,
    SecAggError,
    WireError,
)
from secagg_protocols.bonawitz import messages as bonawitz
from secagg_protocols.core.aborts import Abort
from secagg_protocols.core.wire import decode, encode
from secagg_protocols.plain.messages import Sum

LIMIT = 1 << 16
KINDS = [
    bonawitz.AdvertiseKeys,
    bonawitz.KeyEntry,
    bonawitz.KeyList,
    bonawitz.ShareKeys,
    bonawitz.SealedShares,
    bonawitz.MaskedInput,
    bonawitz.SurvivorList,
    bonawitz.ConsistencyCheck,
    bonawitz.UnmaskRequest,
    bonawitz.Unmasking,
    Sum,
    Abort,
]
STEADY = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
SHORT = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])

VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(),
        st.binary(max_size=70),
        st.text(max_size=10),
        st.sampled_from([bytes(16), bytes(32), bytes(64)]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=7), st.dictionaries(st.integers(0, 9), inner, max_size=3)),
    max_leaves=12,
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@STEADY
@given(data=st.one_of(st.binary(max_size=200), VALUES.map(msgspec.msgpack.encode)))
@example(data=b"")
@example(data=b"\x91" * 5000)
@example(data=b"\xdd\xff\xff\xff\xff")
@example(data=b"\x92\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xc4\x00")
def test_a_payload_is_refused_or_is_its_own_encoding(kind: Any, data: bytes) -> None:
    try:
        message = decode(kind, data, LIMIT)
    except WireError:
        return
    assert encode(message) == data


NEARLY_ENVELOPES = st.builds(
    lambda suite, middle, kind, signature, rest: bytes([1, suite]) + middle + bytes([kind, 0, signature]) + rest,
    st.integers(0, 3),
    st.binary(min_size=40, max_size=40),
    st.integers(0, 40),
    st.integers(0, 70),
    st.text(alphabet="abc", max_size=200).map(str.encode) | st.binary(max_size=200),
)
"""Whole headers, whose lengths may lie."""


@STEADY
@given(data=st.one_of(st.binary(max_size=400), NEARLY_ENVELOPES))
@example(data=bytes(45))
@example(data=b"\x01" + bytes(41) + b"\xff\0\0" + b"kind")
@example(data=b"\x01\x01" + bytes(40) + b"\x04\0\x41" + b"kind" + bytes(80))
def test_an_envelope_is_refused_or_is_its_own_encoding(data: bytes) -> None:
    try:
        envelope = Envelope.from_bytes(data, LIMIT)
    except WireError:
        return
    assert envelope.to_bytes() == data


SCHEMES = {
    "plain": Plain(3, 5),
    "semi-honest": Bonawitz(3, 5),
    "active": Bonawitz(3, 5, adversary="active"),
    "active-p256": Bonawitz(3, 5, adversary="active", ciphersuite="p256"),
}


def change(data: bytes, edits: list[tuple[int, int, int]]) -> bytes:
    """Apply edits (kind, place, value): set, delete, insert, cut, or repeat."""
    changed = bytearray(data)
    for kind, place, value in edits:
        if not changed:
            break
        place %= len(changed)
        if kind == 0:
            changed[place] ^= value or 1
        elif kind == 1:
            del changed[place]
        elif kind == 2:
            changed.insert(place, value)
        elif kind == 3:
            del changed[place:]
        else:
            changed[place:place] = changed[max(0, place - value) : place]
    return bytes(changed)


class Bytes:
    """What stands for an envelope on its way: bytes that may be anything."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def to_bytes(self) -> bytes:
        return self.data


EDITS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=4)


@pytest.mark.parametrize("name", SCHEMES)
@SHORT
@given(edits=EDITS, victim=st.integers(0, 14), seed=st.integers(0, 3))
def test_one_damaged_message_makes_no_wrong_sum_and_no_foreign_error(
    name: str, edits: Any, victim: int, seed: int
) -> None:
    """Where messages are signed the sum is right or missing; without, only a masked vector can be garbage."""
    scheme = SCHEMES[name]
    vectors = {p: [p, 0, 65535, seed, 1] for p in (1, 2, 3)}
    sent, touched = 0, []

    def damage(machine: Any, envelopes: list[Any]) -> list[Any]:
        nonlocal sent
        outgoing: list[Any] = []
        for envelope in envelopes:
            data = envelope.to_bytes()
            changed = change(data, edits) if sent == victim else data
            if changed != data:
                touched.append(envelope.kind)
            sent += 1
            outgoing.append(Bytes(changed))
        return outgoing

    try:
        run = simulate(
            scheme,
            {p: np.array(v) for p, v in vectors.items()},
            policy=Policy(minimum_cohort=2),
            randomness=InsecureDeterministicRandomness(seed),
            misbehave=dict.fromkeys((1, 2, 3), damage),
        )
    except RoundFailed:
        assert touched
        return
    expected = [sum(vectors[p][i] for p in run.survivors) for i in range(5)]
    if touched and not scheme.active and touched[0] in ("MaskedInput", "Sum"):
        return
    assert run.total.tolist() == expected


@pytest.mark.parametrize("name", SCHEMES)
@STEADY
@given(data=st.one_of(st.binary(max_size=300), VALUES.map(msgspec.msgpack.encode)))
def test_bytes_that_are_no_snapshot_are_refused(name: str, data: bytes) -> None:
    try:
        SCHEMES[name].restore(data, Participant(ledger=MemoryLedger()))
    except (InputError, SecAggError):
        return
    raise AssertionError("restored from nothing")
