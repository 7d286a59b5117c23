"""Holders that lie in concert: nobody honest is blamed alone, no sum is wrong, and no lie costs more than a budget."""

import msgspec
import numpy as np
import pytest

from secagg import Bonawitz, LightSecAgg, RoundFailed, SecAggPlus, Simulation, simulate
from secagg_protocols.bonawitz.messages import Unmasking
from secagg_protocols.lightsecagg.messages import Unmasking as OpenedMaskSum
from secagg_protocols.primitives import merkle, repair, shamir
from secagg_protocols.primitives.interpolation import Interpolation
from secagg_protocols.primitives.reed_solomon import ShareCode

P = 65537


def vectors(scheme):
    """Make one vector per participant."""
    draw = np.random.default_rng(1)
    return [draw.integers(0, 1 << scheme.value_bits, scheme.length) for _ in range(scheme.participants)]


def opens(change):
    """Make a holder change the elements that it opens, (dealers, limbs), by a function of (id, dealers, elements)."""

    def script(machine, envelopes):
        if not envelopes or envelopes[0].kind != "Unmasking":
            return envelopes
        answer = msgspec.msgpack.decode(envelopes[0].payload, type=Unmasking)
        rows = np.frombuffer(answer.shares, dtype=np.uint8).reshape(-1, shamir.SHARE_BYTES)
        elements = change(machine.me, machine._memory.dealers, shamir.decode(rows)) % P
        return [machine.seal("Unmasking", 0, Unmasking(answer.missing, memoryview(shamir.encode(elements).tobytes())))]

    return script


def shifted(zeros, about=None, seed=0):
    """Shift shares (of one dealer: about) by a polynomial that is 0 at 0 and at these holders."""
    vectors = np.random.default_rng(seed).integers(1, P, (1000, shamir.LIMBS))

    def change(holder, dealers, elements):
        value = holder
        for zero in zeros:
            value = value * (holder - zero) % P
        lied = [about in (None, dealer) for dealer in dealers]
        return elements + value * vectors[list(dealers)] * np.array(lied)[:, None]

    return opens(change)


def noise(holder, dealers, elements):
    """Open nothing but noise."""
    return np.random.default_rng(holder).integers(0, P, elements.shape)


# --- who is blamed


FRAMES = [(9, 7, 9), (20, 12, 14)]
"""Participants, threshold (derived for 20), answers. Three holders collude: with t − 2 others they are all but one."""


@pytest.mark.parametrize(("participants", "threshold", "answers"), FRAMES)
def test_colluding_holders_cannot_frame_a_dealer_by_another_polynomial_with_its_secret(
    participants, threshold, answers
):
    scheme = Bonawitz(participants, 20, adversary="active", colluders=3, threshold=threshold)
    liars, dealer = (2, 5, 8), 1
    honest = [one for one in range(1, participants + 1) if one not in liars]
    script = shifted(honest[: threshold - 2], about=dealer)
    gone = dict.fromkeys(range(answers + 1, participants + 1), "Unmasking")
    run = simulate(scheme, vectors(scheme), misbehave=dict.fromkeys(liars, script), drop=gone)
    np.testing.assert_array_equal(run.total, np.sum(vectors(scheme), axis=0))
    assert {(one.dealer, one.holder, one.culprits) for one in run.corrections} == {
        (dealer, liar, frozenset({liar})) for liar in liars
    }


def test_without_comparing_every_share_with_what_is_signed_they_would(monkeypatch):
    monkeypatch.setattr(repair.Repair, "_signed_others", lambda self, case, rows: [False] * len(rows))
    scheme = Bonawitz(9, 20, adversary="active", colluders=3, threshold=7)
    liars, dealer = (2, 5, 8), 1
    script = shifted([1, 3, 4, 6, 7], about=dealer)
    run = simulate(scheme, vectors(scheme), misbehave=dict.fromkeys(liars, script))
    # The liars' polynomial has eight of nine shares: the one right share that is off it looks wrong, and is signed.
    assert {(one.holder, one.culprits) for one in run.corrections} == {(9, frozenset({dealer}))}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("participants", "colluders"), [(9, 0), (9, 2), (20, 3)])
