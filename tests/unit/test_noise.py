"""Noise under the sum: what each adds, what stays of it however many vanish, and what is refused."""

import dataclasses
import math
import pickle
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest

from secagg import (
    Bfv,
    Bonawitz,
    Ckks,
    LightSecAgg,
    ParameterError,
    Plain,
    RoundFailed,
    SecAggPlus,
    Simulation,
    ThresholdCkks,
)
from secagg.round import Proposal
from secagg_protocols import InputError, InsecureDeterministicRandomness, RoundContext
from secagg_protocols.core.noise import Noise

WHOLE = "2560"
LENGTH = 20_000
CONTEXT = RoundContext("noise", 1, bytes(range(32)))


def kept(share, layers):
    """Return the variance of one participant's noise of which so many layers stay."""
    return sum((Fraction(width) ** 2 for width in (share.base, *share.layers[:layers])), Fraction(0))


# --- what is said


@pytest.mark.parametrize(
    "noise", [Noise("2560"), Noise("2560.50", 3), Noise("1E+3", 3, 2, rounded=True), Noise("1.0001")], ids=str
)
def test_noise_and_its_text_are_one(noise):
    assert Noise.of(str(noise)) == noise
    assert Noise.of(noise) is noise


def test_one_variance_is_written_in_one_way():
    assert Noise("2560.500") == Noise("2560.5") == Noise("25.605E2")
    assert Noise("1E+3").variance == "1000"


@pytest.mark.parametrize(
    "said",
    [
        "",
        "2560",
        "variance=",
        "variance=none",
        "variance=nan",
        "variance=inf",
        "variance=0",
        "variance=0.5",
        "variance=2_560",
        "variance=1E-999999",
        "variance=-1",
        "variance=1e99",
        f"variance=1.{'0' * 50}1",
        "variance=9 variance=9",
        "variance=9 tolerated=-1",
        "variance=9 tolerated=1.5",
        "variance=9 tolerated=\u0663",
        "variance=9 rounded=yes",
        "variance=9 layers=3",
    ],
)
def test_a_text_that_says_no_noise_is_refused(said):
    with pytest.raises(ParameterError, match="noise"):
        Noise.of(said)
    with pytest.raises(ParameterError, match="noise"):
        Bonawitz(10, 5, noise=said)


def test_the_program_s_own_decimal_context_changes_nothing():
    with localcontext() as context:
        context.prec = 5
        assert Noise("2560.123456").variance == "2560.123456"


@pytest.mark.parametrize("said", ["variance=" + "1" * 10_000_000, "x" * 10_000_000], ids=["number", "text"])
def test_a_refusal_does_not_repeat_what_somebody_sent_at_length(said):
    with pytest.raises(ParameterError) as caught:
        Noise.of(said)
    assert len(str(caught.value)) < 200


def test_a_scheme_with_layers_can_be_sent_to_a_worker():
    scheme = Bonawitz(10, 5, noise=Noise(WHOLE, 3))
    again = pickle.loads(pickle.dumps(scheme))
    assert again == scheme
    assert [secret.name for secret in again.secrets] == [secret.name for secret in scheme.secrets]


def test_sums_that_may_be_negative_keep_a_bit_for_it():
    assert Bonawitz(4, 3, value_bits=61, noise=Noise("256")).domain.sum_bits == 63
    with pytest.raises(ParameterError, match="may be negative"):
        Bonawitz(4, 3, value_bits=62, noise=Noise("256"))


def test_where_no_colluder_is_withstood_none_can_be_left_out_of_the_noise():
    for kind in (Plain, Bfv, Ckks):
        with pytest.raises(ParameterError, match="withstands none"):
            kind(10, 5, noise=Noise(WHOLE, 1, 1))


def test_a_scheme_takes_noise_or_its_text_and_is_another_for_it():
    said, text = (Bonawitz(10, 5, noise=noise) for noise in (Noise(WHOLE, 3), str(Noise(WHOLE, 3))))
    assert said == text
    assert said.id == text.id
    ids = {
        Bonawitz(10, 5).id,
        said.id,
        Bonawitz(10, 5, noise=Noise(WHOLE, 2)).id,
        Bonawitz(10, 5, noise=Noise("2561", 3)).id,
    }
    assert len(ids) == 4


