"""A participant of a protocol that deals shares: which step follows which, and what it refuses."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from ..core import client
from ..core.client import Client
from ..core.step import Step
from ..core.wire import Envelope, Message, encode, signed_bytes
from ..errors import SERVER
from ..primitives.domain import VERSION, Use, digest
from . import steps
from .messages import KeyEntry, SealedShares, ShareKeys, SurvivorList, UnmaskRequest
from .params import Dealing


class Memory(client.Memory, array_like=True):
    """What a participant of a dealing protocol remembers between messages. Schemes add `own`, and fields for `peers`.

    channels: receiving key for each peer, until the shares are opened. shares: dealer → valid share, until the opening.
    dealers: U₂. survivors: the U₃ that was signed (active), or that was opened for.
    """

    advertised: bytes = b""
    session: bytes = b""
    channels: dict[int, bytes] = msgspec.field(default_factory=dict)
    shares: dict[int, bytes] = msgspec.field(default_factory=dict)
    dealers: tuple[int, ...] = ()
    survivors: tuple[int, ...] = ()


class DealingClient(Client):
    """Base of participants: everything but the secrets, the upload and the opening."""

    scheme: Dealing
    advertise_type: ClassVar[type[Message]]
    """The scheme's AdvertiseKeys. It has a `channel_key`, for sealing shares."""
    deal_type: ClassVar[type[ShareKeys]] = ShareKeys

    # --- what a scheme adds

    @abstractmethod
    def _draw(self) -> Message:
        """Draw this participant's secrets into memory (`own`, with a `channel_secret`); return its AdvertiseKeys."""

    @abstractmethod
    def _check_advertised(self, advertised: Any) -> tuple[bytes, ...]:
        """Check the content of someone's AdvertiseKeys; return its public keys. Raises `ProtocolViolation`."""

    @abstractmethod
    def _remember_peers(self, peers: Mapping[int, Any]) -> None:
        """Keep of the others' AdvertiseKeys what is still needed."""

    @abstractmethod
    def _deal(self, holders: Sequence[int]) -> tuple[bytes, Mapping[int, bytes]]:
        """Return (what the server is told about the shares, holder → what it is dealt, `share_bytes` long)."""

    @abstractmethod
    def _accept(self, dealer: int, dealt: bytes) -> bytes:
        """Return the part to keep of what a dealer dealt. Raises `ProtocolViolation` for no valid share."""

    @abstractmethod
    def _open(self, message: UnmaskRequest) -> Message:
        """Return what is opened for the survivors, all checks done."""

    # --- the steps

    @property
    def dealers(self) -> tuple[int, ...]:
        dealers: tuple[int, ...] = self._memory.dealers
        return dealers

    @property
    def survivors(self) -> tuple[int, ...]:
        survivors: tuple[int, ...] = self._memory.survivors
        return survivors

    @property
    def _member(self) -> steps.Member:
        return steps.Member(self.scheme, self.me, self.context, self._roster, self.scheme.floor(self.policy))

    @property
    def _dealt(self) -> steps.Dealt:
        return steps.Dealt(self._memory.session, self._memory.dealers, self._memory.shares)

    def _pad(self) -> bytes:
        session: bytes = self._memory.session
        return session

    @property
    def _session_binding(self) -> bytes:
        return self._pad()

    def _start(self) -> list[Envelope]:
        message = self._draw()
        self._memory.advertised = encode(message)
        return [self.seal(Step.ADVERTISE_KEYS.value, SERVER, message)]

    def _handle(self, kind: str, message: Any) -> list[Envelope]:
        match message:
            case SealedShares():
                return self._open_shares(message)
            case SurvivorList():
                return self._sign_survivors(message)
            case UnmaskRequest():
                return self._answer_request(message)
        return self._share_keys(message.entries, message.digest)

    # --- ShareKeys

    def _share_keys(self, entries: tuple[KeyEntry, ...], list_digest: bytes) -> list[Envelope]:
        memory = self._memory
        member = self._member
        peers = steps.check_key_list(member, memory.advertised, entries, self._check_entry)
        session = member.session(list_digest)
        # The secrets behind these keys are dealt in one session: in another, what is opened of them adds up.
        self._ledger.settle(digest(Use.DEALT_KEYS, memory.advertised), session)
        memory.session = session
        self._remember_peers(peers)
        made = steps.share_keys(member, session, memory.own.channel_secret, peers, self._deal)
        memory.channels = made.channels
        memory.shares = {self.me: self._accept(self.me, made.kept)}
        return [self.seal(self.scheme.deal_step.value, SERVER, self.deal_type(made.told, made.sealed))]

    def _check_entry(self, entry: KeyEntry) -> tuple[Message, tuple[bytes, ...]]:
        return steps.read_entry(self.scheme, self.advertise_type, entry, self._check_advertised, self._verify_relayed)

    def _verify_relayed(self, signer: int, kind: str, payload: bytes, signature: bytes) -> None:
        """Verify another participant's envelope signature on a message that the server relays."""
        assert self._roster is not None
        envelope = Envelope(
            VERSION, self.scheme.suite.id, self._binding(kind), kind, signer, SERVER, payload, signature
        )
        message = signed_bytes(envelope, hashlib.sha256(payload).digest())
        self.scheme.suite.signatures.verify(self._roster.key_of(signer), signature, message)

    # --- the shares of others

    def _open_shares(self, message: SealedShares) -> list[Envelope]:
        memory = self._memory
        kept = memory.shares[self.me]
        dealt = steps.open_shares(self._member, memory.session, memory.channels, kept, message, self._accept)
        memory.dealers = dealt.dealers
        memory.shares = dealt.shares
        memory.channels = {}
        return []

    # --- ConsistencyCheck

    def _sign_survivors(self, message: SurvivorList) -> list[Envelope]:
        signed = steps.consistency_check(self._member, self._dealt, message)
        self._check_survivors(message.survivors)
        self._settle(signed.survivors_digest)
        self._memory.survivors = message.survivors
        return [self.seal(Step.CONSISTENCY_CHECK.value, SERVER, signed)]

    def _settle(self, survivors_digest: bytes) -> None:
        """Record U₃ as this session's only one, however often the machine is restored."""
        self._ledger.settle(digest(Use.SURVIVORS_OF, self._memory.session), survivors_digest)

    # --- the opening

    def _answer_request(self, message: UnmaskRequest) -> list[Envelope]:
        memory = self._memory
        steps.check_unmask_request(self._member, self._dealt, message, memory.survivors, self._verify_relayed)
        self._check_survivors(message.survivors)
        self._settle(steps.opened_for(memory.session, message))
        memory.survivors = message.survivors
        opened = self._open(message)
        self._forget()
        return [self.seal(self.scheme.opening_step.value, SERVER, opened)]

    def _forget(self) -> None:
        self._memory.own = None
        self._memory.channels = {}
        self._memory.shares = {}
