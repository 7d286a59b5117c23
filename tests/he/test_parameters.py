"""Parameters are derived, hold what they are for, and are refused when nothing secure does."""

import math
from dataclasses import replace
from itertools import product

import pytest

from secagg_he import Bfv, Ckks, seal
from secagg_he import parameters as module
from secagg_he.parameters import MAX_MODULUS_BITS, SEAL_MODULUS_BITS, Need, derive
from secagg_protocols import Aggregator, ParameterError, Participant, Policy
from secagg_protocols.core.identity import Identity

NEED = Need("bfv", 5, 1_000_000, 16, 1000, 30, 0)
NEEDS = [
    Need(kind, n, length, bits, 1000, 30, 4 if kind == "ckks" else 0)
    for kind, n, length, bits in product(
        ("bfv", "ckks"), (2, 5, 100, 5000), (1, 1000, 1_000_000, 100_000_000), (1, 16, 24, 32, 40)
    )
]


@pytest.mark.parametrize("need", NEEDS, ids=str)
def test_every_derived_modulus_is_in_the_table_of_128_bit_security(need):
    found = derive(need)
    whole = found.modulus * max(found.special_prime, 1)
    assert found.modulus.bit_length() <= MAX_MODULUS_BITS[found.degree]
    assert whole.bit_length() <= SEAL_MODULUS_BITS[found.degree]
    for prime in (*found.primes, *([found.special_prime] if found.special_prime else [])):
        assert prime % (2 * found.degree) == 1
        assert all(prime % factor for factor in range(3, 1000, 2))
    assert len(set(found.primes)) == len(found.primes) == (2 if found.special_prime else 1)


@pytest.mark.parametrize(("participants", "value_bits"), [(8, 60), (20, 58), (100, 56), (1000, 53), (3, 61)])
def test_no_plaintext_modulus_shares_a_factor_with_a_prime(participants, value_bits, backend):
    """2³² − 1 is a multiple of 65537, the smallest prime for N = 8192: SEAL would refuse it within a round."""
    scheme = Bfv(participants, 5000, value_bits=value_bits)
    found = scheme.parameters
    assert 65537 not in (found.special_prime, *found.primes) or all(t % 65537 for t in found.plain_moduli)
    for modulus in range(found.moduli):
        seal._context(found, modulus)


@pytest.mark.parametrize("need", NEEDS, ids=str)
def test_no_sum_can_wrap_and_no_noise_reaches_it(need):
    found = derive(need)
    top = need.participants * ((1 << need.value_bits) - 1)
    assert top + 2 * need.precision < 1 << found.lane_bits
    rows, rest = divmod(found.ciphertexts, found.moduli)
    assert not rest
    assert rows * found.degree * found.per_word >= need.length
    word = sum((top + 2 * need.precision) << lane * found.lane_bits for lane in range(found.per_word))
    if need.kind == "bfv":
        assert word < math.prod(found.plain_moduli)
        assert len(found.plain_moduli) == 1 or math.gcd(*found.plain_moduli) == 1
        assert max(found.plain_moduli) < 1 << 60
        assert 2 * found.noise_bound * max(found.plain_moduli) < found.modulus
    else:
        assert (word + 1) << found.scale_bits <= found.modulus
        assert found.noise_bound <= need.precision - 0.5 if not found.scale_bits else True
        assert not found.scale_bits or found.noise_bound / 2**found.scale_bits + 0.5 <= need.precision


@pytest.mark.parametrize("need", NEEDS, ids=str)
def test_flooding_is_as_wide_as_its_formula_asks(need):
    """σ ≥ √(12 τ) · 2^(s/2) · B, with B the Euclidean norm of n errors at the least."""
    found = derive(need)
    typical = math.sqrt(10.5 * need.participants * found.degree)
    assert found.deviation >= math.sqrt(12 * found.ciphertexts * need.releases * need.participants) * 2**15 * typical
    assert found.noise_bound >= 7.4 * found.deviation  # P(|N(0, 1)| > 7.4) < 2⁻⁴²


