"""Framing: to have an honest party blamed for what somebody else made."""

import hashlib

import msgspec
import numpy as np
import pytest

from secagg import (
    SERVER,
    Bonawitz,
    Policy,
    ProtocolViolation,
    RoundFailed,
    SecAggPlus,
    Simulation,
    Step,
)
from secagg.conformance.weakened import Weakness, weakened
from secagg_he import ThresholdCkks
from secagg_protocols.bonawitz.client import BonawitzClient
from secagg_protocols.bonawitz.messages import KeyEntry, KeyList
from secagg_protocols.core.wire import decode, encode, signed_bytes

SPOILT = {
    "a key of low order": {"mask_key": bytes(32)},
    "a key of another length": {"channel_key": bytes(31)},
    "another model": {"context_digest": b"\x02" * 32},
    "commitments of another length": {"commitments": b""},
}


def forged_entry(change, sign=lambda attack, payload: bytes(64)):
    """Script a key list in which the server has put words into participant 3's mouth."""

    def script(attack, envelopes):
        payload = encode(msgspec.structs.replace(attack.advertised(3), **change)) if change else b"\xc1 no message"
        fake = KeyEntry(3, payload, sign(attack, payload))
        entries = attack.clients[1].open(envelopes[0]).entries
        forged = KeyList(tuple(fake if entry.participant == 3 else entry for entry in entries))
        return attack.tell("KeyList", dict.fromkeys((1, 2, 4, 5), forged))

    return {0: {"KeyList": script}}


def as_participant_3(attack, payload):
    """Sign as participant 3 does, who helps."""
    envelope = attack.sent["AdvertiseKeys"][3]
    return attack.identities[3].sign(signed_bytes(envelope, hashlib.sha256(payload).digest()))


@pytest.mark.parametrize("change", [*SPOILT.values(), None], ids=[*SPOILT, "no message"])
def test_words_put_into_a_participants_mouth_are_not_held_against_it(launch, noise, change):
    attack = launch(Bonawitz(5, 20, adversary="active", noise=noise), forged_entry(change))
    for who in (1, 2, 4, 5):
        assert attack.violation(who).culprits == {0}


@pytest.mark.parametrize("change", SPOILT.values(), ids=SPOILT)
def test_what_a_participant_signed_is_held_against_it_and_the_server(launch, noise, change):
    attack = launch(Bonawitz(5, 20, adversary="active", noise=noise), forged_entry(change, as_participant_3))
    for who in (1, 2, 4, 5):
        assert attack.violation(who).culprits == {0, 3}


class ContentFirst(BonawitzClient):
    def _check_entry(self, entry):
        advertised = decode(self.advertise_type, entry.payload, self.scheme.payload_limit)
        try:
            self._check_advertised(advertised)
        except ProtocolViolation as error:
            raise ProtocolViolation(str(error), {SERVER, entry.participant}) from None
        return super()._check_entry(entry)


CONTENT_FIRST = Weakness("whose words", "an entry is judged before it is known who said it", client=ContentFirst)


def test_read_before_its_signature_is_checked_a_forged_entry_would_frame_its_supposed_sender(launch):
    attack = launch(
        weakened(Bonawitz, CONTENT_FIRST)(5, 20, adversary="active"), forged_entry(SPOILT["a key of low order"])
    )
    for who in (1, 2, 4, 5):
        assert attack.violation(who).culprits == {0, 3}


@pytest.mark.parametrize("step", [Step.ADVERTISE_KEYS, Step.SHARE_KEYS, Step.MASKED_INPUT])
@pytest.mark.parametrize("make", [Bonawitz, ThresholdCkks])
def test_an_honest_server_is_not_blamed_when_too_many_vanish_for_a_participants_floor(make, adversary, step):
    scheme = make(5, 20, adversary=adversary, threshold=3)
    step = scheme.upload_step if step is Step.MASKED_INPUT else step
    simulation = refusals_of(scheme, Policy(minimum_cohort=4), {4: step, 5: step})
    assert {refusal.party for refusal in simulation} == {1, 2, 3}
    assert not any(refusal.error.culprits for refusal in simulation)


def test_nor_is_it_when_a_neighbourhood_has_shrunk():
    scheme = SecAggPlus(6, 20, neighbours=5, threshold=4, corrupt_rate=0.0, dropout_rate=0.0)
    for refusal in refusals_of(scheme, Policy(minimum_cohort=6), {6: Step.ADVERTISE_KEYS}):
        assert not refusal.error.culprits


def refusals_of(scheme, policy, drop):
    """Run a round with an honest server and return what participants refused."""
    simulation = Simulation(scheme, [np.zeros(20, dtype=np.int64)] * scheme.participants, policy=policy, drop=drop)
    with pytest.raises(RoundFailed):
        simulation.run()
    return [refusal for refusal in simulation.refusals if refusal.party]


def test_a_server_that_goes_on_below_the_threshold_is_blamed(launch, adversary):
    def too_few(attack, envelopes):
        entries = attack.clients[1].open(envelopes[0]).entries
        return attack.tell("KeyList", {1: KeyList(entries[:2])})

    attack = launch(Bonawitz(5, 20, adversary=adversary, threshold=3), {0: {"KeyList": too_few}})
    assert attack.violation(1).culprits == {0}
    assert "an honest server goes on with 3 or more" in str(attack.violation(1))
