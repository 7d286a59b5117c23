"""Replay: messages of other rounds, jobs and sessions, and keys of participants that are not here (ghosts)."""

from dataclasses import replace

import numpy as np
import pytest

from secagg import Bonawitz, Policy, ProtocolViolation, RoundContext, Step, WireError
from secagg.conformance.weakened import Weakness, weakened, without
from secagg.conformance.weaknesses import COHORT_FLOOR, SIGNED_KEYS
from secagg_protocols.bonawitz.client import BonawitzClient
from secagg_protocols.bonawitz.messages import KeyEntry, KeyList, SealedShares, UnmaskRequest
from secagg_protocols.bonawitz.server import BonawitzServer
from secagg_protocols.dealing import steps

EVERYONE = (1, 2, 3, 4, 5)
NOW = RoundContext("job", 2, b"\x02" * 32)
OTHERS = [RoundContext("job", 1, NOW.context_digest), RoundContext("another job", 2, NOW.context_digest)]


@pytest.fixture
def scheme(adversary):
    """Return five participants, t = 3, in both variants."""
    return Bonawitz(5, 20, adversary=adversary, threshold=3)


@pytest.mark.parametrize("then", OTHERS, ids=["another round", "another job"])
def test_the_server_refuses_keys_of_another_round_or_job(make_attack, scheme, parties, then):
    known = parties(scheme)
    old = make_attack(scheme, parties=known, context=then).run()
    fresh = make_attack(scheme, parties=known, context=NOW)
    fresh.server.start()
    for who in EVERYONE:
        fresh.to_server(old.sent["AdvertiseKeys"][who])
    assert [type(error) for error in fresh.by(0)] == [WireError] * 5
    assert fresh.server.waiting_for == set(EVERYONE)


def old_keys_of(*ghosts, old):
    """Script a key list that shows the ghosts' keys of an old round."""

    def script(attack, envelopes):
        entries = {entry.participant: entry for entry in attack.clients[1].open(envelopes[0]).entries}
        for ghost in ghosts:
            envelope = old.sent["AdvertiseKeys"][ghost]
            entries[ghost] = KeyEntry(ghost, bytes(envelope.payload), envelope.signature)
        message = KeyList(tuple(entries[who] for who in sorted(entries)))
        return attack.tell("KeyList", {envelope.recipient: message for envelope in envelopes})

    return {"KeyList": script}


@pytest.mark.parametrize("then", OTHERS, ids=["another round", "another job"])
def test_participants_refuse_keys_that_were_signed_for_another_round_or_job(launch, parties, then):
    scheme = Bonawitz(5, 20, adversary="active")
    known = parties(scheme)
    old = launch(scheme, parties=known, context=then)
    absent = {4: Step.ADVERTISE_KEYS}
    attack = launch(scheme, {0: old_keys_of(4, old=old)}, parties=known, context=NOW, absent=absent)
    for who in (1, 2, 3, 5):
        assert attack.violation(who).culprits == {0}
        assert "keys of participant 4" in str(attack.violation(who))


@pytest.mark.parametrize("then", OTHERS, ids=["another round", "another job"])
def test_without_the_signature_check_old_keys_would_be_taken(launch, parties, then):
    scheme = weakened(Bonawitz, SIGNED_KEYS)(5, 20, adversary="active")
    known = parties(scheme)
    old = launch(scheme, parties=known, context=then)
    absent = {4: Step.ADVERTISE_KEYS}
    attack = launch(scheme, {0: old_keys_of(4, old=old)}, parties=known, context=NOW, absent=absent)
    assert all(4 in attack.clients[who]._memory.peers for who in (1, 2, 3, 5))


# --- ghosts: keys replayed from an earlier attempt at the very same round verify, and still do not count


def with_ghosts(make_attack, scheme, known, policy):
    """Make a round in which 4 and 5 are absent, and replay to its server what they advertised in an attempt before."""
    before = make_attack(scheme, parties=known, context=NOW).run(until="MaskedInput")
    attack = make_attack(
        scheme, parties=known, context=NOW, policy=policy, absent=dict.fromkeys((4, 5), Step.ADVERTISE_KEYS)
    )

    def add_ghosts(attack, envelopes):
        for ghost in (4, 5):
            attack.to_server(before.sent["AdvertiseKeys"][ghost])
        return envelopes

    attack.hostile = {1: {"AdvertiseKeys": add_ghosts}}  # on the wire at the same time as participant 1's
    return before, attack


def test_ghosts_do_not_count_towards_the_cohort(make_attack, scheme, parties):
    _, attack = with_ghosts(make_attack, scheme, parties(scheme), Policy(minimum_cohort=4))
    attack.run()
    for who in (1, 2, 3):
        assert len(attack.clients[who]._memory.peers) == 4  # the replayed keys did pass the key list
        assert "dealers with valid shares counts 3" in str(attack.violation(who))
    assert not attack.sent["MaskedInput"]


