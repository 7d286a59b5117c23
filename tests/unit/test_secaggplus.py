"""SecAgg+: parameters from stated risks, the graph, and rounds in which most pairs share nothing."""

from __future__ import annotations

import math
from fractions import Fraction

import msgspec
import numpy as np
import pytest

from secagg import Policy, Simulation, simulate
from secagg_protocols import (
    SYSTEM,
    InsecureDeterministicRandomness,
    ParameterError,
    Participant,
    ProtocolViolation,
    RoundContext,
    RoundFailed,
    SecAggPlus,
)
from secagg_protocols.bonawitz.messages import Unmasking, UnmaskRequest
from secagg_protocols.primitives.graphs import Requirements, Tails, derive, fewest_left, harary
from secagg_protocols.primitives.shamir import SHARE_BYTES
from secagg_protocols.secaggplus.messages import NeighbourList


def sparse(participants: int = 40, length: int = 30, neighbours: int = 10, threshold: int = 6) -> SecAggPlus:
    """A graph that is really sparse among few participants; sigma is low because few cannot give more."""
    rates = {"corrupt_rate": 0.0, "dropout_rate": 0.05, "sigma": 20, "eta": 10}
    return SecAggPlus(participants, length, neighbours=neighbours, threshold=threshold, **rates)


def vectors(scheme: SecAggPlus) -> list[np.ndarray]:
    draw = np.random.default_rng(3)
    return [draw.integers(0, 1 << scheme.value_bits, scheme.length) for _ in range(scheme.participants)]


def total_of(inputs: list[np.ndarray], who: tuple[int, ...]) -> np.ndarray:
    return np.sum([inputs[one - 1] for one in who], axis=0)


# --- parameters


@pytest.mark.parametrize(
    ("participants", "corrupt", "vanishing", "expected"),
    [
        (1_000, 0.05, 0.05, (30, 17)),
        (10_000, 0.05, 0.05, (34, 20)),
        (1_000, 1 / 3, 0.05, (78, 60)),
        (10_000, 1 / 3, 0.05, (92, 70)),
    ],
)
def test_neighbours_and_threshold_agree_with_an_independent_computation(participants, corrupt, vanishing, expected):
    assert derive(Requirements(participants, corrupt, vanishing, 40, 20)) == expected


def test_at_the_paper_s_scale_fewer_than_150_neighbours_do_for_a_hundred_million():
    """Bell et al. state about 150 neighbours for 10⁸ participants, a fifth corrupt, a twentieth vanishing (recalled).

    They use a looser bound than the exact tails here, which allow fewer.
    """
    neighbours, threshold = derive(Requirements(10**8, 0.2, 0.05, 40, 20))
    assert 60 <= neighbours <= 150
    assert neighbours // 4 < threshold < neighbours


def test_tails_are_exact_for_a_case_that_can_be_enumerated():
    """n = 10, 3 corrupt, 2 vanishing, k = 4: hypergeometric sums by hand."""
    tails = Tails(Requirements(10, 0.3, 0.2, 20, 10), 4)
    risks = tails.risks(3)
    assert risks.too_many_corrupt == pytest.approx(10 * math.comb(3, 3) * math.comb(6, 1) / math.comb(9, 4))
    left = sum(math.comb(7, x) * math.comb(2, 4 - x) for x in range(3)) / math.comb(9, 4)
    assert risks.too_few_left == pytest.approx(10 * left)
    apart = math.comb(5, 2) * Fraction(math.comb(9 - 4, 4), math.comb(9, 4))  # five stay: pairs of gaps of two or more
    assert risks.disconnected == pytest.approx(float(apart))


