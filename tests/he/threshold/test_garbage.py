"""Dealers and ciphertexts of garbage: the sum is right, or there is none."""

import msgspec
import numpy as np
import pytest

from secagg import MemoryLedger, Policy, ProtocolViolation, RepeatedContext, RoundContext
from secagg.conformance.weak_servers import FITTING_SHARES
from secagg.conformance.weakened import Weakness, weakened
from secagg_he import ThresholdCkks
from secagg_he.threshold import steps
from secagg_he.threshold.client import ThresholdCkksClient
from secagg_he.threshold.messages import Encrypt, Opening, SealedShares
from secagg_protocols import SERVER
from secagg_protocols.dealing.messages import ShareKeys

SESSION = bytes(range(32))


# --- dealers


def seals_garbage(*holders):
    """Make a dealer seal nothing that these holders could open."""

    def script(attack, machine, envelopes):
        dealt, size = msgspec.msgpack.decode(envelopes[0].payload, type=ShareKeys), machine.scheme.sealed_bytes
        sealed = bytearray(dealt.sealed)
        others = [who for who in attack.clients if who != machine.me]
        for holder in holders:
            position = others.index(holder)
            sealed[position * size : (position + 1) * size] = np.random.default_rng(holder).bytes(size)
        return [machine.seal("ShareKeys", SERVER, ShareKeys(dealt.share_digests, memoryview(bytes(sealed))))]

    return {"ShareKeys": script}


def deals(change):
    """Make a dealer deal other shares than those of the key that it encrypts under."""

    def script(attack, machine, envelopes):
        honest = machine._deal
        machine._deal = lambda holders: (b"", change(machine, honest(holders)[1]))
        return envelopes

    return {"AdvertiseKeys": script}


def test_a_dealer_of_garbage_to_one_holder_costs_that_holder_its_answer_and_nothing_else(launch, adversary):
    attack = launch(ThresholdCkks(5, 20, adversary=adversary), {2: seals_garbage(4)})
    attack.is_right(1, 2, 3, 4, 5)
    assert set(attack.server.dropped) == {4}
    assert "holds no valid share of participant 2" in attack.server.dropped[4].reason
    (envelope,) = attack.sent["Opening", 4]
    assert attack.server.open(envelope) == Opening((2,), memoryview(b""))  # no sum over part of the survivors
    assert not attack.server.corrections


class PartOpener(ThresholdCkksClient):
    def _open(self, message):
        held = [self._memory.shares[who] for who in message.survivors if who in self._memory.shares]
        return Opening((), steps.add_shares(self.scheme, held))


WHOLE_SUM = Weakness("whole sum", "a sum over part of the survivors is opened", client=PartOpener)


def test_a_sum_over_part_of_the_survivors_would_give_a_participant_away(launch):
    """Why a holder that misses one share opens nothing: two groups with different gaps, and the difference is a key."""
    scheme = weakened(ThresholdCkks, WHOLE_SUM)(7, 20, threshold=3)

    def withhold(attack, server, envelopes):
        server._note = lambda verdict: None  # it wants participant 1 in the sum
        changed = []
        for envelope in envelopes:
            message = attack.clients[envelope.recipient].open(envelope)
            sealed = bytearray(message.sealed)
            if envelope.recipient in (5, 6, 7):
                sealed[: scheme.sealed_bytes] = bytes(scheme.sealed_bytes)  # participant 1's share
            fewer = SealedShares(message.dealers, message.challenge, memoryview(bytes(sealed)))
            changed.append(server.seal("SealedShares", envelope.recipient, fewer))
        return changed

    attack = launch(scheme, {SERVER: {"SealedShares": withhold}})
    key = attack.opened(2, 3, 4) - attack.opened(5, 6, 7)
    np.testing.assert_array_equal(attack.read(1, key), attack.vectors[1])


def test_a_dealer_of_garbage_to_all_is_left_out_of_the_sum(launch, adversary):
    attack = launch(ThresholdCkks(5, 20, adversary=adversary), {2: seals_garbage(1, 3, 4, 5)})
    attack.is_right(1, 3, 4, 5)
    assert "dealt shares that do not fit others" in attack.server.dropped[2].reason
    assert set(attack.server.dropped) == {2}


def test_without_the_check_of_dealers_it_would_end_the_round(launch, adversary):
    attack = launch(weakened(ThresholdCkks, FITTING_SHARES)(5, 20, adversary=adversary), {2: seals_garbage(1, 3, 4, 5)})
    assert (attack.failure.step, attack.failure.have) == ("Opening", 1)
    assert attack.server.output is None


def test_a_wrong_share_dealt_to_one_holder_is_corrected(launch, adversary):
    def wrong_for_four(machine, dealt):
        return {**dealt, 4: dealt[5]}

    scheme = ThresholdCkks(7, 20, threshold=4, adversary=adversary)
    attack = launch(scheme, {2: deals(wrong_for_four)})
    attack.is_right(1, 2, 3, 4, 5, 6, 7)
    (one,) = attack.server.corrections
    assert one.holder == 4
    assert {SERVER, 2, 4} <= one.culprits


