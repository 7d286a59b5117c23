"""The whole protocols as prose, without machines: same randomness, same messages byte for byte, same sum."""

from collections import defaultdict

import numpy as np
import pytest

from secagg import Simulation
from secagg_he import ThresholdCkks
from secagg_he.threshold.run import run_threshold_ckks
from secagg_protocols import SERVER, InsecureDeterministicRandomness, LightSecAgg, Plain, RoundContext, Step
from secagg_protocols.core.wire import encode
from secagg_protocols.lightsecagg.run import run_lightsecagg
from secagg_protocols.plain.steps import run_plain

CONTEXT = RoundContext("prose", 1, bytes(range(32)))


def draw(scheme):
    drawn, top = np.random.default_rng(scheme.length), 1 << scheme.value_bits
    return {who: drawn.integers(0, top, scheme.length) for who in range(1, scheme.participants + 1)}


def by_machines(scheme, vectors, gone):
    """Return (the sum, kind → participant → payloads) of a round in which some vanish."""
    sent = defaultdict(lambda: defaultdict(list))

    def note(machine, envelopes):
        for envelope in envelopes:
            sent[envelope.kind][envelope.sender or envelope.recipient].append(bytes(envelope.payload))
        return envelopes

    simulation = Simulation(
        scheme,
        vectors,
        drop=gone,
        misbehave=dict.fromkeys(range(scheme.participants + 1), note),
        context=CONTEXT,
        randomness=InsecureDeterministicRandomness(5),
    )
    return simulation.run().output, {kind: dict(whose) for kind, whose in sent.items()}


def streams(scheme):
    """Return everyone's randomness as a simulation hands it out."""
    seed = InsecureDeterministicRandomness(5)
    return {who: seed.fork(f"participant {who}" if who else "server") for who in range(scheme.participants + 1)}


def encoded(sent):
    return {kind: {who: [encode(one) for one in said] for who, said in whose.items()} for kind, whose in sent.items()}


def check_sum(vectors, output, expected):
    assert output.survivors == expected.survivors
    assert (output.total == expected.total).all()
    assert (output.total == sum(vectors[who].astype(np.uint64) for who in output.survivors)).all()


@pytest.mark.parametrize(
    "gone",
    [{}, {2: Step.MASKED_INPUT, 5: Step.MASKED_INPUT}, {1: Step.SHARE_MASKS, 4: Step.UNMASKING}],
    ids=["nobody", "two", "one by one"],
)
@pytest.mark.parametrize(
    "scheme",
    [
        LightSecAgg(7, 50),
        LightSecAgg(8, 400, value_bits=40, colluders=2),
        LightSecAgg(6, 30, early_keys=True, ciphersuite="p256"),
        LightSecAgg(7, 400_000),
    ],
    ids=str,
)
def test_the_prose_of_lightsecagg_is_what_its_machines_do(scheme, gone):
    vectors, everyone = draw(scheme), streams(scheme)
    expected, sent = by_machines(scheme, vectors, gone)
    del everyone[SERVER]
    output, said = run_lightsecagg(scheme, CONTEXT, vectors, everyone, gone)
    assert encoded(said) == sent
    check_sum(vectors, output, expected)


@pytest.mark.parametrize("gone", [{}, {3: Step.SUM}])
@pytest.mark.parametrize("length", [1, 300_000])
def test_the_prose_of_plain_is_what_its_machines_do(length, gone):
    scheme = Plain(4, length)
    vectors = draw(scheme)
    expected, _ = by_machines(scheme, vectors, gone)
    output = run_plain(scheme, {who: vector for who, vector in vectors.items() if who not in gone})
    assert output.survivors == expected.survivors
    assert (output.total == expected.total).all()


@pytest.mark.parametrize(
    "gone",
    [{}, {2: Step.ENCRYPT, 5: Step.ENCRYPT}, {3: Step.ADVERTISE_KEYS, 4: Step.OPENING}],
    ids=["nobody", "two", "one by one"],
)
@pytest.mark.parametrize(
    "scheme",
    [
        ThresholdCkks(7, 50),
        ThresholdCkks(8, 3000, value_bits=48, packing=2, threshold=6),
        ThresholdCkks(6, 30, early_keys=True, ciphersuite="p256"),
        ThresholdCkks(40, 30),
        ThresholdCkks(6, 300_000),
    ],
    ids=str,
)
def test_the_prose_of_threshold_ckks_is_what_its_machines_do(scheme, gone):
    vectors = draw(scheme)
    expected, sent = by_machines(scheme, vectors, gone)
    output, said = run_threshold_ckks(scheme, CONTEXT, vectors, streams(scheme), gone)
    assert encoded(said) == sent
    check_sum(vectors, output, expected)
