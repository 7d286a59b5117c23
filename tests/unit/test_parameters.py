"""Thresholds and floors: the rules, their refusals, and what each refusal says."""

import re

import numpy as np
import pytest

from secagg_protocols import (
    Aggregator,
    Bonawitz,
    Identity,
    InputError,
    MemoryLedger,
    ParameterError,
    Participant,
    Plain,
    Policy,
    RepeatedContext,
    Roster,
    RoundContext,
)

CONTEXT = RoundContext("job", 1, bytes(32))


def make(participants, **more):
    return Bonawitz(participants, 10, **more)


@pytest.mark.parametrize("participants", [2, 3, 4, 5, 10, 11, 100, 101, 1000])
def test_active_threshold_is_a_majority_without_colluders_and_the_rule_with_them(participants):
    assert make(participants, adversary="active").quorum == participants // 2 + 1
    for colluders in {0, 1, participants // 3, participants // 2, participants - 2} - {participants - 1}:
        if colluders > participants - 2:
            continue
        t = make(participants, adversary="active", colluders=colluders).quorum
        assert 2 * t > participants + colluders >= 2 * (t - 1)


@pytest.mark.parametrize("participants", [4, 7, 9, 10, 30, 100, 300])
def test_two_thirds_is_enough_for_every_number_of_colluders_below_a_third(participants):
    two_thirds = 2 * participants // 3 + 1
    for colluders in range(-(-participants // 3)):
        assert 3 * colluders < participants
        assert make(participants, adversary="active", colluders=colluders, threshold=two_thirds).quorum == two_thirds
        assert make(participants, adversary="active", colluders=colluders).quorum <= two_thirds


@pytest.mark.parametrize("participants", [2, 3, 10, 100])
def test_semi_honest_threshold_is_above_the_colluders_and_a_majority_by_default(participants):
    for colluders in range(participants - 1):
        assert make(participants, colluders=colluders).quorum == max(colluders + 1, participants // 2 + 1)
        assert make(participants, colluders=colluders, threshold=colluders + 1).quorum == colluders + 1
        if colluders:
            with pytest.raises(ParameterError, match=f"threshold={colluders} "):
                make(participants, colluders=colluders, threshold=colluders)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"threshold": 0}, ["threshold=0", "1", "participants=10"]),
        ({"threshold": 11}, ["threshold=11", "participants=10"]),
        ({"threshold": -1}, ["threshold=-1"]),
        ({"threshold": 3, "colluders": 3}, ["threshold=3", "colluders=3", "at least 4"]),
        ({"threshold": 5, "adversary": "active"}, ["threshold=5", "active", "at least 6"]),
        ({"threshold": 7, "colluders": 4, "adversary": "active"}, ["threshold=7", "colluders=4", "at least 8"]),
        ({"colluders": 9}, ["colluders=9", "8", "honest"]),
        ({"colluders": -1}, ["colluders=-1"]),
        ({"value_bits": 64}, ["value_bits=64", "63"]),
        ({"value_bits": 62}, ["62 bits", "66 bits", "lower value_bits"]),
        ({"ciphersuite": "md5"}, ["md5", "x25519", "p256"]),
        ({"adversary": "nice"}, ["nice", "semi-honest", "active"]),
    ],
    ids=str,
)
def test_each_refusal_names_the_value_and_the_remedy(parameters, words):
    with pytest.raises(ParameterError) as caught:
        make(10, **parameters)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "parameters",
    [{"participants": 3.5}, {"length": 5.5}, {"length": "5"}, {"value_bits": 16.0}, {"threshold": 6.0}],
    ids=str,
)
def test_parameters_that_are_no_integers_are_refused(parameters):
    with pytest.raises(ParameterError):
        Bonawitz(**{"participants": 10, "length": 10, **parameters})


def test_a_sum_of_one_is_refused():
    with pytest.raises(ParameterError, match="participants=1"):
        make(1)


def test_colluders_that_leave_no_second_honest_participant_are_refused():
    assert make(3, colluders=1).colluders == 1
    with pytest.raises(ParameterError, match="colluders=2"):
        make(3, colluders=2)
    with pytest.raises(ParameterError):
        make(2, colluders=1)


def test_a_derived_threshold_is_the_same_scheme_as_the_explicit_one():
    assert make(10).id == make(10, threshold=6).id
    assert make(10, adversary="active").id == make(10, adversary="active", threshold=6).id


@pytest.mark.parametrize(
    ("participants", "value_bits", "fits"),
    [(2, 63, True), (3, 63, False), (3, 62, True), (5, 62, False), (65535, 48, True), (65535, 49, False)],
)
def test_the_ring_is_as_large_as_the_largest_sum_and_no_larger_than_64_bits(participants, value_bits, fits):
    if not fits:
        with pytest.raises(ParameterError, match="ring"):
            make(participants, value_bits=value_bits)
        return
    scheme = make(participants, value_bits=value_bits)
    top = participants * ((1 << value_bits) - 1)
    assert scheme.domain.sum_bits == top.bit_length() <= 64


def test_plain_refuses_to_claim_an_active_adversary():
    with pytest.raises(ParameterError, match="bonawitz"):
        Plain(3, 5, adversary="active")