def test_shares_of_another_key_than_the_ciphertext_s_end_the_round_without_a_sum(launch, deal, adversary):
    def another_key(machine, dealt):
        shares = deal(machine.scheme, steps.one_time_key(machine.scheme, SESSION, 2, b"\x07" * 32), 3)
        return {holder: shares[holder - 1] + bytes(9) for holder in dealt}  # blinded by nothing

    attack = launch(ThresholdCkks(5, 20, adversary=adversary), {2: deals(another_key)})
    assert "decrypt to noise" in str(attack.failure)
    assert attack.server.output is None


# --- garbage ciphertexts


def encrypts(change, block=0):
    """Make a participant change the residues of one block of its ciphertext."""

    def script(attack, machine, envelopes):
        packing = machine.scheme.ciphertexts
        message = msgspec.msgpack.decode(envelopes[block].payload, type=Encrypt)
        words = np.zeros(len(message.words) // packing.granule_bytes * packing.granule, dtype=np.uint64)
        packing.add_bytes(words, message.words)
        changed = packing.to_bytes(change(words.astype(np.int64), machine.scheme).astype(np.uint64))
        forged = machine.seal("Encrypt", SERVER, Encrypt(block, changed))
        return [forged if number == block else envelope for number, envelope in enumerate(envelopes)]

    return {"Encrypt": script}


@pytest.mark.parametrize("excess", [0, 1])
def test_a_value_that_is_no_residue_drops_its_sender(launch, adversary, excess):
    def too_large(residues, scheme):
        residues[77] = scheme.plaintext.modulus + excess
        return residues

    attack = launch(ThresholdCkks(5, 20, adversary=adversary), {2: encrypts(too_large)})
    attack.is_right(1, 3, 4, 5)
    assert "no residue modulo" in attack.server.dropped[2].reason
    assert [type(error) for error in attack.refused(SERVER)] == [ProtocolViolation]


def uniform(residues, scheme):
    """Random residues."""
    return np.random.default_rng(1).integers(0, scheme.plaintext.modulus, residues.size)


def half_a_step(residues, scheme):
    """One coefficient off by Δ/2."""
    residues[9] = (residues[9] + (1 << scheme.shift - 1)) % scheme.plaintext.modulus
    return residues


def zeros(residues, scheme):
    """Nothing at all."""
    return np.zeros_like(residues)


@pytest.mark.parametrize("garbage", [uniform, half_a_step, zeros])
def test_a_garbage_ciphertext_gives_no_sum_rather_than_a_wrong_one(launch, adversary, garbage):
    attack = launch(ThresholdCkks(5, 20, adversary=adversary), {2: encrypts(garbage)})
    assert "decrypt to noise" in str(attack.failure)
    assert attack.server.output is None


@pytest.mark.parametrize("garbage", [uniform, half_a_step, zeros])
def test_garbage_in_a_later_block_gives_no_sum_either(launch, garbage):
    scheme = ThresholdCkks(3, 200_000, value_bits=32)
    attack = launch(scheme, {2: encrypts(garbage, block=1)})
    assert len(attack.sent["Encrypt", 2]) == 2
    assert "no sum of honest encryptions" in str(attack.failure)
    assert attack.server.output is None


@pytest.mark.parametrize("reruns", [0, 1])
def test_one_garbage_ciphertext_stops_a_job_for_good_where_no_rerun_is_allowed(launch, adversary, reruns):
    """The round fails and nobody can be named; every honest ledger then has an answer for this model."""
    scheme, ledgers = ThresholdCkks(5, 20, adversary=adversary), {who: MemoryLedger() for who in range(1, 6)}
    held = {"ledgers": ledgers, "policy": Policy(reruns=reruns)}
    attack = launch(scheme, {2: encrypts(uniform)}, context=RoundContext("job", 1, bytes(32)), **held)
    assert attack.server.output is None
    again = launch(scheme, {2: encrypts(uniform)}, context=RoundContext("job", 2, bytes(32)), **held)
    following = launch(scheme, context=RoundContext("job", 3, bytes(32)), **held)
    if reruns:
        assert "decrypt to noise" in str(again.failure)  # it may do so again, and uses up the budget
    for attempt in (again, following)[reruns:]:
        assert not attempt.sent["Encrypt", 1]
        assert isinstance(attempt.refused(1)[0], RepeatedContext)


def test_after_one_garbage_ciphertext_a_rerun_gives_the_sum(launch, adversary):
    scheme, ledgers = ThresholdCkks(5, 20, adversary=adversary), {who: MemoryLedger() for who in range(1, 6)}
    held = {"ledgers": ledgers, "policy": Policy(reruns=1)}
    launch(scheme, {2: encrypts(uniform)}, context=RoundContext("job", 1, bytes(32)), **held)
    launch(scheme, context=RoundContext("job", 2, bytes(32)), **held).is_right(1, 2, 3, 4, 5)


def test_a_lie_about_ones_own_vector_is_not_seen(make_attack):
    """Whole steps of Δ are another vector, properly encrypted: no scheme here stops that."""

    def one_more(residues, scheme):
        residues[0] = (residues[0] + (1 << scheme.shift)) % scheme.plaintext.modulus
        return residues

    attack = make_attack(ThresholdCkks(5, 20), {2: encrypts(one_more)})
    attack.vectors[2][0] = 5
    attack.run()
    expected = attack.total_of(1, 2, 3, 4, 5)
    expected[0] += 1
    np.testing.assert_array_equal(attack.server.output.total, expected)
