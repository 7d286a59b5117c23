"""Whatever stands where a ciphertext should is refused by name, before SEAL is given a byte."""

import msgspec
import numpy as np
import pytest

from secagg_he import seal
from secagg_he.envelope import OVERHEAD, Content, Sealer
from secagg_he.single_key import steps
from secagg_he.single_key.messages import Aggregate, Encrypt, Release, ReleaseRequest
from secagg_protocols import SERVER, AuthenticationError, ProtocolViolation, RoundContext, StateError, WireError
from secagg_protocols.core.wire import encode


@pytest.fixture
def no_seal(monkeypatch):
    """Return a call after which SEAL must not be reached."""

    def forbid():
        for name in ("encrypt", "expand_sums", "decrypt"):
            monkeypatch.setattr(seal, name, lambda *_: pytest.fail("SEAL was given something to parse"))

    return forbid


def again(envelope, message, **changes):
    """Return an envelope with another message in it."""
    return msgspec.structs.replace(envelope, payload=encode(message), **changes)


def altered(running, envelope, change):
    """Return an upload's envelope with its inner bytes changed."""
    message = running.server.open(envelope)
    words = bytearray(message.words)
    return again(envelope, Encrypt(message.block, memoryview(bytes(change(words)))))


def flipped(position):
    def flip(words):
        words[position] ^= 1
        return words

    return flip


def state(server):
    return server.state, server.waiting_for, dict(server.dropped), server.output


def refuse(running, envelope, error, words):
    """Expect the server's refusal, which must leave it as it was."""
    before = state(running.server)
    with pytest.raises(error, match=words):
        running.server.receive(envelope)
    assert state(running.server) == before


@pytest.fixture
def uploaded(make, make_round):
    """A round in which everybody but participant 3 has encrypted, and that one's upload, not delivered."""
    running = make_round(make(3, 5)).encrypt(without=(3,))
    (envelope,) = running.clients[3].contribute(running.vectors[3])
    return running, running.parse(envelope)


@pytest.mark.parametrize("position", [OVERHEAD, 1000, -33, -32, -1], ids=str)
def test_a_flipped_byte_is_refused(uploaded, no_seal, position):
    running, envelope = uploaded
    no_seal()
    refuse(running, altered(running, envelope, flipped(position)), AuthenticationError, "byte was changed")


@pytest.mark.parametrize("left", [0, 5, OVERHEAD - 1, OVERHEAD, 1000, -1], ids=str)
def test_a_truncated_stream_is_refused(uploaded, no_seal, left):
    running, envelope = uploaded
    no_seal()
    refuse(running, altered(running, envelope, lambda words: words[:left]), WireError, "truncated")


def test_bytes_behind_the_end_are_refused(uploaded, no_seal):
    running, envelope = uploaded
    no_seal()
    refuse(running, altered(running, envelope, lambda words: words + b"\0"), WireError, "states")


def test_an_unknown_version_or_content_is_refused(uploaded):
    running, envelope = uploaded
    refuse(running, altered(running, envelope, flipped(0)), WireError, "version 0")
    unknown = altered(running, envelope, lambda words: bytes([1, 77]) + words[2:])
    refuse(running, unknown, WireError, "unknown content 77")


def test_a_ciphertext_under_another_key_is_refused_by_its_id(uploaded, make_round):
    """Rotation: what was encrypted under the old key is of no use any more."""
    running, _ = uploaded
    rotated = make_round(running.scheme)
    foreign = rotated.parse(rotated.clients[3].contribute(running.vectors[3])[0])
    refuse(running, foreign, WireError, "another group key")


def test_a_ciphertext_with_other_parameters_is_refused(uploaded, make):
    running, envelope = uploaded
    key, server = running.key, running.server
    sealer = Sealer.of(key.key_id, make(3, 6).parameters.hash, key.wire_key, server._address, server.context)
    forged = sealer.seal(Content.FRESH, 3, 0, bytes(running.scheme.parameters.fresh_bytes))
    refuse(running, again(envelope, Encrypt(0, forged)), WireError, "other parameters")


def test_released_values_or_an_aggregate_in_the_place_of_a_ciphertext_are_refused(uploaded):
    running, envelope = uploaded
    for content, name in ((Content.RELEASED, "released values"), (Content.AGGREGATE, "an aggregate")):
        words = running.server._sealer.seal(content, 3, 0, bytes(running.scheme.parameters.fresh_bytes))
        refuse(running, again(envelope, Encrypt(0, words)), WireError, f"found {name} where fresh ciphertexts")


