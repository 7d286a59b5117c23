"""What participants send and open in the messages of Bonawitz, and nobody else pays for."""

from itertools import pairwise

import msgspec
import numpy as np
import pytest

from secagg_protocols import (
    SERVER,
    ProtocolViolation,
    RoundFailed,
)
from secagg_protocols.bonawitz.messages import (
    ConsistencyCheck,
    ShareKeys,
    Unmasking,
)
from secagg_protocols.primitives.shamir import SHARE_BYTES

from ..capability import BONAWITZ_MESSAGES, RECOVERS_DROPOUTS, needs
from .stops import run_until


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
    message = running.server.open(envelope)
    size = masking.sealed_bytes
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