@pytest.mark.parametrize("need", NEEDS[::5], ids=str)
def test_seal_takes_every_derived_modulus_at_128_bit_security(backend, need):
    assert seal._context(derive(need)).seal.parameters_set()


def test_the_uploads_of_a_million_16_bit_values_are_within_the_targets():
    assert Bfv(5, 1_000_000).parameters.upload_bytes <= 4_100_000
    assert Ckks(5, 1_000_000).parameters.upload_bytes <= 4_000_000


def test_more_precision_takes_a_smaller_modulus():
    sizes = [Ckks(5, 1_000_000, precision=precision).parameters.upload_bytes for precision in (1, 16, 256, 4096)]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 4


def test_the_hash_names_every_parameter():
    found = derive(NEED)
    changed = [replace(found, **{name: value}) for name, value in (("deviation", 1), ("words", 7), ("kind", "ckks"))]
    assert len({found.hash, *(other.hash for other in changed)}) == 4


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"adversary": "active"}, "bonawitz"),
        ({"participants": 1}, "participants=1"),
        ({"threshold": 1}, "threshold=1"),
        ({"threshold": 6}, "threshold=6"),
        ({"releases": 0}, "releases=0"),
        ({"flooding_bits": 29}, "flooding_bits=29"),
        ({"flooding_bits": 129}, "flooding_bits=129"),
        ({"threshold": 2.5}, "threshold=2.5"),
    ],
    ids=str,
)
def test_unusable_parameters_are_refused_with_the_value(make, change, word):
    with pytest.raises(ParameterError, match=word):
        make(**{"participants": 5, "length": 7, **change})


@pytest.mark.parametrize("precision", [0, -1, 0.5, (1 << 40) + 1])
def test_an_unusable_precision_is_refused(precision):
    with pytest.raises(ParameterError, match="precision"):
        Ckks(5, 7, precision=precision)


def test_what_no_secure_ring_holds_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setattr(module, "MAX_MODULUS_BITS", {1024: 27, 2048: 54})
    with pytest.raises(ParameterError, match=r"value_bits=40.*flooding_bits=128.*lower"):
        Bfv(5, 1001, value_bits=40, flooding_bits=128)


def test_a_policy_against_colluders_is_refused(make):
    with pytest.raises(ParameterError, match="one participant"):
        make(5, 7).check_policy(Policy(colluders=1))


def test_a_machine_without_its_group_key_says_how_to_make_one(make, backend, context):
    scheme = make(3, 5)
    key, handle = scheme.make_group_key()
    other, other_handle = make(4, 5).make_group_key()
    for machine in (
        lambda **held: scheme.client(1, context, Participant(**held)),
        lambda **held: scheme.server(context, Aggregator(**held)),
    ):
        with pytest.raises(ParameterError, match="make_group_key"):
            machine()
        with pytest.raises(ParameterError, match="make_group_key"):
            machine(standing=Identity.generate("x"))
    for wrong in (handle, other):
        with pytest.raises(ParameterError, match="group"):
            scheme.client(1, context, Participant(standing=wrong))
    for wrong in (key, other_handle):
        with pytest.raises(ParameterError, match="group"):
            scheme.server(context, Aggregator(standing=wrong))


@pytest.mark.parametrize("kind", ["bfv", "ckks"])
@pytest.mark.parametrize("precision", [1, 4, 1 << 40])
@pytest.mark.parametrize("flooding_bits", [30, 50, 60, 70, 80, 90, 100, 128])
@pytest.mark.parametrize("length", [10, 1_000_000])
def test_flooding_noise_is_refused_where_it_would_not_fit_its_numbers(kind, precision, flooding_bits, length):
    """Beyond int64 a cast gives one constant for every coefficient; beyond 2^53 float64 leaves the lowest bits out."""
    need = Need(kind, 5, length, 1, 1000, flooding_bits, precision if kind == "ckks" else 0)
    try:
        parameters = derive(need)
    except ParameterError:
        assert flooding_bits > 50
        return
    assert 8.6 * parameters.deviation < (2**53 if kind == "ckks" else 2**63)
    assert parameters.scale_bits < 64
