"""Wrong sums of key shares: located, seen through by the noise, or the end of the round; never a wrong sum."""

import msgspec
import numpy as np
import pytest

from secagg_he import ThresholdCkks
from secagg_he.threshold import encoding, steps
from secagg_he.threshold.messages import Opening
from secagg_he.threshold.noise import DEGREE, SIGMA
from secagg_protocols import SERVER, InsecureDeterministicRandomness
from secagg_protocols.primitives import shamir
from secagg_protocols.primitives.field import GF65537

PRIME = GF65537.prime
SESSION = bytes(range(32))


# --- the noise test


@pytest.mark.parametrize("participants", [2, 10, 100])
def test_errors_under_a_key_sum_that_is_wrong_by_one_are_uniform(participants):
    scheme = ThresholdCkks(participants, 4000)
    total, words = np.zeros(DEGREE, dtype=np.int64), np.zeros(scheme.ciphertexts.words, dtype=np.uint64)
    for participant in range(1, participants + 1):
        own = bytes([participant]) * 32
        total += steps.one_time_key(scheme, SESSION, participant, own)
        encryption = steps.Encryption.of(scheme, SESSION, participant, own)
        words += next(iter(steps.encrypt_blocks(encryption, np.full(4000, 7))))[1]
    assert steps.is_noise(scheme, participants, [steps.decrypt(scheme, SESSION, total, 0, words)[1]])
    for position, by in ((0, 1), (DEGREE - 1, -1), (1000, 300)):
        wrong = total.copy()
        wrong[position] += by
        _, errors = steps.decrypt(scheme, SESSION, wrong, 0, words)
        uniform = (1 << scheme.shift) ** 2 / 12
        assert 0.9 * uniform < errors.squares / errors.count < 1.1 * uniform
        assert errors.squares / errors.count > 24 * participants * float(SIGMA) ** 2
        assert not steps.is_noise(scheme, participants, [errors])


def test_errors_that_stay_within_the_bound_but_are_too_large_together_are_no_noise():
    """Where Δ is hardly more than 2B, uniform errors may all be within ±B: their squares give them away."""
    scheme = ThresholdCkks(10, 100)
    honest, bound = 10 * float(SIGMA) ** 2, scheme.error_bound
    assert steps.is_noise(scheme, 10, [steps.Errors(DEGREE, bound, DEGREE * honest)])
    assert not steps.is_noise(scheme, 10, [steps.Errors(DEGREE, bound, DEGREE * bound**2 / 3)])
    assert not steps.is_noise(scheme, 10, [steps.Errors(DEGREE, bound + 1, DEGREE * honest)])
    assert not steps.is_noise(scheme, 10, [steps.Errors(DEGREE, 1, 0), steps.Errors(DEGREE, bound + 1, 0)])


# --- wrong sums of shares


def opens_wrong(change):
    """Make a holder change the elements of the sum that it opens."""

    def script(attack, machine, envelopes):
        message = msgspec.msgpack.decode(envelopes[0].payload, type=Opening)
        elements = change(encoding.decode_share(machine.scheme, message.share).copy(), machine.me) % PRIME
        share = memoryview(shamir.encode(elements.reshape(-1, shamir.LIMBS)).tobytes())
        return [machine.seal("Opening", SERVER, Opening((), share))]

    return {"Opening": script}


def by_one(elements, me):
    """One coefficient, by one."""
    elements[5] += 1
    return elements


def at_random(elements, me):
    """Everything."""
    return np.random.default_rng(me).integers(0, PRIME, elements.size)


LIES = [by_one, at_random]


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("packing", [1, 2])
def test_one_wrong_sum_of_shares_is_located_and_left_out(launch, adversary, lie, packing):
    scheme = ThresholdCkks(7, 20, threshold=5 if adversary == "active" else 4, packing=packing, adversary=adversary)
    attack = launch(scheme, {3: opens_wrong(lie)})
    attack.is_right(1, 2, 3, 4, 5, 6, 7)
    (one,) = attack.server.corrections
    assert one.holder == 3
    assert one.culprits == {SERVER, 1, 2, 3, 4, 5, 6, 7}  # the holder, or whoever dealt to it: nothing signed tells


@pytest.mark.parametrize("lie", LIES)
def test_with_no_more_than_t_answers_a_wrong_sum_of_shares_fails_the_round(launch, adversary, lie):
    scheme = ThresholdCkks(5, 20, threshold=3, adversary=adversary)
    attack = launch(scheme, {3: opens_wrong(lie)}, drop={4: "Opening", 5: "Opening"})
    assert "decrypt to noise" in str(attack.failure)
    assert attack.failure.culprits == {SERVER, 1, 2, 3, 4, 5}
    assert attack.server.output is None


