"""What a server shows its participants in the messages of Bonawitz, and none of them takes."""

import hashlib

import msgspec
import pytest

from secagg_protocols import (
    InsecureDeterministicRandomness,
    Policy,
    ProtocolViolation,
    StateError,
)
from secagg_protocols.bonawitz.messages import (
    ConsistencyCheck,
    KeyEntry,
    KeyList,
    SealedShares,
    SurvivorList,
    UnmaskRequest,
)
from secagg_protocols.core.wire import encode, signed_bytes
from secagg_protocols.dealing.steps import survivors_digest

from ..capability import UNSIGNED, needs
from .stops import aborts, floor_of_five, resealed, to_clients

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
    message = running.clients[1].open(envelope)
    size = masking.sealed_bytes
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
    everyone = (1, 2, 3, 4, 5)
    without = (1, 2, 3, 4)
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
    client = running.clients[1]
    honest = running.clients[1].open(envelope)
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
    signers = honest.signers
    signatures = honest.signatures
    if fault == "none":
        signers = ()
        signatures = ()
    elif fault == "one too few":
        signers = signers[:-1]
        signatures = signatures[:-1]
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