def test_noise_travels_in_a_proposal():
    scheme = Bonawitz(10, 5, noise=Noise(WHOLE, 3))
    proposal = Proposal.of(scheme, CONTEXT)
    assert Bonawitz(10, 5, **proposal.parameters) == scheme
    assert "noise" not in Proposal.of(Bonawitz(10, 5), CONTEXT).parameters


# --- what each adds


@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize("colluders", [0, 1, 2])
def test_whoever_vanishes_honest_survivors_keep_what_was_promised_and_hardly_more(colluders, rounded):
    """Of the dropouts none to all may be colluders, whose noise is not counted in the first place."""
    noise = Noise(WHOLE, 3, colluders, rounded)
    share = noise.share(10, layered=True)
    assert share.levels == (0, 1, 2, 3)
    for dropouts in range(4):
        each = kept(share, share.kept(dropouts)) + (4 if rounded else 0)
        for colluders_among_them in range(min(dropouts, colluders) + 1):
            honest = 10 - colluders - (dropouts - colluders_among_them)
            assert honest * each >= Fraction(WHOLE)
        assert (10 - colluders - dropouts) * each < Fraction(WHOLE) * Fraction("1.00000001")
    assert share.kept(4) is None


@pytest.mark.parametrize(
    ("participants", "colluders", "levels"), [(100, 0, 16), (100, 10, 16), (1000, 0, 19), (1000, 100, 21)]
)
def test_of_many_dropouts_a_layer_stands_for_several_and_two_per_cent_stay_too_much(participants, colluders, levels):
    tolerated = participants * 3 // 10
    share = Noise("1000000", tolerated, colluders).share(participants, layered=True)
    assert len(share.levels) == levels
    for dropouts in range(tolerated + 1):
        honest = participants - colluders - dropouts
        residual = honest * kept(share, share.kept(dropouts)) / 1_000_000
        assert 1 <= residual < Fraction("1.0200001")


def test_where_nothing_can_be_taken_off_everyone_adds_for_the_worst_case():
    share = Noise(WHOLE, 3, 1).share(10, layered=False)
    assert share.layers == ()
    assert math.isclose(6 * Decimal(share.base) ** 2, Decimal(WHOLE), rel_tol=1e-9)
    assert share.kept(0) == share.kept(3) == 0
    assert share.kept(4) is None


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: Bonawitz(10, 5, noise=Noise("39", 0)), "variance=40.000 is the least"),
        (lambda: Bonawitz(10, 5, noise=Noise("223", 3)), "variance=360.000 is the least"),
        (lambda: Bonawitz(10, 5, noise=Noise("79", 0, rounded=True)), "variance=80.000 is the least"),
        (lambda: Bonawitz(10, 5, value_bits=40, noise=Noise("400000000", 3)), "wider than 4096"),
        (lambda: Bonawitz(20, 5, value_bits=40, threshold=4, noise=Noise("324000000", 16)), "wide in all"),
        (lambda: Bonawitz(10, 5, value_bits=8, noise=Noise("7000", 3)), "value_bits=8 is too few .* at least 10"),
        (lambda: Bonawitz(10, 5, noise=Noise(WHOLE, 9)), "tolerated=9 and colluders=0"),
        (lambda: Bonawitz(10, 5, noise=Noise(WHOLE, 5)), "tolerated=5 is above 4"),
        (
            lambda: Bonawitz(10, 5, colluders=1, noise=Noise(WHOLE, 1, 2)),
            "colluders=2 is above the scheme's colluders=1",
        ),
        (lambda: Bonawitz(1000, 5, value_bits=40, threshold=2, noise=Noise("1e8", 900)), "at most 48 are kept"),
        (lambda: SecAggPlus(1000, 5, noise=Noise("1e6", 400)), "tolerated=400 is above"),
    ],
    ids=["base", "layer", "rounded", "wide", "costly", "bits", "alone", "threshold", "colluders", "layers", "graph"],
)
def test_noise_that_would_not_be_what_it_says_is_refused_with_the_remedy(make, why):
    with pytest.raises(ParameterError, match=why):
        make()


def test_the_least_variance_that_a_refusal_names_works():
    Bonawitz(10, 5, noise=Noise("360", 3))
    Bonawitz(10, 5, noise=Noise("80", rounded=True))


def test_a_vector_that_leaves_no_room_for_its_noise_is_refused():
    scheme = Plain(3, 2, value_bits=10, noise=Noise("300"))
    client = scheme.client(1, CONTEXT)
    client.start()
    with pytest.raises(InputError, match="of which its noise takes"):
        client.contribute(np.array([0, scheme.domain.largest + 1], dtype=np.uint16))
    client.contribute(np.array([0, scheme.domain.largest], dtype=np.uint16))


