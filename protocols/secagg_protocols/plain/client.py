"""A participant of Plain: it sends its vector."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..blocks import pack_blocks
from ..errors import SERVER, InputError
from ..identity import Identity, Roster
from ..ledger import ContributionLedger
from ..machine import CONTRIBUTE, START, Client, State, Terminal, Transitions
from ..randomness import Randomness
from ..scheme import Policy, RoundContext, Step
from ..wire import Envelope, Message
from .messages import Sum
from .params import Plain


class Waiting(StrEnum):
    """What a participant waits for next."""

    VECTOR = "waiting for its vector"


TRANSITIONS: Transitions = MappingProxyType(
    {(Terminal.NEW, START): Waiting.VECTOR, (Waiting.VECTOR, CONTRIBUTE): Terminal.DONE}
)
_STATES: dict[str, State] = {state.value: state for state in (*Terminal, *Waiting)}


class Memory(msgspec.Struct, array_like=True):
    """Everything a participant remembers between calls."""

    participant: int
    state: str
    scheme_id: bytes
    job: str
    round: int
    context_digest: bytes


class PlainClient(Client):
    """Made by `Plain.client`. See `machine.Client` for the calls."""

    scheme: Plain
    messages = MappingProxyType({})

    @property
    def transitions(self) -> Transitions:
        return TRANSITIONS

    def _binding(self, kind: str) -> bytes:
        return self._address

    def _start(self) -> list[Envelope]:
        return []

    def _contribute(self, vector: NDArray[np.integer[Any]]) -> list[Envelope]:
        lanes = self.scheme.domain.lanes
        return [
            self.seal(Step.SUM.value, SERVER, Sum(block, lanes.to_bytes(words)))
            for block, _, words in pack_blocks(lanes, vector)
        ]

    def _handle(self, kind: str, message: Message) -> list[Envelope]:
        raise AssertionError(kind)

    def _forget(self) -> None:
        pass

    def snapshot(self) -> bytes:
        context = self.context
        return msgspec.msgpack.encode(
            Memory(self.me, self.state.value, self.scheme.id, context.job, context.round, context.context_digest)
        )

    @classmethod
    def resume(
        cls,
        scheme: Plain,
        snapshot: bytes,
        identity: Identity | None,
        roster: Roster | None,
        policy: Policy,
        randomness: Randomness,
        ledger: ContributionLedger,
    ) -> Self:
        """Make the machine that `snapshot` describes. Raises `InputError` when it is not one of this scheme's."""
        try:
            memory = msgspec.msgpack.decode(snapshot, type=Memory)
            state = _STATES[memory.state]
            context = RoundContext(memory.job, memory.round, memory.context_digest)
        except (msgspec.MsgspecError, ValueError, KeyError) as error:
            raise InputError(f"the snapshot is damaged: {type(error).__name__}") from None
        if memory.scheme_id != scheme.id:
            raise InputError("the snapshot belongs to another scheme or other parameters")
        client = cls(scheme, context, memory.participant, identity, roster, policy, randomness, ledger)
        client.state = state
        return client