def test_a_ciphertext_of_another_session_is_refused(uploaded, make_round):
    """Also when the envelope around it, which nobody signed, was rewritten for this session."""
    running, _ = uploaded
    other = make_round(running.scheme, key=running.key, context=RoundContext("he", 2, bytes(range(32))))
    foreign = other.parse(other.clients[3].contribute(running.vectors[3])[0])
    refuse(running, foreign, WireError, "another round")
    rewritten = msgspec.structs.replace(foreign, binding=running.server._address)
    refuse(running, rewritten, WireError, "another session")


def test_a_replay_is_refused(uploaded):
    running, _ = uploaded
    (sent,) = running.uploads[1]
    refuse(running, sent, StateError, "already answered")
    stolen = msgspec.structs.replace(sent, sender=3)
    refuse(running, stolen, WireError, "of 1, block 0, where block 0 of 3")


def test_a_repeated_or_misplaced_block_is_refused(make, make_round):
    scheme = make(2, 400_000)
    running = make_round(scheme)
    first, second, *_ = (running.parse(envelope) for envelope in running.clients[1].contribute(running.vectors[1]))
    running.server.receive(first)
    refuse(running, first, StateError, "already sent block 0")
    swapped = again(second, Encrypt(1, running.server.open(first).words))
    refuse(running, swapped, WireError, "block 0, where block 1")
    with pytest.raises(ProtocolViolation, match="cannot be"):
        running.server.receive(again(second, Encrypt(77, running.server.open(second).words)))
    assert 1 in running.server.dropped


def test_a_participant_that_was_sent_another_model_is_left_out(make, make_round):
    running = make_round(make(3, 5))
    odd = make_round(running.scheme, key=running.key, context=RoundContext("he", 1, bytes(32)))
    envelope = odd.parse(odd.clients[3].contribute(odd.vectors[3])[0])
    with pytest.raises(ProtocolViolation, match="different models") as caught:
        running.server.receive(envelope)
    assert caught.value.culprits == {3}
    assert running.encrypt(without=(3,)).request().release().server.output.survivors == (1, 2)


def test_a_coefficient_that_is_not_below_the_modulus_is_refused(uploaded, no_seal):
    running, envelope = uploaded
    no_seal()
    body = b"\xff" * running.scheme.parameters.fresh_bytes
    words = running.server._sealer.seal(Content.FRESH, 3, 0, body)
    with pytest.raises(ProtocolViolation, match="not below its modulus"):
        running.server.receive(again(envelope, Encrypt(0, words)))
    assert 3 in running.server.dropped


def test_the_wrong_number_of_ciphertexts_is_refused(uploaded):
    running, envelope = uploaded
    words = running.server._sealer.seal(Content.FRESH, 3, 0, bytes(running.scheme.parameters.fresh_bytes - 8))
    with pytest.raises(ProtocolViolation, match="wrong number"):
        running.server.receive(again(envelope, Encrypt(0, words)))


# --- what participants refuse


@pytest.fixture
def asked(make, make_round):
    """A round whose participants have been asked: participant 1 has taken the request, and waits for the aggregate."""
    running = make_round(make(3, 5)).encrypt().request()
    client = running.clients[1]
    request, aggregate = running.heard[1]
    client.receive(request)
    return running, client, aggregate


def refuse_aggregate(client, envelope, message, error, words):
    before = client.snapshot()
    with pytest.raises(error, match=words):
        client.receive(again(envelope, message))
    assert client.snapshot() == before


def test_a_damaged_aggregate_is_refused_before_decryption(asked, no_seal):
    _, client, envelope = asked
    no_seal()
    words = bytearray(client.open(envelope).words)
    words[OVERHEAD + 100] ^= 1
    refuse_aggregate(client, envelope, Aggregate(0, memoryview(bytes(words))), AuthenticationError, "byte was changed")
    refuse_aggregate(client, envelope, Aggregate(0, memoryview(bytes(words[:-7]))), WireError, "truncated")


def test_a_fresh_ciphertext_is_not_decrypted_as_an_aggregate(asked, no_seal):
    running, client, envelope = asked
    no_seal()
    fresh = running.server.open(running.uploads[2][0]).words
    refuse_aggregate(client, envelope, Aggregate(0, fresh), WireError, "found fresh ciphertexts where an aggregate")


