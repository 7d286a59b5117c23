"""Named attacks in the messages of Bonawitz. Each test is one thing that a party must not get away with.

For schemes that speak them, beside the suite: `from secagg.conformance.bonawitz import *`.
"""

import hashlib
import re
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from secagg_protocols import (
    SERVER,
    InsecureDeterministicRandomness,
    Policy,
    ProtocolViolation,
    RoundFailed,
    StateError,
)
from secagg_protocols.bonawitz.messages import (
    ConsistencyCheck,
    KeyEntry,
    KeyList,
    SealedShares,
    ShareKeys,
    SurvivorList,
    Unmasking,
    UnmaskRequest,
)
from secagg_protocols.core.wire import encode, signed_bytes
from secagg_protocols.dealing.steps import survivors_digest
from secagg_protocols.primitives.shamir import SHARE_BYTES

from .capability import BONAWITZ_MESSAGES, RECOVERS_DROPOUTS, UNSIGNED, needs
from .fixtures import active, active_case, make_round, masking, pytest_generate_tests

FIXTURES = {
    "active": active,
    "active_case": active_case,
    "make_round": make_round,
    "masking": masking,
    "pytest_generate_tests": pytest_generate_tests,
}


def floor_of_five(scheme):
    """Return the policy of a participant that takes part with five or more (stated colluders are no company)."""
    return Policy(minimum_cohort=5 - scheme.colluders)


def run_until(running, step):
    """Run until the participants' messages of `step` are in `uplink`."""
    running.open()
    while running.server.step.value != step:
        running.take()
        running.advance()
        running.hear()
    return running


def to_clients(running, kind):
    """Run until the server's messages of `kind` are in `downlink`; return participant → envelope."""
    if str(running.server.state) == "New":
        running.open()
    while True:
        running.take()
        running.advance()
        envelopes = {p: running.parse(queue[0]) for p, queue in running.downlink.items() if queue}
        if next(iter(envelopes.values())).kind == kind:
            return envelopes
        running.hear()


def aborts(client, envelope, words=""):
    """The participant refuses authentic content, aborts, says why, and gives up its secrets."""
    with pytest.raises(ProtocolViolation) as caught:
        client.receive(envelope)
    assert re.search(words, str(caught.value))
    assert str(client.state) == "Aborted"
    assert client.abort_reason == str(caught.value)
    with pytest.raises(StateError):
        client.receive(envelope)
    assert client._memory.own is None
    assert not client._memory.shares
    return caught.value


def resealed(running, envelope, message):
    """Return the server's own, correctly signed envelope around another message."""
    return running.server.seal(envelope.kind, envelope.recipient, message)


# --- the server: key list


def entries_of(running, envelope):
    return list(running.clients[envelope.recipient].open(envelope).entries)


def test_server_leaves_a_participant_out_of_its_own_key_list(masking, make_round):
    running = make_round(masking)
    envelope = to_clients(running, "KeyList")[2]
    rest = tuple(entry for entry in entries_of(running, envelope) if entry.participant != 2)
    aborts(running.clients[2], resealed_before_session(running, envelope, KeyList(rest)), "own keys")


def resealed_before_session(running, envelope, message):
    """As `resealed`, for the key list (its binding is the round's address)."""
    return running.server.seal("KeyList", envelope.recipient, message)


def test_server_swaps_a_participant_s_keys_for_its_own(masking, make_round):
    """The man in the middle: caught by the owner in both variants, and by everybody where keys are signed."""
    running = make_round(masking)
    envelopes = to_clients(running, "KeyList")
    stranger = make_round(masking, randomness=InsecureDeterministicRandomness(666))
    stranger.open()
    fake = bytes(stranger.parse(stranger.uplink[3][0]).payload)
    for victim in (3, 1):
        entries = [
            KeyEntry(3, fake, entry.signature) if entry.participant == 3 else entry
            for entry in entries_of(running, envelopes[victim])
        ]
        forged = resealed_before_session(running, envelopes[victim], KeyList(tuple(entries)))
        if victim == 3 or masking.active:
            aborts(running.clients[victim], forged)


