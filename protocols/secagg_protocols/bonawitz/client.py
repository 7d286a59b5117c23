"""A participant of Bonawitz: which step follows which, and what it refuses."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
from cryptography.exceptions import InvalidTag
from numpy.typing import NDArray

from .. import machine, merkle, shamir
from ..blocks import pack_blocks
from ..channels import ChannelKeys, PairwiseKeys, key_list_digest, open_share, seal_share, session_id
from ..domain import VERSION, Use
from ..errors import SERVER, AuthenticationError, ProtocolViolation, WireError
from ..machine import CONTRIBUTE, START, Client, State, Terminal, Transitions
from ..scheme import Step
from ..wire import Envelope, Message, decode, encode, signed_bytes
from . import rounds
from .messages import (
    AdvertiseKeys,
    ConsistencyCheck,
    KeyEntry,
    KeyList,
    MaskedInput,
    SealedShares,
    ShareKeys,
    SurvivorList,
    Unmasking,
    UnmaskRequest,
)
from .params import Bonawitz


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

_BEFORE_SESSION = (Step.ADVERTISE_KEYS.value, "KeyList")


class PeerKeys(msgspec.Struct, frozen=True, array_like=True):
    """What another member of U₁ advertised, as far as it is still needed."""

    mask_key: bytes
    channel_key: bytes
    share_root: bytes


class Memory(machine.Memory, array_like=True):
    """What a participant of this protocol remembers between messages.

    own: until the vector is masked. channels: receiving key for each peer, until the shares are opened.
    shares: dealer → valid share, until unmasking. dealers: U₂. survivors: the U₃ that was signed (active).
    """

    own: rounds.OwnSecrets | None = None
    advertised: bytes = b""
    session: bytes = b""
    peers: dict[int, PeerKeys] = msgspec.field(default_factory=dict)
    channels: dict[int, bytes] = msgspec.field(default_factory=dict)
    shares: dict[int, bytes] = msgspec.field(default_factory=dict)
    dealers: tuple[int, ...] = ()
    survivors: tuple[int, ...] = ()


class BonawitzClient(Client):
    """Made by `Bonawitz.client`. See `machine.Client` for the calls."""

    scheme: Bonawitz
    memory_type = Memory
    messages = MappingProxyType({kind.__name__: kind for kind in (KeyList, SealedShares, SurvivorList, UnmaskRequest)})

    @property
    def transitions(self) -> Transitions:
        return ACTIVE if self.scheme.active else SEMI_HONEST

    @property
    def _floor(self) -> int:
        return self.scheme.floor(self.policy)

    def _binding(self, kind: str) -> bytes:
        return self._address if kind in _BEFORE_SESSION else self._memory.session

    # --- AdvertiseKeys

    def _start(self) -> list[Envelope]:
        own = rounds.make_secrets(self.scheme, self._holders_at_start(), self._randomness)
        message = rounds.advertise(self.scheme, self.me, own, self._address, self.context, self._randomness)
        self._memory.own, self._memory.advertised = own, encode(message)
        return [self.seal(Step.ADVERTISE_KEYS.value, SERVER, message)]

    def _holders_at_start(self) -> Sequence[int]:
        """Return to whom shares are dealt before anyone's keys are known: to everyone, so that they can be signed."""
        return range(1, self.scheme.participants + 1)

    def _handle(self, kind: str, message: Message) -> list[Envelope]:
        match message:
            case KeyList():
                return self._share_keys(message.entries, key_list_digest(message.entries))
            case SealedShares():
                return self._open_shares(message)
            case SurvivorList():
                return self._sign_survivors(message)
            case UnmaskRequest():
                return self._unmask(message)
        raise AssertionError(kind)

    # --- ShareKeys

    def _share_keys(self, entries: tuple[KeyEntry, ...], list_digest: bytes) -> list[Envelope]:
        own = self._memory.own
        assert own is not None
        peers = self._check_key_list(entries)
        roster_digest = self._roster.digest if self._roster is not None else b""
        session = session_id(self.scheme, roster_digest, self.context, list_digest)
        keys = PairwiseKeys(self.scheme.suite, Use.CHANNEL_KEY, session, self.me, own.channel_secret)
        digests, paths = b"", [b""] * self.scheme.participants
        if self.scheme.active:
            digests = rounds.share_digests(self.scheme, self.me, own)
            paths = merkle.paths(rounds.holder_leaves(self.scheme, digests))
        shares = self._shares_for(own, (self.me, *peers))
        sealed, channels = [], {}
        for peer, public in peers.items():
            channel = ChannelKeys.of(keys, self.me, peer, public.channel_key)
            channels[peer] = channel.receive
            share = shares[peer] + paths[peer - 1]
            sealed.append(seal_share(self.scheme.suite, channel.send, session, self.me, peer, share))
        memory = self._memory
        memory.session, memory.peers, memory.channels = session, peers, channels
        memory.shares = {self.me: shares[self.me]}
        return [self.seal(Step.SHARE_KEYS.value, SERVER, ShareKeys(digests, memoryview(b"".join(sealed))))]

    def _shares_for(self, own: rounds.OwnSecrets, holders: Sequence[int]) -> dict[int, bytes]:
        """Return holder → what this participant deals to it."""
        size = self.scheme.secrets * shamir.SHARE_BYTES
        return {holder: own.shares[(holder - 1) * size : holder * size] for holder in holders}

    def _check_key_list(self, listed: tuple[KeyEntry, ...]) -> dict[int, PeerKeys]:
        """Check U₁ as the figure asks, and the context of every member; return the others' keys."""
        entries = {entry.participant: entry for entry in listed}
        mine = entries.get(self.me)
        if mine is None or mine.payload != self._memory.advertised:
            raise ProtocolViolation("the key list does not hold this participant's own keys", {SERVER})
        self._check_cohort("key list", set(entries))
        peers, seen = {}, set()
        for participant, entry in entries.items():
            advertised = self._check_entry(entry)
            seen |= {advertised.channel_key, advertised.mask_key}
            if participant != self.me:
                peers[participant] = PeerKeys(advertised.mask_key, advertised.channel_key, advertised.share_root)
        if len(seen) != 2 * len(entries):
            raise ProtocolViolation("a public key appears twice in the key list", {SERVER})
        return peers

    def _check_entry(self, entry: KeyEntry) -> AdvertiseKeys:
        participant = entry.participant
        if participant > self.scheme.participants:
            raise ProtocolViolation(f"the key list holds participant {participant}, who is not in this round", {SERVER})
        try:
            advertised = decode(AdvertiseKeys, entry.payload, self.scheme.payload_limit)
            rounds.check_advertised(self.scheme, advertised, self.context)
            for key in (advertised.channel_key, advertised.mask_key):
                self.scheme.suite.agreement.check_public(key)
            if self.scheme.active:
                self._verify_relayed(participant, Step.ADVERTISE_KEYS.value, entry.payload, entry.signature)
            elif entry.signature:
                raise WireError("the semi-honest variant has no signatures")
        except (AuthenticationError, WireError) as error:
            raise ProtocolViolation(f"keys of participant {participant}: {error}", {SERVER}) from None
        except ProtocolViolation as error:
            raise ProtocolViolation(f"keys of participant {participant}: {error}", {SERVER, participant}) from None
        return advertised

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
            raise ProtocolViolation(
                f"the {what} counts {len(members)} participants; this one takes part with {self._floor} or more",
                {SERVER},
            )

    # --- MaskedInput

    def _open_shares(self, message: SealedShares) -> list[Envelope]:
        memory, size = self._memory, self.scheme.sealed_bytes
        dealers = set(message.dealers)
        if self.me not in dealers or not dealers <= memory.peers.keys() | {self.me}:
            raise ProtocolViolation(
                "the dealers of the shares are not members of the key list with me among them", {SERVER}
            )
        others = [dealer for dealer in message.dealers if dealer != self.me]
        if len(message.sealed) != size * len(others):
            raise ProtocolViolation(f"{len(message.sealed)} sealed bytes for {len(others)} dealers", {SERVER})
        for position, dealer in enumerate(others):
            sealed = bytes(message.sealed[position * size : (position + 1) * size])
            try:
                share = open_share(self.scheme.suite, memory.channels[dealer], memory.session, dealer, self.me, sealed)
                root = memory.peers[dealer].share_root
                memory.shares[dealer] = rounds.check_share(self.scheme, dealer, self.me, root, share)
            except (InvalidTag, ProtocolViolation):
                continue  # a missing share, not an abort: one dealer cannot end the round
        # Who sealed a good share under this session is here now: replayed keys do not count towards the cohort.
        self._check_cohort("list of dealers with valid shares", set(memory.shares))
        memory.dealers, memory.channels = message.dealers, {}
        return []

    def _contribute(self, vector: NDArray[np.integer[Any]]) -> list[Envelope]:
        memory, scheme = self._memory, self.scheme
        assert memory.own is not None
        keys = PairwiseKeys(scheme.suite, Use.MASK_KEY, memory.session, self.me, memory.own.mask_secret)
        pairwise = {
            peer: keys.with_peer(peer, memory.peers[peer].mask_key) for peer in memory.dealers if peer != self.me
        }
        lanes = scheme.domain.lanes
        self_key = rounds.self_mask_key(scheme, memory.session, self.me, memory.own.seeds[0])
        outgoing = []
        for block, start, words in pack_blocks(lanes, vector):
            rounds.mask(words, self.me, self_key, pairwise, start)
            outgoing.append(self.seal(Step.MASKED_INPUT.value, SERVER, MaskedInput(block, lanes.to_bytes(words))))
        memory.own = None
        return outgoing

    # --- ConsistencyCheck

    def _sign_survivors(self, message: SurvivorList) -> list[Envelope]:
        self._check_survivors(message.survivors)
        self._memory.survivors = message.survivors
        digest = rounds.survivors_digest(self._memory.session, message.survivors)
        return [self.seal(Step.CONSISTENCY_CHECK.value, SERVER, ConsistencyCheck(digest))]

    def _check_survivors(self, survivors: tuple[int, ...]) -> None:
        if self.me not in survivors or not set(survivors) <= set(self._memory.dealers):
            raise ProtocolViolation("the survivors are not dealers with this participant among them", {SERVER})
        self._check_cohort("list of survivors with valid shares", set(survivors) & self._memory.shares.keys())

    # --- Unmasking

    def _unmask(self, message: UnmaskRequest) -> list[Envelope]:
        memory = self._memory
        survivors = set(message.survivors)
        self._check_survivors(message.survivors)
        if set(message.vanished) != set(memory.dealers) - survivors:
            raise ProtocolViolation(
                "survivors and vanished do not split the dealers: both shares of a participant are never opened",
                {SERVER},
            )
        if self.scheme.active:
            self._check_consistency(message)
        elif message.signers:
            raise ProtocolViolation("the semi-honest variant has no consistency signatures", {SERVER})
        opened, size = [], shamir.SHARE_BYTES
        missing = tuple(peer for peer in memory.dealers if peer not in memory.shares)
        for peer in memory.dealers:
            if peer in memory.shares:
                row = rounds.row_to_open(peer, survivors)
                opened.append(memory.shares[peer][row * size : (row + 1) * size])
        self._forget()
        return [self.seal(Step.UNMASKING.value, SERVER, Unmasking(missing, memoryview(b"".join(opened))))]

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
