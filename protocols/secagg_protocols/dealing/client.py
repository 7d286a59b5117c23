"""A participant of a protocol that deals shares: which step follows which, and what it refuses."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar

import msgspec
from cryptography.exceptions import InvalidTag

from ..core import client
from ..core.channels import ChannelKeys, PairwiseKeys, open_share, seal_share, session_id
from ..core.client import Client
from ..core.machine import CONTRIBUTE, START, State, Terminal, Transitions
from ..core.step import Step
from ..core.wire import Envelope, Message, decode, encode, signed_bytes
from ..errors import SERVER, AuthenticationError, ProtocolViolation, WireError
from ..primitives.domain import VERSION, Use, digest
from . import rounds
from .messages import ConsistencyCheck, KeyEntry, KeyList, SealedShares, ShareKeys, SurvivorList, UnmaskRequest
from .params import Dealing


class Waiting(StrEnum):
    """What a participant waits for next."""

    KEY_LIST = "waiting for KeyList"
    SEALED_SHARES = "waiting for SealedShares"
    VECTOR = "waiting for its vector"
    SURVIVOR_LIST = "waiting for SurvivorList"
    UNMASK_REQUEST = "waiting for UnmaskRequest"


_COMMON: dict[tuple[State, str], State] = {
    (Terminal.NEW, START): Waiting.KEY_LIST,
    (Waiting.KEY_LIST, "KeyList"): Waiting.SEALED_SHARES,
    (Waiting.SEALED_SHARES, "SealedShares"): Waiting.VECTOR,
    (Waiting.UNMASK_REQUEST, "UnmaskRequest"): Terminal.DONE,
}
SEMI_HONEST: Transitions = MappingProxyType({**_COMMON, (Waiting.VECTOR, CONTRIBUTE): Waiting.UNMASK_REQUEST})
ACTIVE: Transitions = MappingProxyType(
    {
        **_COMMON,
        (Waiting.VECTOR, CONTRIBUTE): Waiting.SURVIVOR_LIST,
        (Waiting.SURVIVOR_LIST, "SurvivorList"): Waiting.UNMASK_REQUEST,
    }
)


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
    messages = MappingProxyType({kind.__name__: kind for kind in (KeyList, SealedShares, SurvivorList, UnmaskRequest)})
    advertise_type: ClassVar[type[Message]]
    """The scheme's AdvertiseKeys. It has a `channel_key`, for sealing shares."""
    list_kind: ClassVar[str] = "KeyList"
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
    def transitions(self) -> Transitions:
        return ACTIVE if self.scheme.active else SEMI_HONEST

    @property
    def dealers(self) -> tuple[int, ...]:
        dealers: tuple[int, ...] = self._memory.dealers
        return dealers

    @property
    def survivors(self) -> tuple[int, ...]:
        survivors: tuple[int, ...] = self._memory.survivors
        return survivors

    @property
    def _floor(self) -> int:
        return self.scheme.floor(self.policy)

    def _pad(self) -> bytes:
        session: bytes = self._memory.session
        return session

    def _binding(self, kind: str) -> bytes:
        if kind == Step.ADVERTISE_KEYS:
            return self._address
        return self._list_binding if kind == self.list_kind else self._pad()

    def _start(self) -> list[Envelope]:
        message = self._draw()
        self._memory.advertised = encode(message)
        return [self.seal(Step.ADVERTISE_KEYS.value, SERVER, message)]

    def _handle(self, kind: str, message: Message) -> list[Envelope]:
        match message:
            case KeyList():
                return self._share_keys(message.entries, message.digest)
            case SealedShares():
                return self._open_shares(message)
            case SurvivorList():
                return self._sign_survivors(message)
            case UnmaskRequest():
                return self._answer_request(message)
        raise AssertionError(kind)

    # --- ShareKeys

    def _share_keys(self, entries: tuple[KeyEntry, ...], list_digest: bytes) -> list[Envelope]:
        memory = self._memory
        peers = self._check_key_list(entries)
        roster_digest = self._roster.digest if self._roster is not None else b""
        session = session_id(self.scheme, roster_digest, self.context, list_digest)
        # The secrets behind these keys are dealt in one session: in another, what is opened of them adds up.
        self._ledger.settle(digest(Use.DEALT_KEYS, memory.advertised), session)
        memory.session = session
        self._remember_peers(peers)
        keys = PairwiseKeys(self.scheme.suite, Use.CHANNEL_KEY, session, self.me, memory.own.channel_secret)
        told, dealt = self._deal((self.me, *peers))
        sealed, channels = [], {}
        for peer, public in peers.items():
            channel = ChannelKeys.of(keys, self.me, peer, public.channel_key)
            channels[peer] = channel.receive
            sealed.append(seal_share(self.scheme.suite, channel.send, session, self.me, peer, dealt[peer]))
        memory.channels = channels
        memory.shares = {self.me: self._accept(self.me, dealt[self.me])}
        return [self.seal(self.scheme.deal_step.value, SERVER, self.deal_type(told, memoryview(b"".join(sealed))))]

    def _check_key_list(self, listed: tuple[KeyEntry, ...]) -> dict[int, Any]:
        """Check U₁ as the figure asks, and the context of every member; return what the others advertised."""
        entries = {entry.participant: entry for entry in listed}
        mine = entries.get(self.me)
        if mine is None or mine.payload != self._memory.advertised:
            raise ProtocolViolation("the key list does not hold this participant's own keys", {SERVER})
        self._check_listed("key list", len(entries))
        self._check_cohort("key list", set(entries))
        peers: dict[int, Any] = {}
        keys: list[bytes] = []
        for participant, entry in entries.items():
            advertised, public = self._check_entry(entry)
            keys += public
            if participant != self.me:
                peers[participant] = advertised
        if len(set(keys)) != len(keys):
            raise ProtocolViolation("a public key appears twice in the key list", {SERVER})
        return peers

    def _check_entry(self, entry: KeyEntry) -> tuple[Message, tuple[bytes, ...]]:
        participant = entry.participant
        if participant > self.scheme.participants:
            raise ProtocolViolation(f"the key list holds participant {participant}, who is not in this round", {SERVER})
        try:
            if self.scheme.active:
                self._verify_relayed(participant, Step.ADVERTISE_KEYS.value, entry.payload, entry.signature)
            elif entry.signature:
                raise WireError("the semi-honest variant has no signatures")
        except (AuthenticationError, WireError) as error:  # not its words: only who shows them can be at fault
            raise ProtocolViolation(f"keys of participant {participant}: {error}", {SERVER}) from None
        try:
            advertised = decode(self.advertise_type, entry.payload, self.scheme.payload_limit)
            return advertised, self._check_advertised(advertised)
        except (ProtocolViolation, WireError) as error:
            raise ProtocolViolation(f"keys of participant {participant}: {error}", {SERVER, participant}) from None

    def _verify_relayed(self, signer: int, kind: str, payload: bytes, signature: bytes) -> None:
        """Verify another participant's envelope signature on a message that the server relays."""
        assert self._roster is not None
        envelope = Envelope(
            VERSION, self.scheme.suite.id, self._binding(kind), kind, signer, SERVER, payload, signature
        )
        message = signed_bytes(envelope, hashlib.sha256(payload).digest())
        self.scheme.suite.signatures.verify(self._roster.key_of(signer), signature, message)

    def _check_cohort(self, what: str, members: set[int]) -> None:
        if len(members) < self._floor:
            # An honest server does not know this floor, and others may have vanished or dealt garbage: nobody is named.
            raise ProtocolViolation(
                f"the {what} counts {len(members)} participants; this one takes part with {self._floor} or more"
            )

    def _check_listed(self, what: str, listed: int) -> None:
        if listed < self._fewest_listed:
            raise ProtocolViolation(
                f"the {what} counts {listed} participants; an honest server goes on with {self._fewest_listed} or more",
                {SERVER},
            )

    @property
    def _fewest_listed(self) -> int:
        """Fewest participants that an honest server ever lists to one of them."""
        return self.scheme.quorum

    # --- the shares of others

    def _open_shares(self, message: SealedShares) -> list[Envelope]:
        memory, size = self._memory, self.scheme.sealed_bytes
        dealers = set(message.dealers)
        if self.me not in dealers or not dealers <= memory.channels.keys() | {self.me}:
            raise ProtocolViolation(
                "the dealers of the shares are not members of the key list with me among them", {SERVER}
            )
        self._check_listed("list of dealers", len(dealers))
        others = [dealer for dealer in message.dealers if dealer != self.me]
        if len(message.sealed) != size * len(others):
            raise ProtocolViolation(f"{len(message.sealed)} sealed bytes for {len(others)} dealers", {SERVER})
        for position, dealer in enumerate(others):
            sealed = bytes(message.sealed[position * size : (position + 1) * size])
            try:
                dealt = open_share(self.scheme.suite, memory.channels[dealer], memory.session, dealer, self.me, sealed)
                memory.shares[dealer] = self._accept(dealer, dealt)
            except (InvalidTag, ProtocolViolation):
                continue  # a missing share, not an abort: one dealer cannot end the round
        # Who sealed a good share under this session is here now: replayed keys do not count towards the cohort.
        self._check_cohort("list of dealers with valid shares", set(memory.shares))
        memory.dealers, memory.channels = message.dealers, {}
        return []

    # --- ConsistencyCheck

    def _sign_survivors(self, message: SurvivorList) -> list[Envelope]:
        self._check_survivors(message.survivors)
        settled = self._settle(message.survivors)
        self._memory.survivors = message.survivors
        return [self.seal(Step.CONSISTENCY_CHECK.value, SERVER, ConsistencyCheck(settled))]

    def _settle(self, survivors: tuple[int, ...]) -> bytes:
        """Return the digest of U₃, recorded as this session's only one, however often the machine is restored."""
        session = self._memory.session
        survivors_digest = rounds.survivors_digest(session, survivors)
        self._ledger.settle(digest(Use.SURVIVORS_OF, session), survivors_digest)
        return survivors_digest

    def _check_survivors(self, survivors: tuple[int, ...]) -> None:
        if self.me not in survivors or not set(survivors) <= set(self._memory.dealers):
            raise ProtocolViolation("the survivors are not dealers with this participant among them", {SERVER})
        self._check_listed("list of survivors", len(survivors))
        self._check_cohort("list of survivors with valid shares", set(survivors) & self._memory.shares.keys())

    # --- the opening

    def _answer_request(self, message: UnmaskRequest) -> list[Envelope]:
        self._check_survivors(message.survivors)
        if set(message.vanished) != set(self._memory.dealers) - set(message.survivors):
            raise ProtocolViolation(
                "survivors and vanished do not split the dealers: both shares of a participant are never opened",
                {SERVER},
            )
        if self.scheme.active:
            self._check_consistency(message)
        elif message.signers:
            raise ProtocolViolation("the semi-honest variant has no consistency signatures", {SERVER})
        self._settle(message.survivors)
        self._memory.survivors = message.survivors
        opened = self._open(message)
        self._forget()
        return [self.seal(self.scheme.opening_step.value, SERVER, opened)]

    def _check_consistency(self, message: UnmaskRequest) -> None:
        """At least t members of U₃ signed the very U₃ that this participant signed."""
        if message.survivors != self._memory.survivors:
            raise ProtocolViolation("the survivors are not those that this participant signed", {SERVER})
        if len(message.signers) < self.scheme.quorum or not set(message.signers) <= set(message.survivors):
            raise ProtocolViolation(
                f"{len(message.signers)} survivors signed the survivor list; {self.scheme.quorum} are needed", {SERVER}
            )
        payload = encode(ConsistencyCheck(rounds.survivors_digest(self._memory.session, message.survivors)))
        for position, signer in enumerate(message.signers):
            signature = message.signatures[64 * position : 64 * (position + 1)]
            try:
                self._verify_relayed(signer, Step.CONSISTENCY_CHECK.value, payload, signature)
            except AuthenticationError:
                raise ProtocolViolation(
                    f"the consistency signature shown for participant {signer} does not verify", {SERVER}
                ) from None

    def _forget(self) -> None:
        self._memory.own = None
        self._memory.channels, self._memory.shares = {}, {}
