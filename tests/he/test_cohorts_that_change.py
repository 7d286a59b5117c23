"""One key for many rounds: whoever is there today, up to as many as it was made for. Who releases takes turns."""

from dataclasses import replace

import numpy as np
import pytest

from secagg_he import BudgetSpent, GroupKey
from secagg_he.single_key.params import SingleKey
from secagg_protocols import Aggregator, ParameterError, Participant, RoundContext


def test_a_cohort_that_changes_keeps_its_key(make, make_round):
    """Five hold it; one is offline, then another, then all are there, with models of other sizes."""
    largest = make(5, 4000)
    key, _ = largest.make_group_key()
    for number, (present, length) in enumerate([(5, 4000), (4, 4000), (3, 1), (2, 999), (5, 2100)], start=1):
        scheme = make(present, length, max_participants=5, max_length=4000)
        running = make_round(scheme, key=key, context=RoundContext("he", number, bytes([number]) * 32)).run()
        assert np.abs(running.errors).max() <= scheme.precision
        assert running.server.output.survivors == tuple(range(1, present + 1))


def test_without_maxima_one_site_offline_would_need_another_key(make, context, backend):
    key, handle = make(5, 4000).make_group_key()
    fewer = make(4, 4000)
    for machine in (
        lambda: fewer.client(1, context, Participant(standing=key)),
        lambda: fewer.server(context, Aggregator(standing=handle)),
    ):
        with pytest.raises(ParameterError, match=r"up to 5 participants.*up to 4 participants.*max_participants"):
            machine()


@pytest.mark.parametrize("shape", [(6, 4000), (5, 4001)])
def test_more_than_the_key_was_made_for_is_refused_with_the_remedy(make, shape):
    with pytest.raises(ParameterError, match=r"is above max_.*secagg group-key new"):
        make(*shape, max_participants=5, max_length=4000)


def test_noise_is_that_of_the_largest_cohort_and_the_longest_vector(make):
    """Who is there today says nothing about what else is released under the key."""
    largest, today = make(50, 100_000), make(3, 10, max_participants=50, max_length=100_000)
    assert today.parameters == largest.parameters
    assert today.need == largest.need
    assert today.parameters.deviation > 10 * make(3, 10).parameters.deviation
    assert today.id != largest.id


def test_a_short_vector_travels_in_few_ciphertexts(make, make_round):
    scheme = make(3, 10, max_length=1_000_000)
    running = make_round(scheme).run()
    assert scheme.ciphertexts == 1
    assert sum(len(envelope.payload) for envelope in running.uploads[1]) < 2 * scheme.parameters.fresh_bytes
    assert scheme.parameters.ciphertexts > 10


@pytest.mark.parametrize("name", ["max_participants", "max_length"])
@pytest.mark.parametrize("value", [2, 2.5, "many", 1 << 41])
def test_unusable_maxima_are_refused_with_their_name(make, name, value):
    with pytest.raises(ParameterError, match=name.removeprefix("max_")):
        make(3, 5, **{name: value})


def test_a_maximum_whose_sums_fit_no_ring_is_refused(make):
    with pytest.raises(ParameterError, match=r"max_participants=65535.*lower value_bits"):
        make(3, 5, value_bits=60, max_participants=65535)


def test_the_same_maxima_said_or_not_are_one_scheme(make):
    assert make(3, 5).id == make(3, 5, max_participants=3, max_length=5).id


# --- who releases


def turns(scheme: SingleKey, survivors: tuple[int, ...], rounds: int) -> dict[int, int]:
    """Return how often each survivor releases."""
    asked = [scheme.releasers(survivors, number) for number in range(1, rounds + 1)]
    return {who: sum(who in some for some in asked) for who in survivors}


@pytest.mark.parametrize("survivors", [(1, 2, 3, 4, 5, 6, 7), (2, 3, 5, 6, 7), (4, 5, 6, 7)])
def test_the_lowest_ids_release_no_more_often_than_others(make, survivors):
    scheme = make(7, 5, threshold=4)
    assert set(turns(scheme, survivors, 4 * len(survivors)).values()) == {4 * min(4, len(survivors))}


def test_one_releaser_is_among_any_threshold_of_survivors(make):
    scheme = make(7, 5, threshold=4)
    for number in range(20):
        for survivors in ((1, 2, 3, 4, 5, 6, 7), (1, 2, 4, 5, 7), (1, 3, 5, 7)):
            silent = set(survivors) - set(scheme.releasers(survivors, number))
            assert len(silent) < scheme.quorum


def test_a_key_lasts_as_many_rounds_as_its_holders_share_its_budget(make, make_round):
    """Each of three may release two sums, two of them release every sum: three rounds, and no fourth."""
    scheme = make(3, 5, releases=2)
    key, _ = scheme.make_group_key()
    own = {who: GroupKey.from_json(key.to_json()) for who in (1, 2, 3)}

    def round_(number: int):
        running = make_round(scheme, key=key, context=RoundContext("he", number, bytes([number]) * 32))
        for who, client in running.clients.items():
            client._holder = replace(client._holder, key=own[who])
        return running.encrypt().request()

    for number in (1, 2, 3):
        assert np.abs(round_(number).release().errors).max() <= scheme.precision
    assert [own[who].releases._released.count(key.key_id) for who in (1, 2, 3)] == [2, 2, 2]
    with pytest.raises(BudgetSpent):
        round_(4).release()


def test_turns_change_who_is_sent_the_aggregate(make, make_round):
    scheme = make(5, 40, threshold=3)
    asked = []
    for number in (1, 2, 4):
        running = make_round(scheme, context=RoundContext("he", number, bytes([number]) * 32)).encrypt().request()
        asked.append({who for who, envelopes in running.heard.items() if len(envelopes) > 1})
        running.release(without=tuple(sorted(asked[-1])[:2]))
        assert np.abs(running.errors).max() <= scheme.precision
    assert asked == [{1, 2, 3}, {2, 3, 4}, {1, 4, 5}]