def test_ghosts_do_not_count_with_the_shares_they_sealed_in_an_earlier_session(make_attack, scheme, parties):
    before, attack = with_ghosts(make_attack, scheme, parties(scheme), Policy(minimum_cohort=4))

    def old_shares(attack, envelopes):
        messages, size = {}, scheme.sealed_bytes
        for envelope in envelopes:
            who = envelope.recipient
            sealed = bytes(attack.clients[who].open(envelope).sealed)
            for ghost in (4, 5):
                dealt = before.server.open(before.sent["ShareKeys"][ghost]).sealed
                sealed += bytes(dealt[(who - 1) * size : who * size])
            messages[who] = SealedShares(EVERYONE, memoryview(sealed))
        return attack.tell("SealedShares", messages)

    attack.hostile[0] = {"SealedShares": old_shares}
    attack.run()
    for who in (1, 2, 3):
        assert "dealers with valid shares counts 3" in str(attack.violation(who))
    assert not attack.sent["MaskedInput"]


def test_without_the_cohort_check_ghosts_would_lend_the_missing_company(make_attack, scheme, parties):
    _, attack = with_ghosts(make_attack, without(scheme, COHORT_FLOOR), parties(scheme), Policy(minimum_cohort=4))
    attack.run()
    np.testing.assert_array_equal(attack.server.output.total, attack.total_of(1, 2, 3))


# --- sessions: the same parties and context, fresh keys


@pytest.mark.parametrize("kind", ["KeyList", "SealedShares", "UnmaskRequest"])
def test_a_participant_refuses_the_servers_messages_of_another_session(make_attack, scheme, parties, kind):
    known = parties(scheme)
    old = make_attack(scheme, parties=known, context=NOW).run()
    attack = make_attack(scheme, parties=known, context=NOW).run(until=kind)
    before = {who: machine.snapshot() for who, machine in attack.clients.items()}
    for who in EVERYONE:
        attack.deliver(old.told[kind][who])
    if kind == "KeyList":  # same round, so the same address: refused for what it holds
        assert all("own keys" in str(attack.violation(who)) for who in EVERYONE)
    else:
        assert [type(attack.by(who)[0]) for who in EVERYONE] == [WireError] * 5
        assert before == {who: machine.snapshot() for who, machine in attack.clients.items()}


@pytest.mark.parametrize("kind", ["ShareKeys", "MaskedInput", "Unmasking"])
def test_the_server_refuses_a_participants_messages_of_another_session(make_attack, scheme, parties, kind):
    known = parties(scheme)
    old = make_attack(scheme, parties=known, context=NOW).run()

    def replay(attack, envelopes):
        attack.to_server(old.sent[kind][3])
        return envelopes

    attack = make_attack(scheme, {1: {kind: replay}}, parties=known, context=NOW).run()
    (refusal,) = attack.by(0)
    assert isinstance(refusal, WireError)
    np.testing.assert_array_equal(attack.server.output.total, attack.total_of(*EVERYONE))


def with_old_signatures(old):
    """Script an unmasking request that shows an old session's signatures over the same survivors."""
    signed = {who: envelope.signature for who, envelope in sorted(old.sent["ConsistencyCheck"].items())}
    request = UnmaskRequest(EVERYONE, (), tuple(signed), tuple(signed.values()))
    return {
        "SurvivorList": lambda attack, envelopes: envelopes[:1],  # only participant 1 signs in this session
        "UnmaskRequest": lambda attack, _: attack.tell("UnmaskRequest", {1: request}),
    }


def test_consistency_signatures_of_another_session_are_refused(launch, parties):
    scheme = Bonawitz(5, 20, adversary="active")
    known = parties(scheme)
    old = launch(scheme, parties=known, context=NOW)
    attack = launch(scheme, {0: with_old_signatures(old)}, parties=known, context=NOW)
    assert isinstance(attack.violation(1), ProtocolViolation)
    assert "does not verify" in str(attack.violation(1))
    assert not attack.shares


class LooseClient(BonawitzClient):
    def _binding(self, kind):
        return bytes(32) if kind == "ConsistencyCheck" else super()._binding(kind)

    @property
    def _dealt(self):
        return replace(super()._dealt, session=b"")

    def _settle(self, survivors_digest):
        """Note nothing: what is signed and what is opened have two names now."""


class LooseServer(BonawitzServer):
    def _binding(self, kind):
        return bytes(32) if kind == "ConsistencyCheck" else super()._binding(kind)

    def _take_signature(self, sender, message, envelope):
        steps.check_signed(b"", sender, message, self._survivors)
        self._signatures[sender] = envelope.signature
        return True


SESSION_SIGNED = Weakness(
    "session of survivors", "what is signed does not say in which session", client=LooseClient, server=LooseServer
)


def test_without_the_session_in_signatures_old_ones_would_open_the_round(launch, parties):
    scheme = weakened(Bonawitz, SESSION_SIGNED)(5, 20, adversary="active")
    known = parties(scheme)
    old = launch(scheme, parties=known, context=NOW)
    attack = launch(scheme, {0: with_old_signatures(old)}, parties=known, context=NOW)
    assert {holder for shares in attack.shares.values() for holder in shares} == {1}