@pytest.mark.parametrize("lie", LIES)
def test_without_the_noise_test_a_wrong_sum_would_come_out(launch, lie, monkeypatch):
    monkeypatch.setattr(steps, "is_noise", lambda *arguments: True)
    scheme = ThresholdCkks(4, 3000, threshold=2, value_bits=21)  # so that nearly any word is a possible sum
    seed = InsecureDeterministicRandomness(1)
    attack = launch(scheme, {2: opens_wrong(lie)}, drop={3: "Opening", 4: "Opening"}, randomness=seed)
    assert attack.failure is None
    assert (attack.server.output.total != attack.total_of(1, 2, 3, 4)).any()


@pytest.mark.parametrize("liars", [(1, 2), (1, 2, 3), (5, 6, 7), (2, 4, 6)])
def test_more_liars_than_can_be_located_cost_nothing_while_t_tell_the_truth(launch, adversary, liars):
    scheme = ThresholdCkks(7, 20, threshold=4, adversary=adversary)
    attack = launch(scheme, dict.fromkeys(liars, opens_wrong(at_random)))
    attack.is_right(1, 2, 3, 4, 5, 6, 7)
    assert {one.holder for one in attack.server.corrections} == set(liars)


def toward(*honest):
    """Add a polynomial that is nothing at these holders: liars and they are on one polynomial, and not the true one."""

    def change(elements, me):
        factor = 1
        for holder in honest:
            factor = factor * (me - holder) % PRIME
        return elements + factor

    return change


def test_liars_that_make_honest_holders_look_wrong_are_seen_through_by_the_noise(launch):
    scheme = ThresholdCkks(8, 20, threshold=4)
    attack = launch(scheme, dict.fromkeys((5, 6, 7), opens_wrong(toward(1, 2, 3))))
    attack.is_right(*range(1, 9))
    assert {one.holder for one in attack.server.corrections} == {5, 6, 7}


def test_without_the_noise_test_they_would_get_a_wrong_sum_and_the_honest_holders_the_blame(launch, monkeypatch):
    monkeypatch.setattr(steps, "is_noise", lambda *arguments: True)
    scheme = ThresholdCkks(8, 3000, threshold=4, value_bits=20)
    seed = InsecureDeterministicRandomness(1)
    attack = launch(scheme, dict.fromkeys((5, 6, 7), opens_wrong(toward(1, 2, 3))), randomness=seed)
    assert {one.holder for one in attack.server.corrections} == {4, 8}
    assert (attack.server.output.total != attack.total_of(*range(1, 9))).any()


def test_with_fewer_than_t_right_sums_there_is_none(launch, adversary):
    scheme = ThresholdCkks(7, 20, threshold=4, adversary=adversary)
    attack = launch(scheme, dict.fromkeys((1, 3, 5, 7), opens_wrong(at_random)))
    assert "decrypt to noise" in str(attack.failure)
    assert attack.server.output is None


@pytest.mark.parametrize(
    ("missing", "size"),
    [((), 0), ((), 33), ((2,), None), ((3,), 0), ((9,), 0)],
    ids=["empty", "short", "both", "itself", "a stranger"],
)
def test_an_opening_of_the_wrong_shape_drops_only_its_sender(launch, adversary, missing, size):
    def misshapen(attack, machine, envelopes):
        share = msgspec.msgpack.decode(envelopes[0].payload, type=Opening).share
        return [machine.seal("Opening", SERVER, Opening(missing, memoryview(bytes(share)[:size])))]

    attack = launch(ThresholdCkks(5, 20, threshold=3, adversary=adversary), {3: {"Opening": misshapen}})
    attack.is_right(1, 2, 3, 4, 5)
    assert set(attack.server.dropped) == {3}


def test_a_share_that_is_no_field_element_drops_only_its_sender(launch, adversary):
    def no_elements(attack, machine, envelopes):
        return [machine.seal("Opening", SERVER, Opening((), memoryview(b"\x01" * machine.scheme.share_bytes)))]

    attack = launch(ThresholdCkks(5, 20, threshold=3, adversary=adversary), {3: {"Opening": no_elements}})
    attack.is_right(1, 2, 3, 4, 5)
    assert set(attack.server.dropped) == {3}
