"""Corrupt shares: wrong ones returned, dealt, or signed twice over. The sum is right, or there is none."""

import os

import msgspec
import numpy as np
import pytest

from secagg import SYSTEM, Bonawitz, InsecureDeterministicRandomness, RoundFailed, Simulation, simulate
from secagg.conformance.weak_servers import ONE_LIST, RIGHT_SHARES
from secagg.conformance.weakened import weakened
from secagg.conformance.weaknesses import SHARE_ROOTS
from secagg_protocols.bonawitz import steps
from secagg_protocols.bonawitz.messages import ShareKeys, Unmasking
from secagg_protocols.core.wire import encode
from secagg_protocols.primitives import shamir

SIZE = shamir.SHARE_BYTES


def vectors(scheme):
    """Make one vector per participant."""
    draw = np.random.default_rng(1)
    return [draw.integers(0, 1 << scheme.value_bits, scheme.length) for _ in range(scheme.participants)]


def total_of(inputs, *who):
    """Return the true sum of these participants' vectors."""
    return np.sum([inputs[one - 1] for one in who], axis=0)


def blamed(scheme, dealer, holder, *, active):
    """Return who is to blame: the one that signed content names, or all three when nothing is signed."""
    return {active} if scheme.active else {dealer, holder, 0}


def returns_wrong(*dealers, flip=0x5A):
    """Make a holder change the shares of these dealers in its answer (of all: none given)."""

    def change(machine, envelopes):
        if not envelopes or envelopes[0].kind != "Unmasking":
            return envelopes
        answer = msgspec.msgpack.decode(envelopes[0].payload, type=Unmasking)
        shares = bytearray(answer.shares)
        for position, dealer in enumerate(machine._memory.dealers):
            if not dealers or dealer in dealers:
                values = bytes(byte ^ flip for byte in shares[position * SIZE : position * SIZE + 32])
                shares[position * SIZE : (position + 1) * SIZE] = values + bytes(2)  # field elements still
        return [machine.seal("Unmasking", 0, Unmasking(answer.missing, memoryview(bytes(shares))))]

    return change


def test_one_holder_of_wrong_shares_is_corrected_and_named(adversary):
    scheme = Bonawitz(5, 20, adversary=adversary, threshold=3)
    inputs = vectors(scheme)
    run = simulate(scheme, inputs, misbehave={3: returns_wrong()}, drop={5: "MaskedInput"})
    np.testing.assert_array_equal(run.total, total_of(inputs, 1, 2, 3, 4))
    # m = 4 answers, t = 3: what the dealers signed decides when active, the commitments when not.
    assert {one.dealer for one in run.corrections} == {1, 2, 3, 4, 5}
    for one in run.corrections:
        assert one.holder == 3
        assert one.culprits == blamed(scheme, one.dealer, 3, active=3)


@pytest.mark.parametrize("dropped", [{}, {7: "MaskedInput"}], ids=["of seeds", "of a mask key too"])
def test_wrong_shares_beyond_the_decoding_radius_are_found_by_the_commitments(adversary, dropped):
    # n = 7, t = 4: at most one wrong share can be located by decoding; here are two or three.
    scheme = Bonawitz(7, 20, adversary=adversary)
    inputs = vectors(scheme)
    liars = (2, 5) if dropped else (2, 5, 6)
    run = simulate(scheme, inputs, misbehave={who: returns_wrong() for who in liars}, drop=dropped)
    np.testing.assert_array_equal(run.total, total_of(inputs, *run.survivors))
    assert len(run.survivors) == 7 - len(dropped)
    assert {(one.dealer, one.holder) for one in run.corrections} == {(d, h) for d in range(1, 8) for h in liars}
    for one in run.corrections:
        assert one.culprits == blamed(scheme, one.dealer, one.holder, active=one.holder)