def test_whatever_up_to_n_minus_t_holders_open_the_sum_is_right_and_only_they_are_named(participants, colluders, seed):
    scheme = Bonawitz(participants, 20, adversary="active", colluders=colluders)
    draw = np.random.default_rng(seed)
    most = participants - scheme.quorum
    liars = sorted(draw.choice(np.arange(1, participants + 1), 1 + seed % most, replace=False).tolist())
    honest = [one for one in range(1, participants + 1) if one not in liars]
    zeros = draw.choice(honest, min(len(honest), scheme.quorum - 2), replace=False).tolist()
    scripts = [shifted(zeros, seed=seed), shifted(zeros, about=1, seed=seed), opens(noise), shifted([], seed=seed)]
    misbehave = {liar: scripts[(place * (seed % 2) + seed) % len(scripts)] for place, liar in enumerate(liars)}
    run = simulate(scheme, vectors(scheme), misbehave=misbehave)
    np.testing.assert_array_equal(run.total, np.sum(vectors(scheme), axis=0))
    assert run.corrections
    assert all(one.culprits == {one.holder} and one.holder in liars for one in run.corrections)


# --- how much work it is


def counted(monkeypatch, owner, name):
    """Count the calls of a function."""
    calls, inner = [], getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *arguments, **named: calls.append(1) or inner(*arguments, **named))
    return calls


def test_one_liar_about_all_dealers_makes_every_list_be_hashed_once_at_most(monkeypatch):
    scheme = Bonawitz(12, 20, adversary="active")
    attack = Simulation(
        scheme, vectors(scheme), misbehave={3: opens(noise)}, drop=dict.fromkeys(range(9, 13), "Unmasking")
    )
    roots = counted(monkeypatch, merkle, "root")
    before = len(roots)
    run = attack.run()
    np.testing.assert_array_equal(run.total, np.sum(vectors(scheme), axis=0))
    assert len(run.corrections) == 12
    assert len(roots) - before - 12 <= 12  # each dealer makes its own once


def test_reports_of_missing_shares_that_all_differ_take_one_interpolation_and_no_decoding(adversary, monkeypatch):
    def misses_some(machine, envelopes):
        if not envelopes or envelopes[0].kind != "Unmasking":
            return envelopes
        answer = msgspec.msgpack.decode(envelopes[0].payload, type=Unmasking)
        dealers, draw = machine._memory.dealers, np.random.default_rng(machine.me)
        missing = [dealer for dealer in dealers if dealer != machine.me and draw.random() < 0.5]
        rows = [row for row, dealer in enumerate(dealers) if dealer not in missing]
        shares = np.frombuffer(answer.shares, dtype=np.uint8).reshape(-1, shamir.SHARE_BYTES)[rows]
        return [machine.seal("Unmasking", 0, Unmasking(tuple(missing), memoryview(shares.tobytes())))]

    scheme = Bonawitz(20, 20, adversary=adversary)
    made, codes = counted(monkeypatch, Interpolation, "__init__"), counted(monkeypatch, ShareCode, "__init__")
    run = simulate(scheme, vectors(scheme), misbehave=dict.fromkeys(range(1, 10), misses_some))
    np.testing.assert_array_equal(run.total, np.sum(vectors(scheme), axis=0))
    assert (len(made), len(codes)) == (1, 0)


@pytest.mark.parametrize("liars", [9, 12])
def test_liars_that_cannot_be_told_apart_end_the_round_within_the_budget_and_are_among_the_suspects(liars, monkeypatch):
    monkeypatch.setattr(repair, "BUDGET", 20_000_000)
    spent = []
    spend, after = repair.Work.spend, repair.Work.spent
    monkeypatch.setattr(repair.Work, "spend", lambda self, amount: (spend(self, amount), spent.append(amount)))
    monkeypatch.setattr(repair.Work, "spent", lambda self, amount: (after(self, amount), spent.append(amount)))
    scheme = Bonawitz(20, 20)
    who = range(1, 1 + liars)
    scripts = {liar: shifted([], seed=liar % 2) for liar in who}
    with pytest.raises(RoundFailed, match="cannot be reconstructed") as failed:
        simulate(scheme, vectors(scheme), misbehave=scripts)
    assert failed.value.culprits >= set(who)
    # One budget for all twenty dealers; the last thing that was begun may pass it.
    assert sum(spent) <= 20_000_000 + 5_000_000


