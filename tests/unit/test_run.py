"""The whole protocols as prose, without machines: same randomness, same messages byte for byte, same sum."""

import hashlib
from collections import defaultdict

import numpy as np
import pytest

from secagg import Simulation
from secagg_he import ThresholdCkks
from secagg_he.threshold.run import run_threshold_ckks
from secagg_protocols import (
    SERVER,
    Bonawitz,
    InsecureDeterministicRandomness,
    LightSecAgg,
    Plain,
    RoundContext,
    SecAggPlus,
    Step,
)
from secagg_protocols.bonawitz import steps
from secagg_protocols.bonawitz.run import Signing, run_bonawitz
from secagg_protocols.core.noise import Noise
from secagg_protocols.core.wire import Envelope, encode, signed_bytes
from secagg_protocols.dealing.run import Cast
from secagg_protocols.lightsecagg.run import run_lightsecagg
from secagg_protocols.plain.steps import run_plain
from secagg_protocols.primitives.domain import VERSION

NOISE, MANY = Noise("1000", 2), Noise("9000", 5)
CONTEXT = RoundContext("prose", 1, bytes(range(32)))


def draw(scheme):
    drawn, top = np.random.default_rng(scheme.length), scheme.domain.largest + 1
    return {who: drawn.integers(0, top, scheme.length) for who in range(1, scheme.participants + 1)}


def by_machines(scheme, vectors, gone):
    """Return (the simulation, its sum, kind → participant → payloads) of a round in which some vanish."""
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
    return simulation, simulation.run().output, {kind: dict(whose) for kind, whose in sent.items()}


def streams(scheme):
    """Return everyone's randomness as a simulation hands it out."""
    seed = InsecureDeterministicRandomness(5)
    return {who: seed.fork(f"participant {who}" if who else "server") for who in range(scheme.participants + 1)}


def encoded(sent):
    return {kind: {who: [encode(one) for one in said] for who, said in whose.items()} for kind, whose in sent.items()}


def check_sum(scheme, vectors, output, expected):
    assert output.survivors == expected.survivors
    assert (output.total == expected.total).all()
    if scheme.noise is not None:
        return
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
        LightSecAgg(7, 200, noise=NOISE),
    ],
    ids=str,
)
def test_the_prose_of_lightsecagg_is_what_its_machines_do(scheme, gone):
    vectors, everyone = draw(scheme), streams(scheme)
    _, expected, sent = by_machines(scheme, vectors, gone)
    del everyone[SERVER]
    output, said = run_lightsecagg(scheme, CONTEXT, Cast(vectors, everyone, gone))
    assert encoded(said) == sent
    check_sum(scheme, vectors, output, expected)


@pytest.mark.parametrize("gone", [{}, {3: Step.SUM}])
@pytest.mark.parametrize("length", [1, 300_000])
def test_the_prose_of_plain_is_what_its_machines_do(length, gone):
    scheme = Plain(4, length)
    vectors = draw(scheme)
    _, expected, _ = by_machines(scheme, vectors, gone)
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
        ThresholdCkks(7, 100, noise=NOISE),
    ],
    ids=str,
)
def test_the_prose_of_threshold_ckks_is_what_its_machines_do(scheme, gone):
    vectors = draw(scheme)
    _, expected, sent = by_machines(scheme, vectors, gone)
    output, said = run_threshold_ckks(scheme, CONTEXT, Cast(vectors, streams(scheme), gone))
    assert encoded(said) == sent
    check_sum(scheme, vectors, output, expected)


# --- Bonawitz and SecAggPlus


def as_envelopes_are(simulation):
    """Sign as the machines' envelopes are signed."""

    def sign(who, binding, message):
        machine = simulation.clients[who]
        kind = type(message).__name__
        if not machine.scheme.active:
            return b""
        envelope = Envelope(VERSION, machine.scheme.suite.id, binding, kind, who, SERVER, encode(message), b"")
        return machine._identity.sign(signed_bytes(envelope, hashlib.sha256(envelope.payload).digest()))

    return Signing(simulation.server._roster, sign)


@pytest.mark.parametrize(
    "gone",
    [
        {},
        {2: Step.MASKED_INPUT},
        {1: Step.ADVERTISE_KEYS, 3: Step.SHARE_KEYS, 5: Step.MASKED_INPUT},
        {4: Step.UNMASKING, 7: Step.MASKED_INPUT},
    ],
    ids=len,
)
@pytest.mark.parametrize(
    "scheme",
    [
        Bonawitz(9, 50, threshold=4),
        Bonawitz(8, 400, value_bits=40, colluders=2, threshold=5),
        Bonawitz(8, 30, early_keys=True, ciphersuite="p256", threshold=3),
        Bonawitz(9, 30, adversary="active", colluders=1),
        Bonawitz(8, 400_000, value_bits=20, threshold=4),
        Bonawitz(9, 70_000, threshold=4, noise=Noise("1000", 4)),
        Bonawitz(9, 300, adversary="active", colluders=1, noise=Noise("1000", 3, 1)),
        SecAggPlus(40, 60, neighbours=14, threshold=5, corrupt_rate=0.0, dropout_rate=0.15, sigma=20, eta=10),
        SecAggPlus(
            40, 60, neighbours=14, threshold=5, corrupt_rate=0.0, dropout_rate=0.15, sigma=20, eta=10, noise=MANY
        ),
        SecAggPlus(8, 60, neighbours=7, threshold=4, corrupt_rate=0.0, dropout_rate=0.3, sigma=20, eta=10),
    ],
    ids=str,
)
def test_the_prose_of_bonawitz_is_what_its_machines_do(scheme, gone):
    vectors = draw(scheme)
    simulation, expected, sent = by_machines(scheme, vectors, gone)
    output, said = run_bonawitz(scheme, CONTEXT, Cast(vectors, streams(scheme), gone), as_envelopes_are(simulation))
    assert encoded(said) == sent
    check_sum(scheme, vectors, output, expected)


def test_a_step_that_is_done_otherwise_is_seen(monkeypatch):
    """The machines are compared with what they call: one that went its own way would not be."""
    scheme = Bonawitz(5, 20)
    vectors = draw(Bonawitz(5, 20))
    simulation, _, sent = by_machines(scheme, vectors, {})
    monkeypatch.setattr(steps, "self_mask_key", lambda scheme, session, who, seed: seed[:16])
    _, said = run_bonawitz(scheme, CONTEXT, Cast(vectors, streams(scheme), {}), as_envelopes_are(simulation))
    assert [encode(one) for one in said["MaskedInput"][1]] != sent["MaskedInput"][1]
    assert [encode(one) for one in said["Unmasking"][1]] == sent["Unmasking"][1]