def test_server_adds_a_participant_that_does_not_exist(masking, make_round):
    running = make_round(masking)
    envelope = to_clients(running, "KeyList")[1]
    entries = entries_of(running, envelope)
    extra = KeyEntry(6, entries[2].payload, entries[2].signature)
    aborts(
        running.clients[1], resealed_before_session(running, envelope, KeyList((*entries, extra))), "not in this round"
    )


def test_server_gives_two_participants_the_same_keys(masking, make_round):
    running = make_round(masking)
    envelope = to_clients(running, "KeyList")[1]
    entries = entries_of(running, envelope)
    entries[2] = KeyEntry(3, entries[3].payload, entries[3].signature)
    aborts(running.clients[1], resealed_before_session(running, envelope, KeyList(tuple(entries))))


def test_server_shows_a_key_list_below_the_participant_s_floor(masking, make_round):
    running = make_round(masking, policy=floor_of_five(masking))
    envelope = to_clients(running, "KeyList")[1]
    entries = entries_of(running, envelope)[:4]
    aborts(running.clients[1], resealed_before_session(running, envelope, KeyList(tuple(entries))), "5 or more")


def test_server_replays_keys_of_an_earlier_attempt_at_the_same_round(active, make_round):
    """Authentic old keys of participant 3 pass the key list; without a share sealed in this session 3 is no company."""
    old = make_round(active, randomness=InsecureDeterministicRandomness(1234))
    old_entries = {entry.participant: entry for entry in entries_of(old, to_clients(old, "KeyList")[1])}
    running = make_round(active, policy=floor_of_five(active))
    envelopes = to_clients(running, "KeyList")
    for participant in (1, 2, 4, 5):
        entries = [old_entries[3] if e.participant == 3 else e for e in entries_of(running, envelopes[participant])]
        forged = resealed_before_session(running, envelopes[participant], KeyList(tuple(entries)))
        running.touch(participant, lambda client, forged=forged: client.receive(forged))
    client = running.clients[1]
    running.server._session = client._memory.session
    garbage = SealedShares((1, 2, 3, 4, 5), memoryview(bytes(4 * active.sealed_bytes)))
    aborts(client, running.server.seal("SealedShares", 1, garbage), "5 or more")


def degenerate_keys(running, field):
    """Show everybody the same key list, in which accomplice 3's channel key (0) or mask key (1) is no usable point.

    Returns participant → the server's envelope.
    """
    envelopes = to_clients(running, "KeyList")
    accomplice = running.clients[3]
    fields = msgspec.msgpack.decode(accomplice._memory.advertised)
    fields[field] = bytes(running.scheme.suite.agreement.public_key_bytes)
    payload = msgspec.msgpack.encode(fields)
    signature = b""
    if running.scheme.active:
        signature = sign_as(running, 3, "AdvertiseKeys", payload, running.server._address)
    accomplice._memory.advertised = payload
    entries = entries_of(running, envelopes[1])
    entries[2] = KeyEntry(3, payload, signature)
    forged = KeyList(tuple(entries))
    for queue in running.downlink.values():
        queue.clear()
    return {p: resealed_before_session(running, envelope, forged) for p, envelope in envelopes.items()}


def test_server_with_an_accomplice_shows_a_degenerate_channel_key(masking, make_round):
    running = make_round(masking)
    aborts(running.clients[1], degenerate_keys(running, 0)[1])


def test_server_with_an_accomplice_shows_a_degenerate_mask_key(masking, make_round):
    """Whenever it is noticed, the participant must abort; and it must not count as its answer for this context."""
    running = make_round(masking)
    envelopes = degenerate_keys(running, 1)
    for participant, envelope in envelopes.items():
        try:
            running.act(participant, lambda client, envelope=envelope: client.receive(envelope))
        except ProtocolViolation:
            assert str(running.clients[participant].state) == "Aborted"
    client = running.clients[1]
    if str(client.state) != "Aborted":
        running.server._session = client._memory.session
        running.take()
        running.advance()
        client.receive(running.parse(running.downlink[1][0]))
        with pytest.raises(ProtocolViolation):
            client.contribute(running.vectors[1])
    assert str(client.state) == "Aborted"
    assert client.abort_reason


