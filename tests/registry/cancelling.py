"""A scheme of another package, of a shape that none of ours has, with messages and machines of its own.

Participants hold one key and send one message: x_u + F(k, u) − F(k, u + 1), where F is a keystream under a key of its
own for the round. The masks cancel where everybody stays, so nobody may vanish. The server knows the key by a
name.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import secagg
from secagg_protocols import Coalition, Guarantee, InputError, Keys, ParameterError, Traits, Work
from secagg_protocols.core.client import Client
from secagg_protocols.core.exchange import Exchange, Row, Sent
from secagg_protocols.core.fields import Block, at_most
from secagg_protocols.core.secrets import Secrets
from secagg_protocols.core.server import Server
from secagg_protocols.core.wire import Message
from secagg_protocols.packing.blocks import BlockSum, pack_blocks
from secagg_protocols.packing.masks import add_masks

KEY_BYTES = 32


class MaskedInput(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One block of the masked vector. block: from 0. words: low bytes, little-endian."""

    block: Block
    words: Annotated[memoryview, at_most("block_bytes")]


EXCHANGE = Exchange((Row(secagg.Step.MASKED_INPUT, (), (Sent(MaskedInput, many=True),), vector=True),))


@dataclass(frozen=True)
class Cancelling(secagg.Scheme):
    """Sums under masks that cancel. One message, one key that participants share, no dropouts."""

    name: ClassVar[str] = "cancelling"
    upload_step: ClassVar[secagg.Step] = EXCHANGE.upload_step
    exchange: ClassVar[Exchange] = EXCHANGE
    secrets: ClassVar[Secrets] = ()
    traits: ClassVar[Traits] = Traits(
        protects=True,
        adversaries=frozenset({secagg.Adversary.SEMI_HONEST}),
        keys=Keys.GROUP,
        early_keys=False,
        opens=frozenset(),
    )
    leakage: ClassVar[tuple[tuple[str, str], ...]] = (
        ("the server", "the sum, and who took part"),
        ("other participants", "nothing; any vector whose message they come by, as all hold the key"),
    )
    guarantee: ClassVar[Guarantee] = Guarantee(
        adversary=secagg.Adversary.SEMI_HONEST,
        colluders=0,
        statistical_bits=None,
        opened_by=(Coalition(1, "every vector"),),
        sum_known_to="server",
    )

    @property
    def quorum(self) -> int:
        return self.participants

    def minimum_threshold(self, colluders: int) -> int:
        return self.participants

    def check_policy(self, policy: secagg.Policy) -> None:
        super().check_policy(policy)
        if policy.colluders:
            raise ParameterError(f"this participant's policy asks for {policy.colluders} colluders: one opens all")

    def make_group_key(self, randomness: secagg.Randomness = secagg.SYSTEM) -> tuple[object, object]:
        key = Key(randomness.bytes(KEY_BYTES))
        return key, key.name

    def work(self, run: secagg.MeasuredRound) -> tuple[Work, Work]:
        return Work(), Work()


@dataclass(frozen=True)
class Key:
    """What the participants share."""

    value: bytes = field(repr=False)

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """What nobody else may see."""
        return (self.value,)

    @property
    def name(self) -> bytes:
        """What the server knows it by."""
        return hashlib.sha256(b"cancelling, name of a key" + self.value).digest()


def session_of(address: bytes, context: secagg.RoundContext, key_name: bytes) -> bytes:
    """Return what messages of a round are bound to: what it is about, and the key."""
    return hashlib.sha256(b"cancelling, session" + address + context.context_digest + key_name).digest()


def mask_key(key: bytes, session: bytes, participant: int) -> bytes:
    """Return F(k, u)'s key."""
    return hmac.digest(key, session + participant.to_bytes(4, "big"), "sha256")


class CancellingClient(Client):
    """A participant."""

    @property
    def _key(self) -> Key:
        if not isinstance(self._standing, Key):
            raise InputError("cancelling needs the key that participants share: give standing=")
        return self._standing

    @property
    def _session_binding(self) -> bytes:
        return session_of(self._address, self.context, self._key.name)

    def _pad(self) -> bytes:
        return self._session_binding

    def _start(self) -> list[secagg.Envelope]:
        return []

    def _masks(self) -> tuple[list[bytes], list[bytes]]:
        """Return the keys of the masks that are added, and of those that are subtracted."""
        session = self._pad()
        following = self.me % self.scheme.participants + 1
        return [mask_key(self._key.value, session, self.me)], [mask_key(self._key.value, session, following)]

    def _contribute(self, vector: Any) -> list[secagg.Envelope]:
        lanes = self.scheme.domain.lanes
        plus, minus = self._masks()
        envelopes = []
        for block, start, words in pack_blocks(lanes, vector):
            add_masks(words, start, plus, minus)
            envelopes.append(self.seal("MaskedInput", secagg.SERVER, MaskedInput(block, lanes.to_bytes(words))))
        return envelopes

    def _handle(self, kind: str, message: Message) -> list[secagg.Envelope]:
        raise AssertionError(kind)

    def _forget(self) -> None:
        pass


class CancellingServer(Server):
    """The server: it adds what arrives."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._sum = BlockSum(self.scheme.domain)

    @property
    def upload_bytes(self) -> int:
        return self._sum.upload_bytes

    @property
    def _session_binding(self) -> bytes:
        if not isinstance(self._standing, bytes):
            raise InputError("cancelling needs the name of the participants' key: give standing=")
        return session_of(self._address, self.context, self._standing)

    def _handle(self, sender: int, message: Any, envelope: secagg.Envelope) -> bool:
        return self._sum.take(sender, message.block, message.words)

    def _lose(self, participant: int) -> None:
        self._sum.forget(participant)

    def _close(self, step: secagg.Step, answered: tuple[int, ...]) -> list[secagg.Envelope]:
        self.output = self._sum.output(answered, step)
        return []


Cancelling.machines = CancellingClient, CancellingServer
