"""Impersonation: no signature, a bad one, or somebody else's name."""

import msgspec
import pytest

from secagg_protocols import SERVER, AuthenticationError, Identity, WireError

from ..attack import EVERY
from ..capability import ANSWERS, RECOVERS_DROPOUTS, SIGNS, needs

EVERYONE = (1, 2, 3, 4, 5)


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
    own = machine._identity
    machine._identity = Identity.generate("stranger", attack.scheme.ciphersuite)
    forged = [machine.seal(envelope.kind, SERVER, content(envelope)) for envelope in envelopes]
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


@needs(SIGNS, RECOVERS_DROPOUTS)
@pytest.mark.parametrize("forge", [unsigned, spoilt, of_another_key, changed])
def test_a_message_without_a_good_signature_counts_as_none(launch, scheme, step, forge):
    attack = launch(scheme, {3: {step.value: forge}})
    assert attack.by(SERVER)
    for refusal in attack.by(SERVER):
        assert isinstance(refusal, AuthenticationError)
        assert refusal.culprits == frozenset()  # it proves nothing against its supposed sender
    assert set(attack.server.dropped) == {3}
    uploaded = scheme.steps.index(step) > scheme.steps.index(scheme.upload_step)
    attack.check_total_of(*(EVERYONE if uploaded else (1, 2, 4, 5)))


def as_participant_4(attack, envelopes):
    """Send one's own message, and the same in participant 4's name before 4 does."""
    return [*envelopes, *(msgspec.structs.replace(envelope, sender=4) for envelope in envelopes)]


@needs(SIGNS)
def test_a_message_in_another_participants_name_is_refused_and_does_not_stand_in_its_way(launch, scheme, step):
    attack = launch(scheme, {3: {step.value: as_participant_4}})
    (refusal,) = attack.by(SERVER)
    assert isinstance(refusal, AuthenticationError)
    assert not attack.server.dropped
    attack.check_total_of(*EVERYONE)


@needs(RECOVERS_DROPOUTS)
@pytest.mark.parametrize("sender", [0, 6, 65535])
def test_a_sender_that_is_no_participant_is_refused(launch, scheme, sender):
    def rename(attack, envelopes):
        return [msgspec.structs.replace(envelope, sender=sender) for envelope in envelopes]

    attack = launch(scheme, {3: {scheme.upload_step.value: rename}})
    assert attack.by(SERVER)
    assert all(isinstance(refusal, WireError) for refusal in attack.by(SERVER))
    attack.check_total_of(1, 2, 4, 5)


def other_sender(attack, envelope):
    """Let participant 2 speak as if it were the server."""
    return msgspec.structs.replace(envelope, sender=2)


def not_the_server(attack, envelope):
    """Sign the server's message with participant 2's key."""
    server = attack.server
    own = server._identity
    server._identity = attack.identities[2]
    forged = server.seal(envelope.kind, envelope.recipient, content(envelope))
    server._identity = own
    return forged


def for_another(attack, envelope):
    """Deliver participant 2's copy."""
    return attack.server.seal(envelope.kind, 2, content(envelope))


def readdressed(attack, envelope):
    """Deliver participant 2's copy with the name on it changed."""
    return msgspec.structs.replace(for_another(attack, envelope), recipient=envelope.recipient)


@needs(SIGNS, ANSWERS)
@pytest.mark.parametrize(
    ("forge", "error"),
    [
        (other_sender, WireError),
        (not_the_server, AuthenticationError),
        (for_another, WireError),
        (readdressed, AuthenticationError),
    ],
)
def test_a_participant_listens_to_the_server_alone(launch, scheme, forge, error):
    heard = []

    def script(attack, envelopes):
        before = attack.clients[1].snapshot()
        for mine in (envelope for envelope in envelopes if envelope.recipient == 1):
            heard.append(mine.kind)
            with pytest.raises(error):
                attack.clients[1].receive(forge(attack, mine))
        assert attack.clients[1].snapshot() == before
        return envelopes

    attack = launch(scheme, {SERVER: {EVERY: script}})
    assert heard
    attack.check_total_of(*EVERYONE)