def test_without_the_checks_a_wrong_share_gives_a_wrong_sum(adversary):
    # Eight vectors of 29 bits fill 32 bits but for seven values, so that noise looks like a sum.
    scheme = weakened(Bonawitz, RIGHT_SHARES)(8, 8, value_bits=29, adversary=adversary)
    inputs = vectors(scheme)
    run = simulate(scheme, inputs, misbehave={1: returns_wrong(2)})
    assert not np.array_equal(run.total, total_of(inputs, *range(1, 9)))
    assert run.corrections == ()


@pytest.mark.parametrize("liars", [(1, 2, 3, 4), (1, 2, 3, 4, 5, 6, 7)])
def test_too_many_wrong_shares_end_the_round_without_a_sum(adversary, liars):
    scheme = Bonawitz(7, 20, adversary=adversary)
    attack = Simulation(scheme, vectors(scheme), misbehave={who: returns_wrong() for who in liars})
    with pytest.raises(RoundFailed, match="cannot be reconstructed") as failed:
        attack.run()
    assert failed.value.step == "Unmasking"
    assert attack.server.output is None
    if not scheme.active:
        assert failed.value.culprits == {0, *range(1, 8)}  # nothing is signed


def test_holders_whose_lies_end_the_round_are_blamed_and_not_the_dealer_they_lied_about():
    scheme = Bonawitz(7, 20, adversary="active")
    liars = (4, 5, 6, 7)
    attack = Simulation(scheme, vectors(scheme), misbehave={who: returns_wrong(1) for who in liars})
    with pytest.raises(RoundFailed) as failed:
        attack.run()
    assert failed.value.culprits == set(liars)


def test_a_wrong_share_of_a_mask_key_cannot_hide_in_the_bits_that_x25519_ignores():
    # From the points 1, 2, 3 the coefficient of 3 is 1: an error of one in its first limb is one of one in the key.
    def off_by_one(machine, envelopes):
        if not envelopes or envelopes[0].kind != "Unmasking":
            return envelopes
        answer = msgspec.msgpack.decode(envelopes[0].payload, type=Unmasking)
        shares = bytearray(answer.shares)
        shares[4 * SIZE] ^= 1
        return [machine.seal("Unmasking", 0, Unmasking(answer.missing, memoryview(bytes(shares))))]

    scheme = Bonawitz(5, 20, threshold=3)
    inputs, misbehave, drop = vectors(scheme), {3: off_by_one}, {5: "MaskedInput"}
    for seed in range(8):
        keys = InsecureDeterministicRandomness(seed)
        run = simulate(scheme, inputs, misbehave=misbehave, drop=drop, randomness=keys)
        np.testing.assert_array_equal(run.total, total_of(inputs, 1, 2, 3, 4))
        assert [(one.dealer, one.holder) for one in run.corrections] == [(5, 3)]


def test_with_one_liar_nobody_else_is_named_when_shares_are_signed(adversary):
    scheme = Bonawitz(5, 20, adversary=adversary, threshold=3)
    run = simulate(scheme, vectors(scheme), misbehave={3: returns_wrong(1)})
    assert [(one.dealer, one.holder) for one in run.corrections] == [(1, 3)]


# --- dealers


def deals_wrong(*holders, listing_the_right_ones=False):
    """Make a dealer deal these holders shares that lie on no polynomial, under a root that it signs.

    listing_the_right_ones: sign a second, contradicting list beside them, by which the holders would look guilty.
    """

    def change(machine, envelopes):
        if not envelopes:
            return envelopes
        memory, scheme = machine._memory, machine.scheme
        if envelopes[0].kind == "AdvertiseKeys":
            machine.right = steps.share_digests(scheme, machine.me, memory.own) if scheme.active else b""
            shares = bytearray(memory.own.shares)
            for holder in holders:
                for row in range(len(scheme.secrets)):
                    start = ((holder - 1) * len(scheme.secrets) + row) * SIZE
                    shares[start : start + SIZE] = os.urandom(32) + bytes(2)
            memory.own = msgspec.structs.replace(memory.own, shares=bytes(shares))
            message = steps.advertise(scheme, machine.me, memory.own, machine._address, machine.context, SYSTEM)
            memory.advertised = encode(message)
            return [machine.seal("AdvertiseKeys", 0, message)]
        if envelopes[0].kind == "ShareKeys" and listing_the_right_ones:
            dealt = msgspec.msgpack.decode(envelopes[0].payload, type=ShareKeys)
            return [machine.seal("ShareKeys", 0, ShareKeys(machine.right, dealt.sealed))]
        return envelopes

    return change


