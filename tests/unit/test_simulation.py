"""The driver: what it takes, what it measures, and what it reports."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from secagg import Simulation, simulate
from secagg_protocols import (
    SERVER,
    Bonawitz,
    InputError,
    InsecureDeterministicRandomness,
    MemoryLedger,
    ParameterError,
    Plain,
    Policy,
    RepeatedContext,
    RoundContext,
    RoundFailed,
    Step,
)

SCHEMES = [Plain(4, 6), Bonawitz(4, 6), Bonawitz(4, 6, adversary="active")]
VECTORS = [np.arange(6) + participant for participant in range(1, 5)]
TOTAL = np.sum(VECTORS, axis=0).tolist()


@pytest.fixture(params=SCHEMES, ids=lambda scheme: f"{scheme.name}-{scheme.adversary}")
def scheme(request):
    return request.param


def test_inputs_may_be_a_sequence_a_mapping_or_a_function(scheme):
    forms = [VECTORS, dict(enumerate(VECTORS, 1)), lambda participant: VECTORS[participant - 1]]
    assert [simulate(scheme, form).total.tolist() for form in forms] == [TOTAL] * 3


def test_inputs_that_do_not_fit_are_refused(scheme):
    for wrong in (VECTORS[:3], [*VECTORS, VECTORS[0]], {1: VECTORS[0]}):
        with pytest.raises(InputError):
            simulate(scheme, wrong)
    with pytest.raises(InputError):
        simulate(scheme, [np.zeros(6)] * 4)


def test_dropping_somebody_or_somewhere_that_is_not_there_is_refused(scheme):
    for drop in ({0: scheme.steps[0]}, {5: scheme.steps[0]}, {1: "Lunch"}):
        with pytest.raises(ParameterError, match="drop"):
            simulate(scheme, VECTORS, drop=drop)
    if Step.CONSISTENCY_CHECK not in scheme.steps:
        with pytest.raises(ParameterError, match="ConsistencyCheck"):
            simulate(scheme, VECTORS, drop={1: "ConsistencyCheck"})


def test_a_step_may_be_given_by_name_or_value(scheme):
    step = scheme.steps[0]
    for name in (step, step.value, str(step)):
        run = simulate(scheme, VECTORS, drop={2: name})
        assert run.survivors == (1, 3, 4)
        assert run.dropped[2].step is step


def test_the_report_adds_up(scheme):
    run = simulate(scheme, VECTORS, drop={3: scheme.steps[-1]})
    assert set(run.answered) == set(scheme.steps)
    assert run.answered[scheme.steps[-1]] == (1, 2, 4)
    assert set(run.server_ms) >= set(scheme.steps)
    assert set(run.client_ms) == set(scheme.steps)
    assert all(run.bytes_sent[participant] > 0 for participant in (1, 2, 4))
    assert run.server_wall_s > 0
    assert run.refusals == ()


def test_bytes_are_those_of_the_encoded_envelopes():
    """Plain, one block: header 45, "Sum", array and block number 2, bin header 2, and the packed words."""
    scheme = Plain(4, 6)
    run = simulate(scheme, VECTORS)
    assert set(run.bytes_sent.values()) == {45 + 3 + 2 + 2 + scheme.domain.lanes.words * scheme.domain.lanes.word_bytes}
    assert run.bytes_received == {}


def test_progress_ends_where_it_said_it_would(scheme):
    seen = []
    simulate(scheme, VECTORS, progress=lambda done, total, step: seen.append((done, total, step)))
    assert {total for _, total, _ in seen} == {4 * len(scheme.steps)}
    assert [done for done, _, _ in seen] == sorted({done for done, _, _ in seen})
    assert seen[-1][0] == seen[-1][1]
    assert {step for _, _, step in seen} == {step.value for step in scheme.steps}


def test_a_seed_gives_the_same_run_and_every_party_its_own_keys():
    scheme = Bonawitz(4, 6, adversary="active")
    made = [Simulation(scheme, VECTORS, randomness=InsecureDeterministicRandomness(1)) for _ in range(2)]
    totals = [simulation.run() for simulation in made]
    assert totals[0].total.tolist() == totals[1].total.tolist() == TOTAL
    snapshots = [[client.snapshot() for client in simulation.clients.values()] for simulation in made]
    assert snapshots[0] == snapshots[1]
    fresh = Simulation(scheme, VECTORS, randomness=InsecureDeterministicRandomness(1))
    for client in fresh.clients.values():
        client.start()
    keys = [client._memory.own.mask_secret for client in fresh.clients.values()]
    assert len(set(keys)) == 4


def test_a_failure_says_who_refused_what():
    scheme = Bonawitz(4, 6)

    def silent(machine, envelopes):
        return []

    simulation = Simulation(scheme, VECTORS, misbehave=dict.fromkeys((1, 2, 3), silent))
    with pytest.raises(RoundFailed) as caught:
        simulation.run()
    assert (caught.value.step, caught.value.have, caught.value.need) == ("AdvertiseKeys", 1, 3)


def test_a_misbehaving_participant_s_refusal_is_recorded_and_the_round_goes_on():
    def twice(machine, envelopes):
        return envelopes * 2

    for scheme in SCHEMES:
        run = simulate(scheme, VECTORS, misbehave={2: twice})
        assert run.total.tolist() == TOTAL
        assert run.refusals
        assert {refusal.party for refusal in run.refusals} == {SERVER}


def test_a_misbehaving_server_reaches_every_participant_s_refusal():
    def replay_kept(machine, envelopes, kept=[]):  # noqa: B006  (kept between calls on purpose)
        kept.extend(envelopes)
        return kept[:4] + envelopes if len(kept) > 4 else envelopes

    run_or_failure = Simulation(SCHEMES[1], VECTORS, misbehave={SERVER: replay_kept})
    run = run_or_failure.run()
    assert run.total.tolist() == TOTAL
    assert {refusal.party for refusal in run.refusals} == {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"inputs": dict.fromkeys(range(1, 7), VECTORS[0])},
            "inputs for 5, 6, and the scheme's participants are 1 … 4",
        ),
        ({"inputs": dict.fromkeys(range(5), VECTORS[0])}, "inputs for 0, and"),
        ({"inputs": dict.fromkeys(("1", "2"), VECTORS[0])}, "inputs for '1', '2', and"),
        ({"inputs": dict.fromkeys((1, 2, 4), VECTORS[0])}, "no input for participant 3"),
        ({"drop": {9: "Sum", 2: "Sum", 0: "Sum"}}, "drop: participant 9, 0 is not between 1 and 4"),
        ({"misbehave": {-1: list, 5: list}}, "misbehave: party -1, 5 is not between 0"),
        ({"ledgers": {True: None, 7: None}}, "ledgers: True, 7 is not between 1 and 4"),
    ],
)
def test_ids_that_no_participant_has_are_named(options, words):
    with pytest.raises((InputError, ParameterError), match=words):
        simulate(SCHEMES[0], **{"inputs": VECTORS, **options})


def test_an_option_that_there_is_not_is_named():
    with pytest.raises(TypeError, match="no option 'dorp'; they are drop, misbehave"):
        simulate(SCHEMES[0], VECTORS, dorp={1: "Sum"})


def test_an_executor_gives_the_same_sum():
    scheme = Bonawitz(5, 1000)
    vectors = [np.full(1000, participant) for participant in range(5)]
    with ThreadPoolExecutor(2) as executor:
        run = simulate(scheme, vectors, drop={2: "MaskedInput"}, executor=executor, parts=3)
    assert run.total.tolist() == [9] * 1000


def test_a_ledger_outlives_the_round():
    scheme = Bonawitz(4, 6)
    ledgers = {participant: MemoryLedger() for participant in range(1, 5)}
    context = RoundContext("job", 1, bytes(32))
    assert simulate(scheme, VECTORS, context=context, ledgers=ledgers).total.tolist() == TOTAL
    simulation = Simulation(scheme, VECTORS, context=context, ledgers=ledgers)
    with pytest.raises(RoundFailed):
        simulation.run()
    assert {type(refusal.error) for refusal in simulation.refusals} == {RepeatedContext}


def test_a_policy_that_the_scheme_cannot_meet_is_refused_before_anything_is_sent():
    with pytest.raises(ParameterError):
        simulate(Bonawitz(4, 6), VECTORS, policy=Policy(minimum_cohort=5))