@pytest.mark.parametrize("neighbours", [2, 4, 8, 14, 20])
def test_more_neighbours_never_make_the_graph_fall_apart_more_easily(neighbours):
    requirements = Requirements(200, 0.1, 0.1, 40, 20)
    assert (
        Tails(requirements, neighbours + 2).risks(1).disconnected
        <= Tails(requirements, neighbours).risks(1).disconnected
    )


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"corrupt_rate": 0.6, "dropout_rate": 0.5}, "nobody honest"),
        ({"corrupt_rate": -0.1}, "corrupt_rate=-0.1"),
        ({"dropout_rate": 1.0}, "dropout_rate=1.0"),
        ({"neighbours": 10, "threshold": 6}, "falls apart"),
        ({"neighbours": 60, "threshold": 2}, "corrupt neighbours"),
        ({"neighbours": 60, "threshold": 59}, "fewer than t"),
        ({"neighbours": 60}, "threshold as well"),
        ({"neighbours": 1000, "threshold": 5}, "neighbours=1000"),
        ({"neighbours": 60, "threshold": 61}, "threshold=61"),
        ({"sigma": 5}, "sigma=5"),
        ({"colluders": 3}, "corrupt_rate"),
        ({"adversary": "active"}, "active"),
    ],
    ids=str,
)
def test_what_a_requirement_forbids_is_refused_by_name(parameters, words):
    with pytest.raises(ParameterError, match=words):
        SecAggPlus(1000, 10, **parameters)


def test_too_few_participants_for_any_sparse_graph_say_which_event_and_what_would_do():
    with pytest.raises(ParameterError, match=r"no sparse graph of 20 .* falls apart .* Bonawitz"):
        SecAggPlus(20, 10, corrupt_rate=0.5, dropout_rate=0.45)


def test_a_policy_that_fears_more_than_the_stated_corrupt_is_refused():
    scheme = SecAggPlus(1000, 10)
    scheme.check_policy(Policy(colluders=50))
    with pytest.raises(ParameterError, match="51 colluders"):
        scheme.check_policy(Policy(colluders=51))


@pytest.mark.parametrize("participants", [10, 100, 1000])
@pytest.mark.parametrize("vanishing", [0.0, 0.05])
def test_no_single_neighbour_opens_a_participant_even_if_nobody_is_said_to_be_corrupt(participants, vanishing):
    """One neighbour's share was all of a secret: t = 1 followed from corrupt_rate = 0."""
    scheme = SecAggPlus(participants, 4, corrupt_rate=0.0, dropout_rate=vanishing)
    assert scheme.quorum >= 2
    assert scheme.minimum_threshold(0) == 2


def test_a_threshold_of_one_is_refused_whatever_the_rates():
    with pytest.raises(ParameterError, match="threshold=1 is not between 2 and neighbours=10"):
        sparse(threshold=1)


# --- the graph


@pytest.mark.parametrize(("members", "neighbours"), [(40, 10), (41, 10), (40, 9), (40, 39), (41, 40), (3, 2), (2, 1)])
def test_the_graph_is_regular_symmetric_and_without_loops(members, neighbours):
    ids = list(range(3, 3 + members))
    graph = harary(ids, neighbours, SYSTEM)
    assert graph.members.tolist() == ids
    assert graph.circle.shape == (members, neighbours + 1)
    for member in ids:
        circle = graph.of(member)
        assert member in circle
        assert list(circle) == sorted(set(circle))
        assert all(member in graph.of(other) for other in circle)


@pytest.mark.parametrize(("members", "neighbours"), [(40, 10), (40, 9), (5, 4), (3, 2), (2, 1)])
def test_the_transposition_says_where_a_member_stands_in_its_neighbours_rows(members, neighbours):
    graph = harary(list(range(1, members + 1)), neighbours, SYSTEM)
    rows, _ = np.divmod(graph.transposition, graph.circle.shape[1])
    np.testing.assert_array_equal(rows, graph.circle)
    expected = np.broadcast_to(np.arange(members)[:, None], graph.circle.shape)
    np.testing.assert_array_equal(graph.circle.reshape(-1)[graph.transposition], expected)


