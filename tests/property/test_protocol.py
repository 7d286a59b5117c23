"""Any round of any shape: the sum over exactly the survivors, or none."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secagg import simulate
from secagg_protocols import Bonawitz, InsecureDeterministicRandomness, Plain, Policy, RoundFailed, Scheme

LENIENT = Policy(minimum_cohort=2)
STEADY = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def schemes(draw: st.DrawFn) -> Scheme:
    """Any scheme of up to eight participants, at any width that fits."""
    participants = draw(st.integers(2, 8))
    value_bits = draw(st.integers(1, 60))
    length = draw(st.integers(1, 40))
    if draw(st.integers(0, 5)) == 0:
        return Plain(participants, length, value_bits=value_bits)
    adversary = draw(st.sampled_from(["semi-honest", "active"]))
    colluders = draw(st.integers(0, participants - 2))
    least = (participants + colluders) // 2 + 1 if adversary == "active" else colluders + 1
    return Bonawitz(
        participants,
        length,
        value_bits=value_bits,
        adversary=adversary,
        colluders=colluders,
        threshold=draw(st.one_of(st.none(), st.integers(least, participants))),
        ciphersuite=draw(st.sampled_from(["x25519", "p256"])),
    )


def vectors_of(scheme: Scheme, seed: int) -> list[Any]:
    top = (1 << scheme.value_bits) - 1
    rows = np.random.default_rng(seed).integers(
        0, top, (scheme.participants, scheme.length), dtype=np.uint64, endpoint=True
    )
    return list(rows)


def exact(vectors: list[Any], survivors: tuple[int, ...]) -> list[int]:
    return [sum(column) for column in zip(*(vectors[survivor - 1].tolist() for survivor in survivors), strict=True)]


@STEADY
@given(scheme=schemes(), seed=st.integers(0, 2**32), data=st.data())
def test_every_round_gives_the_sum_over_the_survivors_or_fails_for_want_of_them(
    scheme: Scheme, seed: int, data: st.DataObject
) -> None:
    fates = st.one_of(st.none(), st.none(), st.sampled_from([step.value for step in scheme.steps]))
    drop = {p: step for p in range(1, scheme.participants + 1) if (step := data.draw(fates)) is not None}
    vectors = vectors_of(scheme, seed)
    order = [step.value for step in scheme.steps]
    alive = [
        sum(p not in drop or order.index(drop[p]) > i for p in range(1, scheme.participants + 1))
        for i in range(len(order))
    ]
    # A participant's own floor: two beside the stated colluders. Below it, it refuses, whatever the threshold.
    floor = scheme.floor(LENIENT) if len(order) > 1 else 1
    if any(have < scheme.quorum for have in alive):
        with pytest.raises(RoundFailed) as caught:
            simulate(scheme, vectors, drop=drop, policy=LENIENT)
        position = next(i for i, have in enumerate(alive) if have < scheme.quorum)
        if all(have >= floor for have in alive[:position]):
            assert (caught.value.step, caught.value.have) == (order[position], alive[position])
        return
    heard = alive[: order.index("MaskedInput") + 1] if len(order) > 1 else alive
    if any(have < floor for have in heard):
        with pytest.raises(RoundFailed):
            simulate(scheme, vectors, drop=drop, policy=LENIENT)
        return
    run = simulate(scheme, vectors, drop=drop, policy=LENIENT)
    assert run.total.tolist() == exact(vectors, run.survivors)
    inputs = order.index("MaskedInput") if len(order) > 1 else 0
    assert run.survivors == tuple(
        p for p in range(1, scheme.participants + 1) if p not in drop or order.index(drop[p]) > inputs
    )


@STEADY
@given(scheme=schemes(), seed=st.integers(0, 2**32), split=st.integers(0, 5))
def test_a_seed_decides_every_byte(scheme: Scheme, seed: int, split: int) -> None:
    sent: list[list[bytes]] = [[], []]
    for log in sent:

        def record(machine: Any, envelopes: list[Any], log: list[bytes] = log) -> list[Any]:
            log += [envelope.to_bytes() for envelope in envelopes]
            return envelopes

        simulate(
            scheme,
            vectors_of(scheme, seed),
            policy=LENIENT,
            randomness=InsecureDeterministicRandomness(seed),
            misbehave=dict.fromkeys(range(scheme.participants + 1), record),
        )
    assert sent[0] == sent[1]
    assert len(sent[0]) >= scheme.participants


@STEADY
@given(seed=st.integers(0, 2**32), data=st.data())
def test_any_liars_at_the_opening_give_the_right_sum_or_none(seed: int, data: st.DataObject) -> None:
    """Random wrong shares from any subset of holders, in the semi-honest variant: never a wrong sum."""
    from secagg_protocols.bonawitz.messages import Unmasking

    participants = data.draw(st.integers(3, 7))
    scheme = Bonawitz(participants, 5, threshold=data.draw(st.integers(2, participants)))
    liars = data.draw(st.sets(st.integers(1, participants)))
    generator = np.random.default_rng(seed)

    def lie(machine: Any, envelopes: list[Any]) -> list[Any]:
        if not envelopes or envelopes[0].kind != "Unmasking":
            return envelopes
        message = message_of(envelopes[0])
        shares = bytearray(message.shares)
        for start in range(0, len(shares), 34):
            if generator.integers(0, 2):
                shares[start : start + 32] = generator.bytes(32)
                shares[start + 32 : start + 34] = bytes(2)
        return [machine.seal("Unmasking", 0, Unmasking(message.missing, memoryview(bytes(shares))))]

    def message_of(envelope: Any) -> Any:
        from secagg_protocols.core.wire import decode

        return decode(Unmasking, envelope.payload, scheme.payload_limit)

    vectors = vectors_of(scheme, seed)
    try:
        run = simulate(scheme, vectors, policy=LENIENT, misbehave=dict.fromkeys(liars, lie))
    except RoundFailed as failure:
        assert liars
        assert failure.step == "Unmasking"
        return
    assert run.total.tolist() == exact(vectors, run.survivors)
    assert {correction.holder for correction in run.corrections} <= liars