def sign_as(running, party, kind, payload, binding):
    """Return a true signature of a (cheating) participant on a message to the server."""
    template = running.parse(running.sent[party, "AdvertiseKeys"])
    bare = msgspec.structs.replace(template, kind=kind, binding=binding, payload=payload, signature=b"")
    return running.identities[party].sign(signed_bytes(bare, hashlib.sha256(payload).digest()))


# --- the server: who dealt, who survived


def test_server_relays_too_few_dealers(masking, make_round):
    running = make_round(masking, policy=Policy(minimum_cohort=4))
    envelope = to_clients(running, "SealedShares")[1]
    message = running.clients[1].open(envelope)
    few = SealedShares((1, 2, 3), message.sealed[: 2 * masking.sealed_bytes])
    aborts(running.clients[1], resealed(running, envelope, few), r"[345] or more")


def test_server_relays_shares_of_a_stranger(masking, make_round):
    running = make_round(masking, drop={5: masking.steps[0]} if masking.quorum < 5 else {})
    envelope = to_clients(running, "SealedShares")[1]
    message = running.clients[1].open(envelope)
    forged = SealedShares((1, 2, 3, 4, 5), memoryview(bytes(message.sealed) + bytes(masking.sealed_bytes)))
    aborts(running.clients[1], resealed(running, envelope, forged), "key list")


def test_server_swaps_two_dealers_shares(masking, make_round):
    """The seal binds dealer and holder: swapped shares do not open, and count for no company."""
    running = make_round(masking)
    envelope = to_clients(running, "SealedShares")[1]
    message, size = running.clients[1].open(envelope), masking.sealed_bytes
    parts = [bytes(message.sealed[i * size : (i + 1) * size]) for i in range(4)]
    swapped = SealedShares(message.dealers, memoryview(b"".join([parts[1], parts[0], *parts[2:]])))
    client = running.clients[1]
    if masking.quorum > 3:
        aborts(client, resealed(running, envelope, swapped))
        return
    client.receive(resealed(running, envelope, swapped))
    assert set(client._memory.shares) == {1, 4, 5}


def test_server_names_a_survivor_list_without_the_participant(active, make_round):
    running = make_round(active)
    envelope = to_clients(running, "SurvivorList")[1]
    aborts(running.clients[1], resealed(running, envelope, SurvivorList((2, 3, 4, 5))), "participant among them")


def test_server_names_a_survivor_that_dealt_nothing(active, make_round):
    running = make_round(active, drop={5: active.steps[1]} if active.quorum < 5 else {})
    envelope = to_clients(running, "SurvivorList")[1]
    aborts(running.clients[1], resealed(running, envelope, SurvivorList((1, 2, 3, 4, 5))), "dealers")


def test_server_names_fewer_survivors_than_the_participant_s_floor(active, make_round):
    running = make_round(active, policy=floor_of_five(active))
    envelope = to_clients(running, "SurvivorList")[1]
    aborts(running.clients[1], resealed(running, envelope, SurvivorList((1, 2, 3, 4))), "5 or more")