def test_what_was_sent_row_by_row_is_found_by_whom_it_was_sent_to():
    graph = harary(list(range(3, 43)), 8, InsecureDeterministicRandomness(5))
    sent = np.random.default_rng(5).random(graph.circle.shape) < 0.7
    items = [
        (sender, to)
        for sender, row in enumerate(graph.circle.tolist())
        for to, whether in zip(row, sent[sender], strict=True)
        if whether
    ]
    numbers = graph.sent_to_me(sent)
    for me, circle in enumerate(graph.circle.tolist()):
        for sender, number in zip(circle, numbers[me].tolist(), strict=True):
            assert (number >= 0) == ((sender, me) in items)
            assert number < 0 or items[number] == (sender, me)


def test_the_graph_is_drawn_anew_from_its_randomness():
    ids = list(range(1, 101))
    first, again = (harary(ids, 10, InsecureDeterministicRandomness(1)) for _ in range(2))
    np.testing.assert_array_equal(first.circle, again.circle)
    assert np.any(first.circle != harary(ids, 10, InsecureDeterministicRandomness(2)).circle)


def test_every_pair_is_about_equally_often_neighbours():
    counts = np.zeros((13, 13))
    for seed in range(2000):
        graph = harary(list(range(1, 13)), 4, InsecureDeterministicRandomness(seed))
        counts[graph.members[:, None], graph.ids] += 1
    pairs = counts[1:, 1:][~np.eye(12, dtype=bool)] / 2000
    assert np.abs(pairs - 4 / 11).max() < 0.06  # five standard deviations


# --- rounds


@pytest.mark.parametrize("step", [None, "AdvertiseKeys", "ShareKeys", "MaskedInput", "Unmasking"])
def test_the_sum_is_exact_whoever_vanishes_at_any_step(step):
    scheme = sparse()
    inputs = vectors(scheme)
    drop = {} if step is None else {3: step, 17: step}
    run = simulate(scheme, inputs, drop=drop)
    gone = set(drop) if step in ("AdvertiseKeys", "ShareKeys", "MaskedInput") else set()
    assert set(run.survivors) == set(range(1, 41)) - gone
    np.testing.assert_array_equal(run.total, total_of(inputs, run.survivors))


def test_participants_may_vanish_at_all_steps_of_one_round():
    scheme = sparse()
    inputs = vectors(scheme)
    run = simulate(scheme, inputs, drop={1: "AdvertiseKeys", 2: "ShareKeys", 3: "MaskedInput", 4: "Unmasking"})
    assert set(run.survivors) == set(range(4, 41))
    np.testing.assert_array_equal(run.total, total_of(inputs, run.survivors))


def test_a_participant_hears_of_its_neighbours_only_and_pays_for_them_only():
    scheme = sparse()
    simulation = Simulation(scheme, vectors(scheme))
    simulation.run()
    for client in simulation.clients.values():
        assert len(client._memory.peers) == 10
    run = simulation.result()
    assert max(run.bytes_sent.values()) < 10 * (scheme.sealed_bytes + SHARE_BYTES) + 11 * 80 + scheme.domain.lanes.size


def test_too_many_gone_around_one_participant_fail_the_round_and_say_whose_secret_is_lost():
    scheme = sparse(threshold=8)
    circle: list[int] = []

    def vanish(server, envelopes):
        if not circle and envelopes and envelopes[0].kind == "SealedShares":
            circle.extend(other for other in server._graph.circle(1) if other != 1)
        if envelopes and envelopes[0].kind == "UnmaskRequest":
            return [envelope for envelope in envelopes if envelope.recipient not in circle[:4]]
        return envelopes

    simulation = Simulation(scheme, vectors(scheme), misbehave={0: vanish})
    with pytest.raises(RoundFailed, match="cannot be reconstructed") as failed:
        simulation.run()
    assert failed.value.step == "Unmasking"


