"""Late masked inputs, and masked inputs that are garbage."""

import os

import msgspec
import numpy as np
import pytest

from secagg import Bonawitz, LateMessage, LightSecAgg, ProtocolViolation, RoundFailed, Simulation, StateError, simulate
from secagg.conformance import attack as conformance
from secagg.conformance.weak_servers import POSSIBLE_SUM
from secagg.conformance.weakened import Weakness, weakened, without
from secagg_protocols.bonawitz import steps
from secagg_protocols.bonawitz.client import BonawitzClient
from secagg_protocols.bonawitz.messages import MaskedInput, ShareKeys
from secagg_protocols.core.wire import decode
from secagg_protocols.lightsecagg import messages as light
from secagg_protocols.packing import masks

EVERYONE, IN_TIME = (1, 2, 3, 4, 5), (1, 2, 3, 4)


def hold_back(attack, envelopes):
    """Keep participant 5's masked input on the way."""
    (attack.held,) = envelopes
    return []


def bring(attack, envelopes):
    """Deliver it now."""
    attack.to_server(attack.held)
    return envelopes


def test_a_masked_input_after_the_step_was_closed_is_refused(launch, adversary):
    attack = launch(Bonawitz(5, 20, adversary=adversary), {5: {"MaskedInput": hold_back}, 0: {"UnmaskRequest": bring}})
    (refusal,) = attack.by(0)
    assert isinstance(refusal, LateMessage)
    np.testing.assert_array_equal(attack.server.output.total, attack.total_of(*IN_TIME))


def test_a_masked_input_after_unmasking_is_refused(launch, adversary):
    attack = launch(Bonawitz(5, 20, adversary=adversary), {5: {"MaskedInput": hold_back}})
    before = attack.server.output
    attack.to_server(attack.held)
    (refusal,) = attack.by(0)
    assert isinstance(refusal, LateMessage)
    assert attack.server.output is before
    np.testing.assert_array_equal(before.total, attack.total_of(*IN_TIME))


def keep(attack):
    """Give the server the late input to work on by itself: it holds the latecomer's mask key by now."""
    attack.sent["MaskedInput"][5] = attack.held
    attack.told["SealedShares"][5] = attack.told["SealedShares"][1]
    return attack.unmask(5, None, attack.pairwise(5))


def test_a_server_that_keeps_a_late_masked_input_still_faces_the_self_mask(launch, adversary):
    attack = launch(Bonawitz(5, 20, adversary=adversary), {5: {"MaskedInput": hold_back}})
    assert not np.array_equal(keep(attack), attack.vectors[5])
    assert attack.expose(5) is None
    own = steps.self_mask_key(attack.scheme, attack.server._session, 5, attack.seeds[5])
    lanes, words = attack.scheme.domain.lanes, attack.masked(5)
    masks.add_masks(words, 0, [], [own, *[k for p, k in attack.pairwise(5).items() if p < 5]])
    np.testing.assert_array_equal(lanes.unpack(words), attack.vectors[5])  # nothing else stood in the way


class Bare(BonawitzClient):
    def _contribute(self, vector):
        lanes, memory = self.scheme.domain.lanes, self._memory
        self_key = steps.self_mask_key(self.scheme, memory.session, self.me, memory.own.seeds[0])
        (envelope,) = super()._contribute(vector)
        words = np.zeros(lanes.words, dtype=np.uint64)
        lanes.add_bytes(words, decode(MaskedInput, envelope.payload, self.scheme.payload_limit).words)
        masks.add_masks(words, 0, [], [self_key])
        return [self.seal(envelope.kind, 0, MaskedInput(0, lanes.to_bytes(words)))]


SELF_MASK = Weakness("self mask", "a vector is under pairwise masks only", client=Bare)


def test_without_the_self_mask_a_late_masked_input_would_be_bare(launch, adversary):
    scheme = Bonawitz(5, 20, adversary=adversary)
    attack = launch(scheme, {5: {"MaskedInput": hold_back}}, schemes={5: without(scheme, SELF_MASK)})
    np.testing.assert_array_equal(keep(attack), attack.vectors[5])


def test_a_second_masked_input_is_refused(launch, adversary):
    attack = launch(Bonawitz(5, 20, adversary=adversary), {3: {"MaskedInput": lambda attack, sent: sent + sent}})
    (refusal,) = attack.by(0)
    assert "already answered" in str(refusal)
    np.testing.assert_array_equal(attack.server.output.total, attack.total_of(*EVERYONE))


# --- garbage