def test_server_shows_two_groups_two_survivor_lists_and_neither_opens(active, make_round):
    """Each participant signs one list; no list gets t signatures, and nobody opens for a list it did not sign."""
    running = make_round(active)
    envelopes = to_clients(running, "SurvivorList")
    everyone, without = (1, 2, 3, 4, 5), (1, 2, 3, 4)
    signed = {}
    for participant, envelope in envelopes.items():
        chosen = everyone if participant in (3, 4, 5) else without
        (answer,) = running.clients[participant].receive(resealed(running, envelope, SurvivorList(chosen)))
        signed[participant] = answer.signature
    session = running.server._session
    for survivors in (everyone, without):
        for signers in ((1, 2), (3, 4, 5), (1, 2, 3, 4), everyone):
            if not set(signers) <= set(survivors):
                continue
            for participant in everyone:
                if participant not in survivors:
                    continue
                client = running.restore(participant, running.clients[participant].snapshot())
                vanished = tuple(sorted(set(everyone) - set(survivors)))
                signatures = tuple(signed[signer] for signer in signers)
                request = UnmaskRequest(survivors, vanished, signers, signatures)
                own_list = everyone if participant in (3, 4, 5) else without
                all_mine = set(signers) <= ({3, 4, 5} if own_list == everyone else {1, 2})
                if survivors == own_list and all_mine and len(signers) >= active.quorum:
                    continue  # these really are t signatures on one list
                aborts(client, running.server.seal("UnmaskRequest", participant, request))
    assert session == running.server._session


def test_server_asks_for_both_shares_of_one_participant(masking, make_round):
    """First as a survivor, then as one who vanished: the second request is not in the table."""
    running = make_round(masking)
    envelope = to_clients(running, "UnmaskRequest")[1]
    client, honest = running.clients[1], running.clients[1].open(envelope)
    client.receive(envelope)
    again = UnmaskRequest(honest.survivors[:-1], honest.survivors[-1:], honest.signers, honest.signatures)
    before = client.snapshot()
    with pytest.raises(StateError):
        client.receive(resealed(running, envelope, again))
    assert client.snapshot() == before


@pytest.mark.parametrize(
    ("survivors", "vanished"),
    [
        ((1, 2, 3, 4, 5), (5,)),
        ((1, 2, 3, 4), ()),
        ((1, 2, 3, 4, 5), (4, 5)),
        ((1, 2, 3, 4), (4, 5)),
        ((2, 3, 4, 5), (1,)),
    ],
    ids=["both", "neither", "both of two", "both of one", "without me"],
)
def test_server_asks_for_shares_that_do_not_split_the_dealers(masking, make_round, survivors, vanished):
    running = make_round(masking)
    envelope = to_clients(running, "UnmaskRequest")[1]
    honest = running.clients[1].open(envelope)
    request = UnmaskRequest(survivors, vanished, honest.signers, honest.signatures)
    aborts(running.clients[1], resealed(running, envelope, request))


def test_server_declares_a_survivor_vanished_after_the_signatures(active, make_round):
    running = make_round(active)
    envelope = to_clients(running, "UnmaskRequest")[1]
    honest = running.clients[1].open(envelope)
    request = UnmaskRequest((1, 2, 3, 4), (5,), honest.signers, honest.signatures)
    aborts(running.clients[1], resealed(running, envelope, request), "signed")


@pytest.mark.parametrize("fault", ["none", "one too few", "forged", "of another list", "of one who vanished", "moved"])
def test_server_shows_consistency_signatures_that_are_not_enough(active, make_round, fault):
    running = make_round(active, drop={5: active.steps[2]} if active.quorum < 5 else {})
    envelope = to_clients(running, "UnmaskRequest")[1]
    honest = running.clients[1].open(envelope)
    signers, signatures = honest.signers, honest.signatures
    if fault == "none":
        signers, signatures = (), ()
    elif fault == "one too few":
        signers, signatures = signers[:-1], signatures[:-1]
    elif fault == "forged":
        last = signatures[-1]
        signatures = (*signatures[:-1], last[:-1] + bytes([last[-1] ^ 1]))
    elif fault == "moved":
        signatures = (signatures[1], signatures[0], *signatures[2:])
    elif fault == "of another list":
        payload = encode(ConsistencyCheck(bytes(32)))
        other = sign_as(running, signers[-1], "ConsistencyCheck", payload, running.server._session)
        signatures = (*signatures[:-1], other)
    elif fault == "of one who vanished":
        payload = encode(ConsistencyCheck(survivors_digest(running.server._session, honest.survivors)))
        outsider = 5 if 5 not in honest.survivors else None
        if outsider is None:
            pytest.skip("nobody may vanish at this threshold")
        signers = (*signers[:-1], outsider)
        other = sign_as(running, outsider, "ConsistencyCheck", payload, running.server._session)
        signatures = (*signatures[:-1], other)
    request = UnmaskRequest(honest.survivors, honest.vanished, signers, signatures)
    aborts(running.clients[1], resealed(running, envelope, request))


