"""Impersonation: no signature, a bad one, somebody else's name, and what signatures are for."""

import msgspec
import numpy as np
import pytest

from secagg import (
    AuthenticationError,
    Bonawitz,
    Identity,
    LateMessage,
    ParameterError,
    Roster,
    StateError,
    WireError,
)
from secagg_protocols import PublicIdentity
from secagg_protocols.primitives.signatures import Ed25519

EVERYONE = (1, 2, 3, 4, 5)
STEPS = ["AdvertiseKeys", "ShareKeys", "MaskedInput", "ConsistencyCheck", "Unmasking"]


@pytest.fixture
def scheme():
    """Return five participants against an active server, t = 3."""
    return Bonawitz(5, 20, adversary="active")


def unsigned(attack, envelopes):
    """Leave the signature out."""
    return [msgspec.structs.replace(envelope, signature=b"") for envelope in envelopes]


def spoilt(attack, envelopes):
    """Flip one bit of the signature."""
    return [
        msgspec.structs.replace(envelope, signature=bytes([envelope.signature[0] ^ 1]) + envelope.signature[1:])
        for envelope in envelopes
    ]


def of_another_key(attack, envelopes):
    """Sign with a key that is not in the roster."""
    machine = attack.clients[3]
    own, machine._identity = machine._identity, Identity.generate("stranger")
    forged = [machine.seal(envelope.kind, 0, content(envelope)) for envelope in envelopes]
    machine._identity = own
    return forged


def changed(attack, envelopes):
    """Change the content after it was signed."""
    return [
        msgspec.structs.replace(envelope, payload=bytes(envelope.payload[:-1]) + bytes([envelope.payload[-1] ^ 1]))
        for envelope in envelopes
    ]


def content(envelope):
    """Return the message in an envelope."""
    return msgspec.msgpack.decode(envelope.payload)


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize("forge", [unsigned, spoilt, of_another_key, changed])
def test_a_message_without_a_good_signature_counts_as_none(launch, scheme, kind, forge):
    attack = launch(scheme, {3: {kind: forge}})
    (refusal,) = attack.by(0)
    assert isinstance(refusal, AuthenticationError)
    assert refusal.culprits == frozenset()  # it proves nothing against its supposed sender
    assert set(attack.server.dropped) == {3}
    sent_in_time = kind in ("ConsistencyCheck", "Unmasking")
    np.testing.assert_array_equal(
        attack.server.output.total, attack.total_of(*(EVERYONE if sent_in_time else (1, 2, 4, 5)))
    )


def as_participant_4(attack, envelopes):
    """Send one's own message, and the same in participant 4's name before 4 does."""
    return [*envelopes, *(msgspec.structs.replace(envelope, sender=4) for envelope in envelopes)]


@pytest.mark.parametrize("kind", STEPS)
def test_a_message_in_another_participants_name_is_refused_and_does_not_stand_in_its_way(launch, scheme, kind):
    attack = launch(scheme, {3: {kind: as_participant_4}})
    (refusal,) = attack.by(0)
    assert isinstance(refusal, AuthenticationError)
    assert not attack.server.dropped
    np.testing.assert_array_equal(attack.server.output.total, attack.total_of(*EVERYONE))


@pytest.mark.parametrize("kind", ["AdvertiseKeys", "ShareKeys", "MaskedInput", "Unmasking"])
def test_without_signatures_another_participants_name_can_be_taken(launch, kind):
    # The semi-honest variant relies on the transport to know who speaks; signatures are the defence.
    attack = launch(Bonawitz(5, 20), {3: {kind: as_participant_4}})
    assert isinstance(attack.by(0)[-1], (StateError, LateMessage))  # participant 4's own message


@pytest.mark.parametrize("kind", ["AdvertiseKeys", "ShareKeys", "MaskedInput", "Unmasking"])
def test_a_signature_where_none_belongs_is_refused(launch, kind):
    def sign(attack, envelopes):
        return [msgspec.structs.replace(envelope, signature=b"\x01" * 64) for envelope in envelopes]

    attack = launch(Bonawitz(5, 20), {3: {kind: sign}})
    (refusal,) = attack.by(0)
    assert isinstance(refusal, WireError)
    assert 3 in attack.server.dropped


@pytest.mark.parametrize("sender", [0, 6, 65535])
def test_a_sender_that_is_no_participant_is_refused(launch, scheme, sender):
    def rename(attack, envelopes):
        return [msgspec.structs.replace(envelope, sender=sender) for envelope in envelopes]

    attack = launch(scheme, {3: {"MaskedInput": rename}})
    (refusal,) = attack.by(0)
    assert isinstance(refusal, WireError)
    np.testing.assert_array_equal(attack.server.output.total, attack.total_of(1, 2, 4, 5))


KINDS = ["KeyList", "SealedShares", "SurvivorList", "UnmaskRequest"]


def other_sender(attack, envelope):
    """Let participant 2 speak as if it were the server."""
    return msgspec.structs.replace(envelope, sender=2)


def not_the_server(attack, envelope):
    """Sign the server's message with participant 2's key."""
    server = attack.server
    own, server._identity = server._identity, attack.identities[2]
    forged = server.seal(envelope.kind, envelope.recipient, content(envelope))
    server._identity = own
    return forged


def for_another(attack, envelope):
    """Deliver participant 2's copy."""
    return attack.server.seal(envelope.kind, 2, content(envelope))


def readdressed(attack, envelope):
    """Deliver participant 2's copy with the name on it changed."""
    return msgspec.structs.replace(for_another(attack, envelope), recipient=envelope.recipient)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("forge", "refused"),
    [
        (other_sender, WireError),
        (not_the_server, AuthenticationError),
        (for_another, WireError),
        (readdressed, AuthenticationError),
    ],
)
def test_a_participant_listens_to_the_server_alone(make_attack, scheme, kind, forge, refused):
    def script(attack, envelopes):
        mine = envelopes[0]
        before = attack.clients[1].snapshot()
        with pytest.raises(refused):
            attack.clients[1].receive(forge(attack, mine))
        assert attack.clients[1].snapshot() == before
        return envelopes

    attack = make_attack(scheme, {0: {kind: script}}).run()
    np.testing.assert_array_equal(attack.server.output.total, attack.total_of(*EVERYONE))


class Nobody:
    """Has no key: it signs for the entry whose key is the neutral point, as anybody can (S = 0, R = the same point)."""

    name, public_key = "nobody", (1).to_bytes(32, "little")

    def sign(self, message):
        return self.public_key + bytes(32)


def listing_nobody(scheme):
    """Return identities and a roster in which participant 4's key is one of small order."""
    identities = {party: Identity.generate(f"party {party}") for party in range(6)}
    entries = [own.public(party) for party, own in identities.items()]
    entries[4] = PublicIdentity(4, "nobody", Nobody.public_key)
    return {**identities, 4: Nobody()}, Roster.of(scheme.ciphersuite, entries)


def test_an_entry_that_anybody_can_sign_for_is_refused_by_name(scheme):
    with pytest.raises(ParameterError, match=r"roster entry 4 \(nobody\).*small order"):
        listing_nobody(scheme)


def test_without_the_check_a_stranger_without_a_key_would_speak_for_the_participant(make_attack, scheme, monkeypatch):
    monkeypatch.setattr(Ed25519, "check_public", lambda self, public_key: None)
    attack = make_attack(scheme, parties=listing_nobody(scheme)).run()
    assert not attack.refusals
    np.testing.assert_array_equal(attack.server.output.total, attack.total_of(*EVERYONE))