def test_a_wrong_share_is_corrected_and_its_holder_among_the_named():
    scheme = sparse(neighbours=12, threshold=6)
    inputs = vectors(scheme)

    def lie(machine, envelopes):
        if not envelopes or envelopes[0].kind != "Unmasking":
            return envelopes
        answer = msgspec.msgpack.decode(envelopes[0].payload, type=Unmasking)
        shares = bytearray(answer.shares)
        shares[0] ^= 1
        return [machine.seal("Unmasking", 0, Unmasking(answer.missing, memoryview(bytes(shares))))]

    run = simulate(scheme, inputs, misbehave={5: lie})
    np.testing.assert_array_equal(run.total, total_of(inputs, run.survivors))
    assert [one.holder for one in run.corrections] == [5]
    assert {0, 5} <= run.corrections[0].culprits


@pytest.mark.parametrize("attack", ["without its own keys", "two the same", "a stranger"])
def test_a_neighbour_list_that_cannot_be_is_refused(attack):
    scheme = sparse()

    def change(entries):
        if attack == "without its own keys":
            return tuple(entry for entry in entries if entry.participant != 1)
        if attack == "two the same":
            first, second = [entry for entry in entries if entry.participant != 1][-2:]
            copied = msgspec.structs.replace(second, payload=first.payload)
            return tuple(copied if entry is second else entry for entry in entries)
        return (*entries, msgspec.structs.replace(entries[-1], participant=41))

    def forge(server, envelopes):
        if not envelopes or envelopes[0].kind != "NeighbourList":
            return envelopes
        victim = next(envelope for envelope in envelopes if envelope.recipient == 1)
        message = msgspec.msgpack.decode(victim.payload, type=NeighbourList)
        forged = server.seal("NeighbourList", 1, NeighbourList(change(message.entries), message.list_digest))
        # Sealed after the session is known: the list still travels under the round's address.
        return [msgspec.structs.replace(forged, binding=victim.binding), *(e for e in envelopes if e.recipient != 1)]

    run = simulate(scheme, vectors(scheme), misbehave={0: forge})
    (refusal,) = [item for item in run.refusals if item.party == 1]
    assert isinstance(refusal.error, ProtocolViolation)
    assert 0 in refusal.error.culprits
    assert 1 not in run.survivors


def test_a_neighbour_listed_as_survivor_and_as_gone_is_refused():
    scheme = sparse()

    def forge(server, envelopes):
        if not envelopes or envelopes[0].kind != "UnmaskRequest":
            return envelopes
        circle = server._graph.circle(1)
        both = server.seal("UnmaskRequest", 1, UnmaskRequest(circle, (circle[0],), (), ()))
        return [both, *(envelope for envelope in envelopes if envelope.recipient != 1)]

    run = simulate(scheme, vectors(scheme), misbehave={0: forge})
    (refusal,) = [item for item in run.refusals if item.party == 1]
    assert "never opened" in str(refusal.error)


def test_a_fraction_of_a_participant_counts_as_one():
    """Five per cent of ten participants is one colluder, and nobody's shares may be open to a single neighbour."""
    scheme = SecAggPlus(10, 5)
    assert scheme.colluders == 1
    assert scheme.quorum > 1
    assert SecAggPlus(1000, 5).colluders == 50
    with pytest.raises(ParameterError, match="Bonawitz"):
        SecAggPlus(4, 5)


# --- more vanish than the graph was made for


def pairs_of_long_gaps(n: int, removed: int, half: int) -> Fraction:
    """How many pairs of gaps of `half` or more a circle without `removed` of its n members has on average."""
    stay = n - removed
    if stay < 2:
        return Fraction(0)
    ways = Fraction(math.comb(max(0, n - 1 - 2 * half), stay - 1), math.comb(n - 1, stay - 1))
    return math.comb(stay, 2) * ways