@pytest.mark.parametrize("gone", [{}, {2: "MaskedInput"}], ids=["dealer survives", "dealer vanishes"])
def test_a_dealer_of_inconsistent_shares_is_blamed_and_the_sum_is_right(adversary, gone):
    scheme = Bonawitz(5, 20, adversary=adversary, threshold=3)
    inputs = vectors(scheme)
    run = simulate(scheme, inputs, misbehave={2: deals_wrong(4)}, drop=gone)
    np.testing.assert_array_equal(run.total, total_of(inputs, *run.survivors))
    assert 2 in run.survivors or gone
    (one,) = run.corrections
    assert (one.dealer, one.holder) == (2, 4)
    assert one.culprits == blamed(scheme, 2, 4, active=2)


def test_a_dealer_of_nothing_but_inconsistent_shares_is_blamed_for_the_failed_round(adversary):
    scheme = Bonawitz(5, 20, adversary=adversary, threshold=3)
    attack = Simulation(scheme, vectors(scheme), misbehave={2: deals_wrong(1, 2, 3, 4, 5)})
    with pytest.raises(RoundFailed) as failed:
        attack.run()
    assert failed.value.culprits == ({2} if scheme.active else {0, 1, 2, 3, 4, 5})


def test_a_dealer_cannot_frame_a_holder_with_a_second_list():
    scheme = Bonawitz(5, 20, adversary="active")
    inputs = vectors(scheme)
    run = simulate(scheme, inputs, misbehave={2: deals_wrong(4, listing_the_right_ones=True)})
    np.testing.assert_array_equal(run.total, total_of(inputs, 1, 2, 3, 4, 5))
    (one,) = [one for one in run.corrections if (one.dealer, one.holder) == (2, 4)]
    assert one.culprits == {2}


def test_without_comparing_the_list_to_the_signed_root_the_holder_would_be_framed():
    scheme = weakened(Bonawitz, ONE_LIST)(5, 20, adversary="active")
    run = simulate(scheme, vectors(scheme), misbehave={2: deals_wrong(4, listing_the_right_ones=True)})
    (one,) = [one for one in run.corrections if (one.dealer, one.holder) == (2, 4)]
    assert one.culprits == {4}


def deals_outside_its_root(machine, envelopes):
    """Deal holder 4 something else than what the signed root covers, with the path of the right share."""
    if envelopes and envelopes[0].kind == "AdvertiseKeys":
        honest, secrets = machine._deal, len(machine.scheme.secrets)

        def deal(holders):
            digests, dealt = honest(holders)
            return digests, {**dealt, 4: (os.urandom(32) + bytes(2)) * secrets + dealt[4][secrets * SIZE :]}

        machine._deal = deal
    return envelopes


def test_a_holder_does_not_take_a_share_that_it_could_be_blamed_for():
    scheme = Bonawitz(5, 20, adversary="active")
    inputs = vectors(scheme)
    attack = Simulation(scheme, inputs, misbehave={2: deals_outside_its_root})
    np.testing.assert_array_equal(attack.run().total, total_of(inputs, 1, 2, 3, 4, 5))
    assert attack.server.corrections == ()
    assert 2 not in attack.clients[4]._memory.shares


