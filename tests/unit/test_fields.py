"""What fields may hold is said once, holds when a message is made and when it is read, and bounds its length."""

from typing import Annotated

import msgspec
import pytest

from secagg_he import Bfv, ThresholdCkks
from secagg_protocols import Bonawitz, LightSecAgg, ParameterError, Plain, ProtocolViolation, SecAggPlus, WireError
from secagg_protocols.bonawitz.messages import AdvertiseKeys
from secagg_protocols.core.fields import (
    Block,
    Digest,
    Exactly,
    Participant,
    PublicKey,
    as_markdown,
    at_most,
    check_sizes,
    fields_of,
    longest,
)
from secagg_protocols.core.wire import Message, decode, encode


class Odd(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One field of every sort."""

    participant: Participant
    block: Block
    digest: Digest
    key: PublicKey
    listed: Annotated[tuple[Participant, ...], at_most("participants")]
    hashes: Annotated[tuple[Digest, ...], at_most("participants")]
    bulk: Annotated[memoryview, at_most("participants", "share_bytes")]


SCHEME = Bonawitz(3, 5)
GOOD = {
    "participant": 1,
    "block": 0,
    "digest": bytes(32),
    "key": bytes(32),
    "listed": (1, 2),
    "hashes": (bytes(32),),
    "bulk": memoryview(b"bulk"),
}


@pytest.mark.parametrize(
    "fault",
    [
        {"participant": 0},
        {"participant": 2**32},
        {"block": -1},
        {"block": 2**32},
        {"digest": bytes(31)},
        {"digest": bytes(33)},
        {"digest": b""},
    ],
    ids=str,
)
def test_a_field_out_of_its_range_is_refused_when_made_and_when_decoded(fault):
    assert encode(Odd(**GOOD))
    with pytest.raises(ValueError, match=next(iter(fault))):
        Odd(**{**GOOD, **fault})
    values = {**GOOD, **fault}
    with pytest.raises(WireError):
        decode(Odd, msgspec.msgpack.encode(tuple(values.values())), 1 << 10)


def test_a_size_that_follows_from_the_scheme_is_checked_where_the_scheme_is_known():
    check_sizes(Odd(**GOOD), SCHEME)
    for key in (b"", bytes(31), bytes(65)):
        with pytest.raises(ProtocolViolation, match=f"key has {len(key)} bytes, not 32"):
            check_sizes(Odd(**{**GOOD, "key": key}), SCHEME)
    check_sizes(Odd(**{**GOOD, "key": bytes(65)}), Bonawitz(3, 5, ciphersuite="p256"))


def test_the_longest_message_fits_its_limit_and_hardly_more():
    size = SCHEME.participants * SCHEME.share_bytes
    values = {
        "participant": 2**32 - 1,
        "block": 2**32 - 1,
        "listed": tuple(range(2**32 - 3, 2**32)),
        "hashes": (bytes(32),) * 3,
        "bulk": memoryview(bytes(size)),
    }
    data = encode(Odd(**{**GOOD, **values}))
    assert len(data) <= longest(Odd, SCHEME) <= len(data) + 4 * (len(fields_of(Odd)) + 3) + 3


def test_a_field_of_which_nothing_says_how_long_it_is_has_no_limit_to_be_read_with():
    class Endless(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
        data: bytes

    with pytest.raises(ParameterError, match="data"):
        longest(Endless, SCHEME)
    with pytest.raises(ParameterError, match=r"commitments.*commitments_bytes"):
        check_sizes(AdvertiseKeys(bytes(32), bytes(32), bytes(32), b"", bytes(16), b""), LightSecAgg(3, 5))


SCHEMES = [
    Plain(4, 5),
    Bonawitz(4, 5),
    Bonawitz(4, 5, adversary="active", ciphersuite="p256"),
    SecAggPlus(30, 5),
    LightSecAgg(4, 5),
    ThresholdCkks(4, 5),
    Bfv(4, 5),
]


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: f"{scheme.name} {scheme.adversary}")
def test_every_scheme_s_longest_message_follows_from_its_fields(scheme):
    sent = scheme.exchange.messages
    assert scheme.payload_limit >= scheme.block_bytes
    assert all(longest(message, scheme) <= scheme.payload_limit for message in sent)
    assert all(f"| {message.__name__} |" in as_markdown(sent) for message in sent)


def test_the_table_of_fields_says_every_size():
    rows = as_markdown([AdvertiseKeys, Odd]).splitlines()[2:]
    assert rows[0] == "| AdvertiseKeys | channel_key | `suite.agreement.public_key_bytes` bytes |"
    assert "| AdvertiseKeys | nonce | 16 bytes |" in rows
    assert "| AdvertiseKeys | context_digest | 0 … 32 bytes |" in rows
    assert "| Odd | participant | integer, 1 … 2³² − 1 |" in rows
    assert "| Odd | bulk | at most `participants` · `share_bytes` bytes |" in rows
    assert isinstance(fields_of(AdvertiseKeys)[0].size, Exactly)