@needs(UNSIGNED)
def test_server_asks_for_signatures_where_nobody_signs(masking, make_round):
    running = make_round(masking)
    envelope = to_clients(running, "UnmaskRequest")[1]
    honest = running.clients[1].open(envelope)
    aborts(running.clients[1], resealed(running, envelope, UnmaskRequest(honest.survivors, (), (1,), (bytes(64),))))


# --- participants


@needs(RECOVERS_DROPOUTS)
def test_a_late_masked_input_after_the_opening_is_refused(masking, make_round):
    """With the opened seed it would be the participant's vector in the clear."""
    running = make_round(masking)
    run_until(running, "MaskedInput")
    held, running.uplink[5] = running.uplink[5], []
    running.drop[5] = masking.steps[0]
    running.finish().check()
    for data in held:
        with pytest.raises(Exception, match="too late"):
            running.server.receive(running.parse(data))
    assert running.server.output.survivors == (1, 2, 3, 4)


@needs(RECOVERS_DROPOUTS)
@pytest.mark.parametrize("garbage", ["zeros", "random", "one bit"])
def test_a_dealer_of_garbage_to_one_holder_does_not_end_the_round(masking, make_round, garbage):
    """That share is missing; the others carry the secret."""
    running = make_round(masking)
    run_until(running, "ShareKeys")
    envelope = running.parse(running.uplink[2][0])
    message, size = running.server.open(envelope), masking.sealed_bytes
    sealed = bytearray(message.sealed)
    if garbage == "one bit":
        sealed[3] ^= 1
    else:
        sealed[:size] = bytes(size) if garbage == "zeros" else np.random.default_rng(1).bytes(size)
    forged = running.clients[2].seal("ShareKeys", SERVER, ShareKeys(message.share_digests, memoryview(bytes(sealed))))
    running.uplink[2] = [forged.to_bytes()]
    running.finish().check()
    assert running.server.output.survivors == (1, 2, 3, 4, 5)
    assert 2 not in running.clients[1]._memory.shares


def test_a_share_that_is_not_the_one_its_dealer_signed_counts_as_missing(active, make_round):
    """The root was advertised before; what is dealt later must be under it."""
    running = make_round(active)
    running.open()
    memory = running.clients[2]._memory
    other = bytearray(memory.own.shares)
    other[0] ^= 1
    memory.own = msgspec.structs.replace(memory.own, shares=bytes(other))
    while "SealedShares" not in {kind for _, kind in running.heard}:
        running.take()
        running.advance()
        running.hear()
    for holder in (1, 3, 4, 5):
        assert 2 not in running.clients[holder]._memory.shares
        assert {1, 3, 4, 5} <= set(running.clients[holder]._memory.shares)


@needs(RECOVERS_DROPOUTS)
def test_a_dealer_of_garbage_to_everybody_gives_no_sum_rather_than_a_wrong_one(masking, make_round):
    """It stays in the sum and nobody can take its self mask off: the price of not aborting for one bad share."""
    running = make_round(masking)
    run_until(running, "ShareKeys")
    message = running.server.open(running.parse(running.uplink[2][0]))
    forged = ShareKeys(message.share_digests, memoryview(bytes(len(message.sealed))))
    running.uplink[2] = [running.clients[2].seal("ShareKeys", SERVER, forged).to_bytes()]
    with pytest.raises(RoundFailed) as caught:
        running.finish()
    assert (caught.value.step, caught.value.have, caught.value.need) == ("Unmasking", 1, masking.quorum)
    assert running.server.output is None


