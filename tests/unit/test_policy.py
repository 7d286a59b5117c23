"""Policies, contexts and schemes are values: what is no number is none, and what is equal looks equal."""

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest

from secagg_he import Bfv, Ckks, ThresholdCkks
from secagg_protocols import (
    Bonawitz,
    LightSecAgg,
    ParameterError,
    Participant,
    Plain,
    Policy,
    RoundContext,
    SecAggPlus,
)

INTEGERS = ("minimum_cohort", "colluders", "reruns", "maximum_participants")
SCHEMES = [
    Plain(20, 5),
    Bonawitz(20, 5, colluders=1),
    SecAggPlus(20, 5, corrupt_rate=0.0, dropout_rate=0.25),
    SecAggPlus(20, 5, corrupt_rate=0.25, dropout_rate=0.0, neighbours=19, threshold=11),
    LightSecAgg(20, 5, colluders=1),
    ThresholdCkks(20, 5, colluders=1),
    Bfv(20, 5),
    Ckks(20, 5),
]


@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize("value", [math.nan, math.inf, 3.0, "5", None, Fraction(5)], ids=str)
def test_a_floor_that_is_no_whole_number_is_refused(name, value):
    """Nothing is below NaN, so nothing would be refused for it."""
    with pytest.raises(ParameterError, match=f"{name}="):
        Policy(**{name: value})


@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize("value", [-1, 1 << 33, 1 << 70])
def test_a_floor_out_of_range_is_refused(name, value):
    with pytest.raises(ParameterError, match=f"{name}={value}"):
        Policy(**{name: value})


def test_a_policy_holds_plain_integers():
    policy = Policy(np.int64(5), np.uint8(2), reruns=True, maximum_participants=np.int32(7))
    assert [type(getattr(policy, name)) for name in INTEGERS] == [int] * 4
    assert policy == Policy(5, 2, reruns=1, maximum_participants=7)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("minimum_cohort", 4),
        ("colluders", 1),
        ("adversary", "semi-honest"),
        ("reruns", 3),
        ("maximum_participants", 101),
    ],
)
def test_a_policy_that_asks_for_less_does_not_keep_an_earlier_one(name, value):
    earlier = Policy(5, 2, "active", 2, 100)
    earlier.check_keeps(earlier)
    Policy(6, 3, "active", 1, 99).check_keeps(earlier)
    with pytest.raises(ParameterError, match=f"{name}={value} weakens"):
        dataclasses.replace(earlier, **{name: value}).check_keeps(earlier)


@pytest.mark.parametrize("policy", [Policy(colluders=1), Policy(colluders=2), Policy(4), Policy(adversary="active")])
def test_sums_in_the_clear_pass_no_policy_that_asks_for_something(policy):
    with pytest.raises(ParameterError, match="policy asks"):
        Plain(10, 1).check_policy(policy)
    Plain(10, 1).check_policy(Policy())


def test_colluders_are_no_company_among_neighbours_either():
    """On a sparse graph a participant counts its neighbours; how many are in the sum is the server's rule."""
    everyone = SecAggPlus(10, 5, corrupt_rate=0.2, dropout_rate=0.0, neighbours=9, threshold=6)
    assert everyone.floor(Policy(minimum_cohort=6)) == 8
    sparse = SecAggPlus(100, 5, corrupt_rate=0.3, dropout_rate=0.1)
    company = sparse.fewest_left - sparse.colluders
    sparse.check_policy(Policy(minimum_cohort=min(company, sparse.degree)))
    with pytest.raises(ParameterError, match=r"neighbours|graph"):
        sparse.check_policy(Policy(minimum_cohort=company + 1))


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
def test_a_round_of_more_participants_than_a_participant_works_for_is_refused_by_name(scheme):
    scheme.check_policy(Policy(maximum_participants=20))
    with pytest.raises(ParameterError, match="participants=20 is above maximum_participants=19"):
        scheme.check_policy(Policy(maximum_participants=19))


def test_too_many_participants_are_refused_before_anything_is_dealt():
    drawn = []

    class Counted:
        def bytes(self, count):
            drawn.append(count)
            return bytes(count)

    context = RoundContext("job", 1, bytes(32))
    with pytest.raises(ParameterError, match="maximum_participants=10000"):
        Bonawitz(30_000, 5).client(1, context, Participant(randomness=Counted()))
    assert not drawn


@pytest.mark.parametrize("job", ["\udc80", "hospital \ud800", "\udfff" * 300])
def test_a_job_name_with_half_a_character_is_refused(job):
    with pytest.raises(ParameterError, match="surrogate") as caught:
        RoundContext(job, 1, bytes(32))
    str(caught.value).encode()


def test_a_round_is_a_plain_integer():
    assert type(RoundContext("job", np.int64(3), b"").round) is int
    for value in (1.0, "1", None, math.nan):
        with pytest.raises(ParameterError, match="round="):
            RoundContext("job", value, b"")


def disguised(value):
    """Yield values that equal this one and are of other types."""
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, str):
        yield np.str_(value)
        return
    yield from (np.float64(value), Fraction(value)) if isinstance(value, float) else (np.int64(value),)
    if value == int(value):
        yield np.int32(int(value))
    if value in (0, 1):
        yield bool(value)
    if value == 0 and isinstance(value, float):
        yield from (0, -0.0, False)


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
def test_equal_schemes_have_equal_ids_however_their_parameters_are_written(scheme):
    tried = 0
    for field in dataclasses.fields(scheme):
        for value in disguised(getattr(scheme, field.name)):
            same = dataclasses.replace(scheme, **{field.name: value})
            assert same == scheme
            assert same.id == scheme.id, f"{field.name}={value!r}"
            tried += 1
    assert tried >= len(dataclasses.fields(scheme)) - 3


@pytest.mark.parametrize("name", ["corrupt_rate", "dropout_rate"])
@pytest.mark.parametrize("value", [math.nan, "much", None], ids=str)
def test_a_rate_that_is_no_number_is_refused(name, value):
    with pytest.raises(ParameterError, match=f"{name}="):
        SecAggPlus(20, 5, **{name: value})