def test_without_the_proof_it_would_be_blamed_for_it():
    scheme = weakened(Bonawitz, SHARE_ROOTS)(5, 20, adversary="active")
    run = simulate(scheme, vectors(scheme), misbehave={2: deals_outside_its_root})
    (one,) = [one for one in run.corrections if (one.dealer, one.holder) == (2, 4)]
    assert one.culprits == {4}


def seals_garbage(*holders):
    """Make a dealer seal nothing that these holders could open."""

    def change(machine, envelopes):
        if not envelopes or envelopes[0].kind != "ShareKeys":
            return envelopes
        dealt = msgspec.msgpack.decode(envelopes[0].payload, type=ShareKeys)
        sealed, size = bytearray(dealt.sealed), machine.scheme.sealed_bytes
        others = [who for who in range(1, machine.scheme.participants + 1) if who != machine.me]
        for position, holder in enumerate(others):
            if holder in holders:
                sealed[position * size : (position + 1) * size] = os.urandom(size)
        return [machine.seal("ShareKeys", 0, ShareKeys(dealt.share_digests, memoryview(bytes(sealed))))]

    return change


@pytest.mark.parametrize("gone", [{}, {2: "MaskedInput"}], ids=["dealer survives", "dealer vanishes"])
def test_a_dealer_of_garbage_does_not_end_the_round_while_enough_shares_are_good(adversary, gone):
    scheme = Bonawitz(7, 20, adversary=adversary)
    inputs = vectors(scheme)
    run = simulate(scheme, inputs, misbehave={2: seals_garbage(1, 3) if gone else seals_garbage(1, 3, 4)}, drop=gone)
    np.testing.assert_array_equal(run.total, total_of(inputs, *run.survivors))
    assert not run.refusals
    assert not run.corrections


def test_a_dealer_of_garbage_to_all_ends_the_round_without_a_sum(adversary):
    # Stopping a round this way is possible; getting a wrong sum out of it is not.
    scheme = Bonawitz(7, 20, adversary=adversary)
    attack = Simulation(scheme, vectors(scheme), misbehave={2: seals_garbage(1, 3, 4, 5, 6, 7)})
    with pytest.raises(RoundFailed, match="participant 2 shared cannot be reconstructed"):
        attack.run()
    assert attack.server.output is None


@pytest.mark.parametrize("missing", [(9,), (3,)], ids=["a stranger", "itself"])
def test_shares_reported_missing_of_who_dealt_none_drop_only_the_liar(adversary, missing):
    def change(machine, envelopes):
        if not envelopes or envelopes[0].kind != "Unmasking":
            return envelopes
        answer = msgspec.msgpack.decode(envelopes[0].payload, type=Unmasking)
        return [machine.seal("Unmasking", 0, Unmasking(missing, memoryview(bytes(answer.shares[:-SIZE]))))]

    scheme = Bonawitz(5, 20, adversary=adversary, threshold=3)
    inputs = vectors(scheme)
    run = simulate(scheme, inputs, misbehave={3: change})
    np.testing.assert_array_equal(run.total, total_of(inputs, 1, 2, 3, 4, 5))
    assert set(run.dropped) == {3}


@pytest.mark.parametrize("shares", [b"", bytes(33), b"\x01" * 34 * 5], ids=["none", "short", "no field elements"])
def test_an_answer_of_the_wrong_shape_drops_only_its_sender(adversary, shares):
    def change(machine, envelopes):
        if not envelopes or envelopes[0].kind != "Unmasking":
            return envelopes
        return [machine.seal("Unmasking", 0, Unmasking((), memoryview(shares)))]

    scheme = Bonawitz(5, 20, adversary=adversary, threshold=3)
    inputs = vectors(scheme)
    run = simulate(scheme, inputs, misbehave={3: change})
    np.testing.assert_array_equal(run.total, total_of(inputs, 1, 2, 3, 4, 5))
    assert set(run.dropped) == {3}