@pytest.mark.parametrize("vanishes", [None, 2], ids=["all stay", "the dealer vanishes"])
def test_one_holder_of_five_opens_wrong_shares_and_the_sum_is_still_right(masking, make_round, vanishes):
    if masking.quorum > (3 if vanishes else 4):
        pytest.skip("every share is needed at this threshold")
    running = make_round(masking, drop={vanishes: masking.steps[2]} if vanishes else {})
    run_until(running, "Unmasking")
    corrupt(running, 4, [0, 1, 2])
    running.finish().check()
    assert {correction.holder for correction in running.server.corrections} == {4}
    dealers = {correction.dealer for correction in running.server.corrections}
    assert dealers == {1, 2, 3}
    for correction in running.server.corrections:
        expected = {4} if masking.active else {correction.dealer, 4, SERVER}
        assert correction.culprits == expected


def corrupt(running, holder, positions):
    """Replace the holder's opened shares of the dealers at these positions by random ones, correctly signed."""
    envelope = running.parse(running.uplink[holder][0])
    message = running.server.open(envelope)
    shares = bytearray(message.shares)
    generator = np.random.default_rng(holder)
    for position in positions:
        shares[position * SHARE_BYTES : (position + 1) * SHARE_BYTES - 2] = generator.bytes(SHARE_BYTES - 2)
        shares[(position + 1) * SHARE_BYTES - 2 : (position + 1) * SHARE_BYTES] = bytes(2)
    forged = running.clients[holder].seal("Unmasking", SERVER, Unmasking(message.missing, memoryview(bytes(shares))))
    running.uplink[holder] = [forged.to_bytes()]


@needs(BONAWITZ_MESSAGES)
def test_a_liar_that_makes_the_opening_fail_is_blamed_and_not_the_honest_dealer(active_case, make_round):
    scheme = active_case.make(3, 5)
    running = make_round(scheme)
    run_until(running, "Unmasking")
    corrupt(running, 2, [0])
    if scheme.quorum < 3:
        running.uplink[3] = []
    with pytest.raises(RoundFailed) as caught:
        running.finish()
    assert running.server.output is None
    assert {correction.holder for correction in running.server.corrections} == {2}
    assert caught.value.culprits == {2}


def test_more_liars_than_can_be_told_apart_give_no_sum_at_all(masking, make_round):
    running = make_round(masking)
    run_until(running, "Unmasking")
    for holder in range(1, 6 - masking.quorum + 2):
        corrupt(running, holder, [4])
    with pytest.raises(RoundFailed) as caught:
        running.finish()
    assert caught.value.step == "Unmasking"
    assert running.server.output is None


@needs(RECOVERS_DROPOUTS)
def test_garbage_in_opened_shares_drops_their_sender(masking, make_round):
    no_element = b"\x01\x00" + bytes(30) + b"\x80\x00"
    for shares, missing in (
        (b"", ()),
        (bytes(SHARE_BYTES), ()),
        (bytes(6 * SHARE_BYTES), ()),
        (no_element * 5, ()),
        (bytes(5 * SHARE_BYTES), (3,)),
        (bytes(4 * SHARE_BYTES), (4,)),
        (bytes(4 * SHARE_BYTES), (6,)),
    ):
        running = make_round(masking)
        run_until(running, "Unmasking")
        forged = running.clients[4].seal("Unmasking", SERVER, Unmasking(missing, memoryview(shares)))
        with pytest.raises(ProtocolViolation):
            running.server.receive(forged)
        assert 4 in running.server.dropped
        running.uplink[4] = []
        running.finish().check()
        assert running.server.output.survivors == (1, 2, 3, 4, 5)


