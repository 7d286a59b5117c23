"""The server of Plain: it adds what arrives."""

from __future__ import annotations

from ..core.context import RoundContext
from ..core.party import Aggregator
from ..core.server import Server
from ..core.step import Step
from ..core.wire import Envelope, Message
from ..packing.blocks import BlockSum
from .messages import Sum
from .params import Plain


class PlainServer(Server):
    """Made by `Plain.server`. See `core.server.Server` for the calls."""

    scheme: Plain

    def __init__(
        self,
        scheme: Plain,
        context: RoundContext,
        party: Aggregator,
    ) -> None:
        super().__init__(scheme, context, party)
        self._sum = BlockSum(scheme.domain)

    @property
    def upload_bytes(self) -> int:
        return self._sum.upload_bytes

    def _handle(self, sender: int, message: Message, envelope: Envelope) -> bool:
        assert isinstance(message, Sum)
        return self._sum.take(sender, message.block, message.words)

    def _lose(self, participant: int) -> None:
        self._sum.forget(participant)

    def _close(self, step: Step, answered: tuple[int, ...]) -> list[Envelope]:
        self.output = self._sum.output(answered, step)
        return []