def exactly_fewest_left(asked: Requirements, neighbours: int, threshold: int) -> int:
    """Events 1 and 3 in fractions, for one more gone after another."""
    n, corrupt = asked.participants, asked.corrupt_count
    drawn = math.comb(n - 1, neighbours)
    opened = n * sum(
        Fraction(math.comb(corrupt, x) * math.comb(n - 1 - corrupt, neighbours - x), drawn)
        for x in range(threshold, neighbours + 1)
    )
    gone = 0
    while opened + pairs_of_long_gaps(n, corrupt + gone, neighbours // 2) <= Fraction(1, 2**asked.sigma):
        gone += 1
    return n - gone + 1


@pytest.mark.parametrize(
    ("participants", "corrupt", "vanishing"),
    [(1_000, 0.05, 0.05), (1_000, 1 / 3, 0.05), (1_000, 0.05, 0.1), (292, 0.05, 0.05), (300, 0.2, 0.3), (60, 0.0, 0.1)],
)
def test_a_graph_may_lose_what_an_exact_computation_allows_and_at_least_what_was_asked(
    participants, corrupt, vanishing
):
    asked = Requirements(participants, corrupt, vanishing, 40, 20)
    neighbours, threshold = derive(asked)
    need = fewest_left(asked, neighbours, threshold)
    assert need == exactly_fewest_left(asked, neighbours, threshold)
    assert need <= participants - asked.vanishing_count


def test_the_complete_graph_may_lose_all_but_the_threshold():
    assert fewest_left(Requirements(10, 0.0, 0.0, 40, 20), 9, 6) == 6


@pytest.mark.parametrize("step", ["AdvertiseKeys", "ShareKeys", "MaskedInput"])
def test_a_round_that_loses_more_than_its_graph_can_opens_nothing(step):
    """Five in a row might vanish: then the others fall into parts, and the sum of each part would show."""
    scheme = sparse()
    running = Simulation(scheme, vectors(scheme), drop=dict.fromkeys(range(1, 16), step))
    with pytest.raises(RoundFailed, match="parts of the sum could show; nothing was opened") as failed:
        running.run()
    assert failed.value.step == step, "as soon as it is known"
    assert failed.value.have <= 25 < failed.value.need == scheme.fewest_left
    assert running.server.output is None


def test_ready_says_when_a_step_may_be_closed():
    scheme, context = SecAggPlus(292, 4), RoundContext("job", 1, bytes(32))
    server = scheme.server(context)
    server.start()
    for participant in range(1, scheme.fewest_left + 1):
        assert not server.ready
        (keys,) = scheme.client(participant, context).start()
        server.receive(keys)
    assert server.ready
    assert len(server.advance()) == scheme.fewest_left


def test_a_floor_that_no_neighbourhood_meets_is_refused_when_it_is_stated():
    scheme = sparse()
    scheme.client(1, RoundContext("job", 1, bytes(32)), Participant(policy=Policy(minimum_cohort=scheme.degree + 1)))
    with pytest.raises(ParameterError, match="neighbours=10 it sees 11"):
        scheme.check_policy(Policy(minimum_cohort=scheme.degree + 2))


def test_the_roofline_counts_edges_to_those_who_are_there():
    """With a fifth absent from the start, a participant agrees and masks with four fifths of its neighbours."""
    scheme = SecAggPlus(292, 4, dropout_rate=0.2)
    run = simulate(scheme, vectors(scheme), drop=dict.fromkeys(range(1, 59), "AdvertiseKeys"))
    client, _ = scheme.work(run)
    expected = scheme.degree * 233 / 291  # of its other 291, 233 are there
    assert client.agreements == pytest.approx(2 * expected)


@pytest.mark.parametrize(
    ("lost", "step"),
    [
        (1, "AdvertiseKeys"),
        (8, "ShareKeys"),
        (11, "MaskedInput"),
        (15, "AdvertiseKeys"),
        (15, "ShareKeys"),
        (15, "MaskedInput"),
    ],
)
def test_any_loss_that_the_graph_was_made_for_is_borne_at_every_step(lost, step):
    scheme = SecAggPlus(292, 4)
    assert scheme.requirements.vanishing_count == 15
    run = simulate(scheme, vectors(scheme), drop=dict.fromkeys(range(1, lost + 1), step))
    assert run.survivors == tuple(range(lost + 1, 293))
    assert run.total.tolist() == total_of(vectors(scheme), run.survivors).tolist()