@needs(RECOVERS_DROPOUTS)
def test_a_signature_over_another_survivor_list_drops_its_signer(active, make_round):
    running = make_round(active)
    run_until(running, "ConsistencyCheck")
    forged = running.clients[4].seal("ConsistencyCheck", SERVER, ConsistencyCheck(bytes(32)))
    with pytest.raises(ProtocolViolation, match="other survivors"):
        running.server.receive(forged)
    running.uplink[4] = []
    running.drop[4] = active.steps[0]
    running.finish().check()
    assert running.server.output.survivors == (1, 2, 3, 4, 5)


@needs(RECOVERS_DROPOUTS)
def test_garbage_instead_of_keys_drops_its_sender(masking, make_round):
    size = masking.suite.agreement.public_key_bytes
    for position, value in (
        (0, bytes(size)),
        (1, bytes(size)),
        (0, b"\xff" * size),
        (1, b""),
        (2, b""),
        (2, bytes(9999)),
    ):
        running = make_round(masking)
        running.open()
        fields = msgspec.msgpack.decode(running.clients[2]._memory.advertised)
        fields[position] = value
        kind = running.server.messages["AdvertiseKeys"]
        with pytest.raises(ProtocolViolation):
            running.server.receive(running.clients[2].seal("AdvertiseKeys", SERVER, kind(*fields)))
        running.uplink[2] = []
        running.drop[2] = masking.steps[0]
        running.finish().check()
        assert running.server.output.survivors == (1, 3, 4, 5)


def test_the_same_key_for_both_purposes_is_refused(masking, make_round):
    running = make_round(masking)
    running.open()
    fields = msgspec.msgpack.decode(running.clients[2]._memory.advertised)
    fields[1] = fields[0]
    kind = running.server.messages["AdvertiseKeys"]
    with pytest.raises(ProtocolViolation, match="already advertised"):
        running.server.receive(running.clients[2].seal("AdvertiseKeys", SERVER, kind(*fields)))
    assert 2 in running.server.dropped


@needs(RECOVERS_DROPOUTS)
def test_a_masked_vector_of_the_wrong_size_drops_its_sender(masking, make_round):
    for size in (0, 1, -1):
        running = make_round(masking)
        run_until(running, "MaskedInput")
        message = running.server.open(running.parse(running.uplink[2][0]))
        words = bytes(message.words)[:size] if size <= 0 else bytes(message.words) + b"\x00"
        with pytest.raises(ProtocolViolation):
            running.server.receive(running.clients[2].seal("MaskedInput", SERVER, type(message)(0, memoryview(words))))
        running.uplink[2] = []
        running.drop[2] = masking.steps[0]
        running.finish().check()
        assert running.server.output.survivors == (1, 3, 4, 5)


def test_garbage_in_a_masked_input_gives_no_sum_rather_than_a_wrong_one(masking, make_round):
    """Undetectable when it happens; at these sizes its sum is almost never one of valid vectors."""
    scheme = type(masking)(
        5, 200, value_bits=13, adversary=masking.adversary, ciphersuite=masking.ciphersuite, colluders=masking.colluders
    )
    running = make_round(scheme)
    run_until(running, "MaskedInput")
    message = running.server.open(running.parse(running.uplink[2][0]))
    noise = np.random.default_rng(4).bytes(len(message.words))
    forged = running.clients[2].seal("MaskedInput", SERVER, type(message)(0, memoryview(noise)))
    running.uplink[2] = [forged.to_bytes()]
    with pytest.raises(RoundFailed, match="garbage"):
        running.finish()
    assert running.server.output is None


def test_steps_are_in_the_paper_s_order(masking):
    order = ["AdvertiseKeys", "ShareKeys", "MaskedInput", "ConsistencyCheck", "Unmasking"]
    positions = [order.index(step.value) for step in masking.steps]
    assert all(a < b for a, b in pairwise(positions))
    assert ("ConsistencyCheck" in [step.value for step in masking.steps]) == masking.active


__all__ = [*FIXTURES, *(name for name in globals() if name.startswith("test_"))]