def test_another_aggregate_than_the_one_announced_is_not_released(asked, no_seal):
    running, client, envelope = asked
    no_seal()
    size = 2 * running.scheme.parameters.polynomial_bytes
    words = running.server._sealer.seal(Content.AGGREGATE, SERVER, 0, bytes(size))
    with pytest.raises(ProtocolViolation, match="not of the aggregate that was announced"):
        client.receive(again(envelope, Aggregate(0, words)))
    assert str(client.state) == "Aborted"


def test_an_aggregate_does_not_verify_for_who_was_told_other_survivors(make, make_round):
    """Somebody on the way shortens a request, which nobody signed: Ckks would cut the sum to what so few can give."""
    scheme = make(5, 40, threshold=3)
    running = make_round(scheme).encrypt().request()
    client = running.clients[1]
    request, aggregate = running.heard[1]
    client.receive(again(request, ReleaseRequest((1, 2, 3), client.open(request).blocks)))
    refuse_aggregate(client, aggregate, client.open(aggregate), AuthenticationError, "an aggregate does not verify")


def test_what_was_released_of_another_aggregate_of_the_session_is_refused(make, make_round):
    """A round is run again after a failure; what was answered in the first run is no answer in the second."""
    first = make_round(make(3, 5)).encrypt().request()
    second = make_round(first.scheme, key=first.key).encrypt(without=(3,)).request()
    request, aggregate = first.heard[1]
    first.clients[1].receive(request)
    (old,) = first.clients[1].receive(aggregate)
    refuse(second, second.parse(old), AuthenticationError, "released values does not verify")


def test_a_block_is_released_once(asked):
    _, client, envelope = asked
    client.receive(envelope)
    before = client.snapshot()
    with pytest.raises(StateError, match="has been released"):
        client.receive(envelope)
    assert client.snapshot() == before


def test_a_block_that_was_not_announced_is_refused(asked):
    running, client, envelope = asked
    for block, words in (
        (1, "where block 1"),
        ((1 << 32) - 1, "where block 4294967295"),
        (-1, ">= 0"),
        (1 << 62, "<="),
    ):
        wrong = msgspec.structs.replace(client.open(envelope), block=block)
        refuse_aggregate(client, envelope, wrong, WireError, words)
    words = running.server._sealer.seal(Content.AGGREGATE, SERVER, 1, b"")
    with pytest.raises(ProtocolViolation, match="was not announced"):
        client.receive(again(envelope, Aggregate(1, words)))


def test_a_participant_that_was_not_asked_to_release_does_not(make, make_round):
    running = make_round(make(3, 5, threshold=3)).encrypt().request()
    client = running.clients[2]
    assert len(running.heard[2]) == 1
    (answer,) = client.receive(running.heard[2][0])
    assert len(running.server.open(running.parse(answer)).words) == 0
    stolen = msgspec.structs.replace(running.heard[1][1], recipient=2)
    with pytest.raises(ProtocolViolation, match="was not announced"):
        client.receive(stolen)


# --- what the server refuses of a release


def test_values_from_one_that_was_not_asked_are_refused(make, make_round):
    running = make_round(make(3, 5, threshold=3)).encrypt().request()
    running.clients[2].receive(running.heard[2][0])
    forged = running.clients[2].seal("Release", SERVER, Release(0, memoryview(b"values")))
    with pytest.raises(ProtocolViolation, match="was not sent"):
        running.server.receive(running.parse(forged))


def test_a_ciphertext_in_the_place_of_released_values_is_refused(make, make_round):
    running = make_round(make(3, 5)).encrypt().request()
    fresh = running.server.open(running.uploads[1][0]).words
    envelope = running.clients[1].seal("Release", SERVER, Release(0, fresh))
    refuse(running, running.parse(envelope), WireError, "found fresh ciphertexts where released values")


def test_polynomials_travel_in_the_bits_of_their_primes_and_come_back(make):
    parameters = make(3, 60_000).parameters
    generator = np.random.default_rng(1)
    columns = [generator.integers(0, prime, (3, parameters.degree), dtype=np.uint64) for prime in parameters.primes]
    polynomials = np.stack(columns, axis=1)
    packed = steps.pack_polynomials(parameters, polynomials)
    assert len(packed) == 3 * parameters.polynomial_bytes
    assert (steps.unpack_polynomials(parameters, memoryview(packed)) == polynomials).all()
