"""What is known to come fits wire version 1: keys and ciphertexts of ML-KEM, long signatures, ids of 32 bits."""

import dataclasses

import numpy as np
import pytest

from secagg import Bonawitz, Simulation, ThresholdCkks
from secagg_protocols import Envelope, Identity, Roster, RoundContext, RoundFailed, WireError
from secagg_protocols.bonawitz.messages import KeyEntry, KeyList, SealedShares, ShareKeys
from secagg_protocols.core.channels import PairwiseKeys
from secagg_protocols.core.wire import decode, encode
from secagg_protocols.errors import AuthenticationError
from secagg_protocols.primitives.agreement import X25519Agreement
from secagg_protocols.primitives.domain import MAX_ID, Use
from secagg_protocols.primitives.randomness import SYSTEM
from secagg_protocols.primitives.signatures import Ed25519
from secagg_protocols.primitives.suites import SUITES, X25519

KEY, CIPHERTEXT, SIGNATURE = 32 + 1184, 1088, 3309
"""Bytes of X25519 and ML-KEM-768 keys together, of an ML-KEM-768 ciphertext, of an ML-DSA-65 signature."""
CONTEXT = RoundContext("job", 1, bytes(range(32)))


class WideAgreement(X25519Agreement):
    """X25519 with keys as long as the hybrid's: what is behind the first 32 bytes is the owner's, and unused."""

    public_key_bytes = KEY
    ciphertext_bytes = CIPHERTEXT

    def load_public(self, public_key):
        return super().load_public(public_key[:32])

    def check_public(self, public_key):
        X25519Agreement().check_public(public_key[:32])

    def public_of(self, secret):
        return super().public_of(secret) * (KEY // 32)


class LongSignatures(Ed25519):
    """Ed25519 in as many bytes as ML-DSA-65."""

    signature_bytes = SIGNATURE

    def sign(self, loaded, message):
        return super().sign(loaded, message) + bytes(SIGNATURE - 64)

    def verify(self, public_key, signature, message):
        if len(signature) != SIGNATURE or any(signature[64:]):
            raise AuthenticationError("the signature has another length")
        super().verify(public_key, signature[:64], message)


@pytest.fixture
def wide(monkeypatch):
    """Register a ciphersuite of those sizes; return its name."""
    suite = dataclasses.replace(X25519, id=9, name="wide", agreement=WideAgreement(), signatures=LongSignatures())
    monkeypatch.setitem(SUITES, "wide", suite)
    return "wide"


def answered_by_ciphertexts(machine, envelopes):
    """Put what a suite with ciphertexts would put before every sealed share: for each key of the holder, one."""
    if envelopes[0].kind != "ShareKeys":
        return envelopes
    scheme = machine.scheme
    message = decode(ShareKeys, envelopes[0].payload, scheme.payload_limit)
    size = scheme.sealed_bytes - scheme.ciphertexts_bytes
    shares = [bytes(message.sealed[start : start + size]) for start in range(0, len(message.sealed), size)]
    filler = bytes([machine.me]) * scheme.ciphertexts_bytes
    rows = memoryview(b"".join(filler + share for share in shares))
    return [machine.seal("ShareKeys", 0, ShareKeys(message.share_digests, rows))]


@pytest.mark.parametrize("participants", [3, 40])
def test_ciphertexts_beside_shares_reach_their_holders(wide, participants):
    """Everything up to SealedShares: with keys, rows and signatures of the sizes to come, within the limits."""
    scheme = Bonawitz(participants, 5, ciphersuite=wide, adversary="active")
    heard = {}

    def listen(machine, envelopes):
        if not envelopes:
            return []
        if envelopes[0].kind == "SealedShares":
            heard.update({e.recipient: decode(SealedShares, e.payload, scheme.payload_limit) for e in envelopes})
            return []
        return answered_by_ciphertexts(machine, envelopes)

    simulation = Simulation(
        scheme,
        [np.arange(5)] * participants,
        context=CONTEXT,
        misbehave=dict.fromkeys(range(participants + 1), listen),
    )
    with pytest.raises(RoundFailed, match="MaskedInput"):  # nobody opened shares, so nobody uploads
        simulation.run()
    assert heard.keys() == set(range(1, participants + 1))
    for holder, message in heard.items():
        rows = [
            bytes(message.sealed[start : start + scheme.sealed_bytes])
            for start in range(0, len(message.sealed), scheme.sealed_bytes)
        ]
        assert [row[0] for row in rows] == [dealer for dealer in message.dealers if dealer != holder]
        assert all(row[: 2 * CIPHERTEXT] == row[:1] * 2 * CIPHERTEXT for row in rows)


def test_today_s_suites_have_no_ciphertexts_and_pay_nothing():
    for suite in ("x25519", "p256"):
        scheme = Bonawitz(3, 5, ciphersuite=suite)
        assert scheme.ciphertexts_bytes == 0
        assert scheme.sealed_bytes == scheme.share_bytes + 16
    assert ThresholdCkks(3, 5).ciphertexts_bytes == 0


def test_a_round_with_long_keys_and_signatures_runs_unchanged(wide, monkeypatch):
    monkeypatch.setattr(WideAgreement, "ciphertext_bytes", 0)
    scheme = Bonawitz(5, 20, ciphersuite=wide, adversary="active")
    run = Simulation(scheme, [np.full(20, who) for who in range(5)], drop={2: "MaskedInput"}).run()
    np.testing.assert_array_equal(run.total, 0 + 2 + 3 + 4)


def test_an_envelope_of_a_known_suite_takes_no_longer_signature_than_the_suite_s():
    for size in (65, SIGNATURE, 2**16 - 1):
        with pytest.raises(WireError, match=f"signature of {size} bytes.*at most 64"):
            Envelope(1, 1, bytes(32), "Sum", 1, 0, b"payload", bytes(size))
    header = b"\x01\x01" + bytes(40) + b"\x03" + (65).to_bytes(2, "big")
    with pytest.raises(WireError, match="signature of 65 bytes"):  # whether it is there or not
        Envelope.from_bytes(header + b"Sum", 1000)


def test_ids_of_32_bits_travel_are_signed_and_derive_keys():
    top = Envelope(1, 1, bytes(32), "Sum", MAX_ID, MAX_ID - 1, b"payload", bytes(64))
    back = Envelope.from_bytes(top.to_bytes(), 1000)
    assert (back.sender, back.recipient) == (MAX_ID, MAX_ID - 1)
    listed = KeyList((KeyEntry(1, b"a", b""), KeyEntry(65536, b"b", b""), KeyEntry(MAX_ID, b"c", b"")))
    assert decode(KeyList, encode(listed), 1000) == listed
    agreement, session = X25519.agreement, bytes(32)
    secrets = {who: agreement.generate(SYSTEM) for who in (65536, MAX_ID)}
    keys = {who: PairwiseKeys(X25519, Use.MASK_KEY, session, who, secret) for who, secret in secrets.items()}
    first, second = keys[65536], keys[MAX_ID]
    assert first.with_peer(MAX_ID, second.public_key) == second.with_peer(65536, first.public_key)
    assert first.with_peer(MAX_ID - 65536, second.public_key) != second.with_peer(65536, first.public_key)


def test_a_roster_lists_ids_of_32_bits():
    own = {who: Identity.generate(f"site {who}") for who in (0, 1, 65536, MAX_ID)}
    roster = Roster.of("x25519", [identity.public(who) for who, identity in own.items()])
    assert roster.key_of(MAX_ID) == own[MAX_ID].public_key
    assert roster.participants == (1, 65536, MAX_ID)