# --- sparse graphs and sums of shares


def test_garbage_of_all_but_one_spare_neighbour_is_located_on_a_sparse_graph():
    scheme = SecAggPlus(40, 20)
    spare = scheme.degree + 1 - scheme.quorum

    def liars():
        return attack.server._graph.circle(1)[: spare - 1]

    def lies(machine, envelopes):
        opening = envelopes and envelopes[0].kind == "Unmasking"
        return opens(noise)(machine, envelopes) if opening and machine.me in liars() else envelopes

    attack = Simulation(scheme, vectors(scheme), misbehave=dict.fromkeys(range(1, 41), lies))
    np.testing.assert_array_equal(attack.run().total, np.sum(vectors(scheme), axis=0))
    assert {one.holder for one in attack.server.corrections} == set(liars())


def mask_sum(change):
    """Make a holder change the elements of the sum of coded shares that it opens."""

    def script(machine, envelopes):
        if not envelopes or envelopes[0].kind != "Unmasking":
            return envelopes
        packing = machine.scheme.packing
        share = bytes(msgspec.msgpack.decode(envelopes[0].payload, type=OpenedMaskSum).share)
        elements = change(packing.field.from_bytes(share).copy())
        return [machine.seal("Unmasking", 0, OpenedMaskSum((), packing.to_bytes(elements)))]

    return script


def all_noise(elements):
    return np.random.default_rng(0).integers(0, 1 << 23, elements.size)


def one_off(elements):
    elements[-1] ^= 4321
    return elements


@pytest.mark.parametrize("change", [all_noise, one_off])
@pytest.mark.parametrize("value_bits", [16, 32], ids=["one field", "two fields"])
def test_one_liar_among_u_plus_one_holders_of_masks_is_left_out(change, value_bits):
    scheme = LightSecAgg(12, 400, value_bits=value_bits)
    inputs, gone = vectors(scheme), dict.fromkeys(range(scheme.quorum + 2, 13), "Unmasking")
    run = simulate(scheme, inputs, drop=gone, misbehave={4: mask_sum(change)})
    np.testing.assert_array_equal(run.total, np.sum(inputs, axis=0))
    assert [one.holder for one in run.corrections] == [4]


def test_two_liars_among_u_plus_one_holders_of_masks_end_the_round():
    scheme = LightSecAgg(12, 400)
    gone = dict.fromkeys(range(scheme.quorum + 2, 13), "Unmasking")
    scripts = {4: mask_sum(all_noise), 5: mask_sum(lambda elements: all_noise(elements)[::-1])}
    with pytest.raises(RoundFailed, match="1 spare") as failed:
        simulate(scheme, vectors(scheme), drop=gone, misbehave=scripts)
    assert failed.value.culprits >= {4, 5}


def test_where_every_sum_is_possible_one_liar_among_u_plus_one_ends_the_round():
    scheme = LightSecAgg(16, 50, value_bits=20)
    assert 0.99999 * scheme.packing.field.prime < 16 * ((1 << 20) - 1)
    gone = dict.fromkeys(range(scheme.quorum + 2, 17), "Unmasking")
    with pytest.raises(RoundFailed, match="1 spare"):
        simulate(scheme, vectors(scheme), drop=gone, misbehave={4: mask_sum(one_off)})


# --- what the error says


def test_a_round_that_fails_with_enough_answers_does_not_say_that_they_are_too_few():
    scheme = Bonawitz(7, 20)
    with pytest.raises(RoundFailed) as failed:
        simulate(scheme, vectors(scheme), misbehave=dict.fromkeys((1, 2, 3, 4), opens(noise)))
    assert "7 are there and 4 are enough" in str(failed.value)
    assert "participants needed" not in str(failed.value)
