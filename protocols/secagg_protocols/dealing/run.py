"""What whole protocols that deal shares have in common, as prose: everyone's shares, sealed, relayed and opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..core.channels import ChannelKeys, PairwiseKeys, open_share, seal_share
from ..core.wire import Message
from ..packing.blocks import Uploads
from ..primitives.domain import Use
from .params import Dealing

Sent = Mapping[str, Mapping[int, Sequence[Message]]]
"""All that was sent: kind of message → the participant that sent it, or was sent it → messages."""


class Drawn(Protocol):
    """What a participant draws."""

    @property
    def channel_secret(self) -> bytes: ...


class Advertised(Protocol):
    """What a participant says of it."""

    @property
    def channel_key(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Relayed:
    """Shares on their way through the server.

    sent: dealer → what it sealed for the others. delivered: holder → what the others sealed for it. Both ascending.
    held: holder → dealer → what it was dealt, its own share included.
    """

    sent: Mapping[int, bytes]
    delivered: Mapping[int, bytes]
    held: Mapping[int, Mapping[int, bytes]] = field(repr=False)


def relay(
    scheme: Dealing,
    session: bytes,
    own: Mapping[int, Drawn],
    advertised: Mapping[int, Advertised],
    dealt: Mapping[int, Mapping[int, bytes]],
) -> Relayed:
    """Seal what everyone deals everyone else, and open it.

    own, advertised: what everyone drew, and told, in AdvertiseKeys. dealt: dealer → holder → share.
    """
    suite, everyone = scheme.suite, sorted(dealt)
    channels: dict[tuple[int, int], ChannelKeys] = {}
    sealed: dict[tuple[int, int], bytes] = {}
    for one in everyone:
        keys = PairwiseKeys(suite, Use.CHANNEL_KEY, session, one, own[one].channel_secret)
        for other in everyone:
            if other != one:
                channel = channels[one, other] = ChannelKeys.of(keys, one, other, advertised[other].channel_key)
                sealed[one, other] = seal_share(suite, channel.send, session, one, other, dealt[one][other])
    held = {who: {who: dealt[who][who]} for who in everyone}
    for (dealer, holder), data in sealed.items():
        key = channels[holder, dealer].receive
        held[holder][dealer] = open_share(suite, key, session, dealer, holder, data)
    return Relayed(
        {one: b"".join(sealed[one, other] for other in everyone if other != one) for one in everyone},
        {one: b"".join(sealed[other, one] for other in everyone if other != one) for one in everyone},
        held,
    )


def add_up(total: Uploads, uploads: Mapping[int, Sequence[Any]]) -> None:
    """Have the server add everyone's vector. uploads: participant → its messages, of a `block` and its `words` each."""
    for who, blocks in uploads.items():
        for message in blocks:
            total.take(who, message.block, message.words)
