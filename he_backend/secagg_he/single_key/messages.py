"""Messages of Ckks and Bfv, in the order they are sent. Every ciphertext is inside an authenticated `envelope`."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta

from secagg_protocols.core.exchange import Binding, Exchange, Row, Sent
from secagg_protocols.core.fields import Block, Digest, Participant, at_most
from secagg_protocols.core.step import Step
from secagg_protocols.core.wire import MAX_PARTICIPANTS, Message, check_ascending

Words: TypeAlias = Annotated[memoryview, at_most("block_bytes")]


class Encrypt(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Some of a participant's ciphertexts. block: from 0. words: an envelope of fresh ciphertexts."""

    block: Block
    words: Words


class ReleaseRequest(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Whose vectors are in the aggregate, and what it is: to every survivor.

    blocks: SHA-256 of each block of the aggregate, in order.
    """

    survivors: Annotated[tuple[Participant, ...], Meta(max_length=MAX_PARTICIPANTS), at_most("participants")]
    blocks: Annotated[tuple[Digest, ...], at_most("aggregate_blocks")]

    def __post_init__(self) -> None:
        check_ascending("survivors", self.survivors)


class Aggregate(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Some of the summed ciphertexts: to those who open them. block: from 0. words: an envelope of an aggregate."""

    block: Block
    words: Words


class Release(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The decrypted, flooded sums of one block. block: from 0. words: an envelope of released values.

    Empty (and block 0) from a survivor that was not asked to release, or keeps the sum (`release_to`): it has heard of
    the aggregate, or opened all of it.
    """

    block: Block
    words: Words


EXCHANGE = Exchange(
    (
        Row(Step.ENCRYPT, (), (Sent(Encrypt, Binding.ADDRESS, many=True),), vector=True),
        Row(Step.RELEASE, (Sent(ReleaseRequest), Sent(Aggregate, many=True)), (Sent(Release, many=True),)),
    )
)
