"""Impersonation where nobody signs, and through an entry of the roster that anybody can sign for."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from secagg import Bonawitz, Identity, LateMessage, ParameterError, Roster, StateError, WireError
from secagg_protocols import PublicIdentity
from secagg_protocols.primitives.signatures import Ed25519

EVERYONE = (1, 2, 3, 4, 5)


@pytest.fixture
def scheme():
    """Return five participants against an active server, t = 3."""
    return Bonawitz(5, 20, adversary="active")


def as_participant_4(attack, envelopes):
    """Send one's own message, and the same in participant 4's name before 4 does."""
    return [*envelopes, *(msgspec.structs.replace(envelope, sender=4) for envelope in envelopes)]


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


class Nobody:
    """Has no key: it signs for the entry whose key is the neutral point, as anybody can (S = 0, R = the same point)."""

    name, public_key = "nobody", (1).to_bytes(32, "little")

    def sign(self, message):
        return self.public_key + bytes(32)


def listing_nobody(suite):
    """Return identities and a roster in which participant 4's key is one of small order."""
    identities = {party: Identity.generate(f"party {party}") for party in range(6)}
    entries = [own.public(party) for party, own in identities.items()]
    entries[4] = PublicIdentity(4, "nobody", Nobody.public_key)
    return {**identities, 4: Nobody()}, Roster(suite, tuple(entries))


def test_an_entry_that_anybody_can_sign_for_is_refused_by_name(scheme):
    with pytest.raises(ParameterError, match=r"roster entry 4 \(nobody\).*small order"):
        listing_nobody(scheme.suite)


class AnyKey(Ed25519):
    """Ed25519 that takes any public key."""

    def check_public(self, public_key):
        """Ask nothing."""


def test_without_the_check_a_stranger_without_a_key_would_speak_for_the_participant(make_attack, scheme):
    suite = replace(scheme.suite, signatures=AnyKey())
    attack = make_attack(scheme, parties=listing_nobody(suite)).run()
    assert not attack.refusals
    np.testing.assert_array_equal(attack.server.output.total, attack.total_of(*EVERYONE))
