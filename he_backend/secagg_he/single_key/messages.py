"""Messages of Ckks and Bfv, in the order they are sent. Every ciphertext is inside an authenticated `envelope`."""

from __future__ import annotations

from secagg_protocols.core.exchange import Binding, Exchange, Row, Sent
from secagg_protocols.core.step import Step
from secagg_protocols.core.wire import Message, check_ascending, check_size

DIGEST_BYTES = 32


class Encrypt(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Some of a participant's ciphertexts. block: from 0. words: an envelope of fresh ciphertexts."""

    block: int
    words: memoryview


class ReleaseRequest(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Whose vectors are in the aggregate, and what it is: to every survivor.

    blocks: SHA-256 of each block of the aggregate, in order.
    """

    survivors: tuple[int, ...]
    blocks: tuple[bytes, ...]

    def __post_init__(self) -> None:
        check_ascending("survivors", self.survivors)
        for block in self.blocks:
            check_size("block digest", block, DIGEST_BYTES)


class Aggregate(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Some of the summed ciphertexts: to those who open them. block: from 0. words: an envelope of an aggregate."""

    block: int
    words: memoryview


class Release(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The decrypted, flooded sums of one block. block: from 0. words: an envelope of released values.

    Empty (and block 0) from a survivor that was not asked to release, or keeps the sum (`release_to`): it has heard of
    the aggregate, or opened all of it.
    """

    block: int
    words: memoryview


EXCHANGE = Exchange(
    (
        Row(Step.ENCRYPT, (), (Sent(Encrypt, Binding.ADDRESS, many=True),), vector=True),
        Row(Step.RELEASE, (Sent(ReleaseRequest), Sent(Aggregate, many=True)), (Sent(Release, many=True),)),
    )
)