def garbage(machine, envelopes):
    """Send random words of the right size."""
    if not envelopes or envelopes[0].kind != "MaskedInput":
        return envelopes
    size = len(msgspec.msgpack.decode(envelopes[0].payload, type=MaskedInput).words)
    return [machine.seal("MaskedInput", 0, MaskedInput(0, memoryview(os.urandom(size))))]


def ones(scheme):
    """Make vectors of ones."""
    return [np.ones(scheme.length, dtype=int)] * scheme.participants


def test_a_garbage_input_that_makes_an_impossible_sum_ends_the_round(adversary):
    # Five vectors of 16 bits in lanes of 19: three values of eight are no sum, and here are 200.
    scheme = Bonawitz(5, 200, adversary=adversary, threshold=3)
    attack = Simulation(scheme, ones(scheme), misbehave={3: garbage})
    with pytest.raises(RoundFailed, match="no sum of valid vectors") as failed:
        attack.run()
    assert failed.value.culprits == frozenset()
    assert attack.server.output is None


def test_garbage_in_the_bits_that_no_lane_uses_ends_the_round(adversary):
    # Two lanes of 19 bits in words of 40: the top two bits of every word must come out empty.
    scheme = Bonawitz(8, 16, adversary=adversary)
    assert (scheme.domain.lanes.per_word * scheme.domain.lanes.bits, scheme.domain.lanes.word_bytes) == (38, 5)

    def padding(machine, envelopes):
        if not envelopes or envelopes[0].kind != "MaskedInput":
            return envelopes
        words = bytearray(msgspec.msgpack.decode(envelopes[0].payload, type=MaskedInput).words)
        words[4] ^= 0x80
        return [machine.seal("MaskedInput", 0, MaskedInput(0, memoryview(bytes(words))))]

    with pytest.raises(RoundFailed, match="no sum of valid vectors"):
        simulate(scheme, ones(scheme), misbehave={3: padding})


def test_garbage_that_looks_like_a_sum_cannot_be_seen(adversary):
    # Eight vectors of 29 bits fill 32 bits but for seven values. Inputs are hidden: nobody can look at them.
    scheme = Bonawitz(8, 4, value_bits=29, adversary=adversary)
    run = simulate(scheme, ones(scheme), misbehave={3: garbage})
    assert run.survivors == tuple(range(1, 9))
    assert not np.array_equal(run.total, np.full(4, 8))


def test_without_the_check_garbage_would_come_out_as_a_sum(adversary):
    scheme = weakened(Bonawitz, POSSIBLE_SUM)(5, 200, adversary=adversary, threshold=3)
    run = simulate(scheme, ones(scheme), misbehave={3: garbage})
    assert run.total.max() > 5 * 0xFFFF


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_a_masked_input_of_the_wrong_length_drops_only_its_sender(adversary, count):
    def stretch(machine, envelopes):
        if not envelopes or envelopes[0].kind != "MaskedInput":
            return envelopes
        return [machine.seal("MaskedInput", 0, MaskedInput(0, memoryview(bytes(count))))]

    scheme = Bonawitz(5, 20, adversary=adversary, threshold=3)
    run = simulate(scheme, ones(scheme), misbehave={3: stretch})
    assert set(run.dropped) == {3}
    np.testing.assert_array_equal(run.total, 4)


def test_garbage_in_place_of_a_block_that_is_there_drops_nobody():
    """Where nothing is signed, anyone on the way may repeat a block: what came first stands."""

    def repeat(attack, envelopes):
        first, *rest = envelopes
        assert rest
        garbage = attack.clients[5].seal("MaskedInput", 0, light.MaskedInput(0, memoryview(b"\xff" * (1 << 18))))
        return [first, garbage, *rest]

    attack = conformance.Attack(LightSecAgg(5, 800_000), {5: {"MaskedInput": repeat}}).run()
    (refusal,) = attack.by(0)
    assert isinstance(refusal, StateError)
    attack.check_total_of(*EVERYONE)


def test_a_dealer_with_too_few_hashes_of_its_shares_is_named(launch):
    def cut(attack, envelopes):
        (genuine,) = envelopes
        told = decode(ShareKeys, genuine.payload, attack.scheme.payload_limit)
        return [attack.clients[5].seal("ShareKeys", 0, ShareKeys(told.share_digests[32:], told.sealed))]

    attack = launch(Bonawitz(5, 20, adversary="active"), {5: {"ShareKeys": cut}})
    (refusal,) = [error for error in attack.by(0) if isinstance(error, ProtocolViolation)]
    assert refusal.culprits == {5}
    attack.check_total_of(*IN_TIME)