# --- policies


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"minimum_cohort": 1}, "minimum_cohort=1"),
        ({"minimum_cohort": 0}, "minimum_cohort=0"),
        ({"colluders": -1}, "colluders=-1"),
        ({"adversary": "nice"}, "nice"),
    ],
)
def test_policies_that_protect_nobody_are_refused(arguments, words):
    with pytest.raises(ParameterError, match=words):
        Policy(**arguments)


def test_colluders_are_no_company():
    assert make(10, threshold=1).floor(Policy()) == 3
    assert make(10, threshold=4).floor(Policy(minimum_cohort=4, colluders=3)) == 7
    assert make(10, threshold=4, colluders=3).floor(Policy(minimum_cohort=4)) == 7
    assert make(10, threshold=9).floor(Policy()) == 9
    scheme = make(6, colluders=3)
    scheme.check_policy(Policy(minimum_cohort=3, colluders=3))
    with pytest.raises(ParameterError, match="7 participants"):
        scheme.check_policy(Policy(minimum_cohort=4, colluders=3))


@pytest.mark.parametrize("adversary", ["semi-honest", "active"])
def test_a_participant_s_own_colluders_raise_the_threshold_it_asks_for(adversary):
    scheme = make(10, adversary=adversary, colluders=2)
    scheme.check_policy(Policy(colluders=2))
    too_many = 7
    needed = scheme.minimum_threshold(too_many)
    assert needed > scheme.quorum
    with pytest.raises(ParameterError) as caught:
        scheme.check_policy(Policy(colluders=too_many))
    for word in (f"threshold={scheme.quorum}", str(needed), str(too_many), "raise"):
        assert word in str(caught.value)


def test_the_default_policy_refuses_a_cohort_of_two():
    with pytest.raises(ParameterError, match="3 participants"):
        make(2).client(1, CONTEXT)
    make(2).client(1, CONTEXT, Participant(policy=Policy(minimum_cohort=2)))


# --- identities against the scheme


def parties(count, ciphersuite="x25519"):
    owns = [Identity.generate(f"party {index}", ciphersuite) for index in range(count + 1)]
    return owns, Roster.of(ciphersuite, [own.public(index) for index, own in enumerate(owns)])


def test_an_active_adversary_needs_an_identity_and_a_roster_that_fit():
    scheme = make(3, adversary="active")
    owns, roster = parties(3)
    scheme.client(1, CONTEXT, Participant(identity=owns[1], roster=roster, ledger=MemoryLedger()))
    scheme.server(CONTEXT, Aggregator(identity=owns[0], roster=roster))
    without_server = Roster.of("x25519", roster.entries[1:])
    wrong = [
        ({}, "identity= and roster="),
        ({"identity": owns[1]}, "identity= and roster="),
        ({"roster": roster}, "identity= and roster="),
        ({"identity": owns[2], "roster": roster}, "not the roster's entry 1"),
        ({"identity": owns[1], "roster": parties(4)[1]}, "4 participants"),
        ({"identity": owns[1], "roster": parties(2)[1]}, "2 participants"),
        ({"identity": owns[1], "roster": without_server}, "lists the server"),
        ({"identity": owns[1], "roster": parties(3, "p256")[1]}, "p256"),
    ]
    for arguments, words in wrong:
        with pytest.raises(ParameterError, match=re.escape(words)):
            scheme.client(1, CONTEXT, Participant(**arguments))


# --- no second answer


def answer(ledger, context, **policy):
    client = Plain(2, 1).client(1, context, Participant(policy=Policy(minimum_cohort=2, **policy), ledger=ledger))
    client.start()
    return client.contribute(np.array([1]))


def test_one_context_is_answered_once_whatever_the_job_and_round_are_called():
    ledger = MemoryLedger()
    answer(ledger, RoundContext("job", 1, b"a" * 32))
    for again in (("job", 2), ("job", 1), ("another", 1)):
        with pytest.raises(RepeatedContext):
            answer(ledger, RoundContext(*again, b"a" * 32))
    answer(ledger, RoundContext("job", 2, b"b" * 32))


def test_rounds_of_a_job_only_go_up():
    ledger = MemoryLedger()
    answer(ledger, RoundContext("job", 5, b"a" * 32))
    for earlier in (0, 4, 5):
        with pytest.raises(RepeatedContext, match="5"):
            answer(ledger, RoundContext("job", earlier, b"b" * 32))
    answer(ledger, RoundContext("job", 6, b"c" * 32))
    answer(ledger, RoundContext("another", 1, b"d" * 32))


def test_a_rerun_is_the_participant_s_own_decision_and_is_remembered():
    ledger = MemoryLedger()
    context = RoundContext("job", 1, b"a" * 32)
    answer(ledger, context)
    answer(ledger, context, reruns=1)
    with pytest.raises(RepeatedContext):
        answer(ledger, context)


def test_a_refused_vector_is_no_answer():
    ledger = MemoryLedger()
    client = Plain(2, 1).client(1, CONTEXT, Participant(policy=Policy(minimum_cohort=2), ledger=ledger))
    client.start()
    with pytest.raises(InputError):
        client.contribute(np.array([-1]))
    assert len(client.contribute(np.array([1]))) == 1