# --- what comes out


SCHEMES = [
    Bonawitz(10, LENGTH, noise=Noise(WHOLE, 3)),
    Bonawitz(10, LENGTH, colluders=1, adversary="active", noise=Noise(WHOLE, 3, 1)),
    LightSecAgg(10, LENGTH, noise=Noise(WHOLE, 1)),
    ThresholdCkks(10, LENGTH, noise=Noise(WHOLE, 3)),
    Plain(10, LENGTH, noise=Noise(WHOLE, 3)),
]


def noisy_round(scheme, gone, seed=1):
    vectors = np.random.default_rng(3).integers(0, 100, (scheme.participants, scheme.length))
    randomness = InsecureDeterministicRandomness(seed)
    run = Simulation(scheme, list(vectors), drop=gone, randomness=randomness).run()
    return run, run.total - vectors[np.array(run.survivors) - 1].sum(axis=0)


@pytest.mark.parametrize("dropouts", [0, 1, 3])
@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: f"{scheme.name}-{scheme.adversary}")
def test_the_noise_of_the_sum_is_what_the_honest_survivors_promised(scheme, dropouts):
    noise = scheme.noise
    dropouts = min(dropouts, noise.tolerated)
    run, error = noisy_round(scheme, dict.fromkeys(range(2, 2 + dropouts), scheme.upload_step))
    assert run.total.dtype == np.int64
    each = kept(scheme.noise_share, scheme.noise_share.kept(dropouts))
    expected = float(each * len(run.survivors))
    assert abs(error.var() / expected - 1) < 5 * math.sqrt(2 / scheme.length)
    assert abs(error.mean()) < 5 * math.sqrt(expected / scheme.length)
    if scheme.removes_noise:
        honest = (10 - dropouts - noise.colluders) / (10 - dropouts)
        assert math.isclose(expected * honest, float(noise.variance), rel_tol=1e-8)


def test_survivors_that_vanish_before_they_open_cost_no_noise():
    scheme = SCHEMES[0]
    run, error = noisy_round(scheme, {2: "ShareKeys", 3: "MaskedInput", 5: "Unmasking", 6: "Unmasking"})
    assert len(run.survivors) == 8
    assert abs(error.var() / float(WHOLE) - 1) < 5 * math.sqrt(2 / LENGTH)


def test_on_a_sparse_graph_as_well():
    scheme = SecAggPlus(100, LENGTH // 4, value_bits=20, dropout_rate=0.1, noise=Noise("1000000", 10))
    run, error = noisy_round(scheme, dict.fromkeys((3, 50, 77), "MaskedInput"))
    assert abs(error.var() / 1e6 - 1) < 5 * math.sqrt(2 / error.size)
    assert run.total.dtype == np.int64


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: f"{scheme.name}-{scheme.adversary}")
def test_with_more_dropouts_than_tolerated_nobody_is_asked_and_there_is_no_sum(scheme):
    gone = dict.fromkeys(range(1, scheme.noise.tolerated + 2), scheme.upload_step)
    simulation = Simulation(scheme, list(np.zeros((10, LENGTH), dtype=np.uint16)), drop=gone)
    with pytest.raises(RoundFailed, match=f"tolerated={scheme.noise.tolerated} dropouts"):
        simulation.run()
    assert simulation.server.output is None


def test_an_opening_is_as_long_as_without_noise():
    sizes = []
    for noise in (None, Noise(WHOLE, 3)):
        scheme = dataclasses.replace(SCHEMES[0], length=50, noise=noise)
        simulation = Simulation(scheme, list(np.zeros((10, 50), dtype=np.uint16)), drop={4: "MaskedInput"})
        sizes.append(simulation.run().bytes_sent)
    layers = 3
    for who in sizes[0]:
        # Commitments when keys are advertised, shares when they are dealt: a row for each layer, nothing later.
        assert sizes[1][who] - sizes[0][who] == layers * 32 + layers * 9 * 34


def test_no_two_rounds_or_participants_have_the_same_noise():
    scheme = dataclasses.replace(SCHEMES[0], length=5000)
    first, again, other = (noisy_round(scheme, {}, seed)[1] for seed in (1, 1, 2))
    assert (first == again).all()
    assert abs(np.corrcoef(first, other)[0, 1]) < 5 / math.sqrt(5000)
