"""Protocols in which a holder opens one thing: the sum, over the survivors, of the shares that it holds.

Two sums over different survivors could be subtracted, so a holder gives one, over the one set that it was told; and one
that misses a survivor's share gives none: a sum over part of the survivors would give the difference away.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from ..core.wire import Message
from ..errors import SERVER, ProtocolViolation
from ..primitives.field import Elements
from . import client, steps
from .messages import AdvertiseKeys, OpenedSum
from .server import DealingServer


class Memory(client.Memory, array_like=True):
    """What a participant remembers between messages. own: until the vector has left."""

    own: steps.OwnSecrets | None = None


class SummingClient(client.DealingClient):
    """Base of participants: what it makes of its seed, and the sum that it opens, are the scheme's."""

    memory_type = Memory
    advertise_type = AdvertiseKeys

    def _draw(self) -> Message:
        self._memory.own = steps.make_secrets(self.scheme, self._randomness)
        return steps.advertise(self.scheme, self._memory.own, self.context, self._randomness)

    def _check_advertised(self, advertised: AdvertiseKeys) -> tuple[bytes, ...]:
        return steps.check_advertised(self.scheme, advertised, self.context)

    def _remember_peers(self, peers: Mapping[int, Any]) -> None:
        pass  # nothing of what they advertised is needed again


class SummingServer(DealingServer):
    """Base of servers: takes the sums, and leaves what they give to the scheme."""

    advertise_type = AdvertiseKeys

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._opened: dict[int, Elements] = {}

    @abstractmethod
    def _decode_sum(self, share: memoryview) -> Elements:
        """Return a sum of shares in elements. Raises `ProtocolViolation`."""

    @property
    def _sum_bytes(self) -> int:
        """Bytes of a sum of shares."""
        return self.scheme.share_bytes

    def _check_advertised(self, message: AdvertiseKeys) -> tuple[bytes, ...]:
        return steps.check_advertised(self.scheme, message, self.context)

    def _take_opened(self, sender: int, message: OpenedSum) -> bool:
        if not set(message.missing) <= set(self._survivors) - {sender}:
            raise ProtocolViolation("shares are reported missing of someone who is not in the sum", {sender})
        expected = 0 if message.missing else self._sum_bytes
        if len(message.share) != expected:
            raise ProtocolViolation(f"a sum of shares has {len(message.share)} bytes, not {expected}", {sender})
        if message.missing:  # an honest report: it has no sum to give, and nobody else is the worse for it
            self._suspects |= {SERVER, sender, *message.missing}
            who = ", ".join(map(str, message.missing[:5])) + (", …" if len(message.missing) > 5 else "")
            self._drop(sender, f"holds no valid share of participant {who}")
            return False
        self._opened[sender] = self._decode_sum(message.share)
        return True
