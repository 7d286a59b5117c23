"""A participant of LightSecAgg: which step follows which, and what it refuses."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
from cryptography.exceptions import InvalidTag
from numpy.typing import NDArray

from .. import machine
from ..blocks import split
from ..channels import ChannelKeys, PairwiseKeys, key_list_digest, open_share, seal_share, session_id
from ..domain import Use
from ..errors import SERVER, ProtocolViolation, WireError
from ..machine import CONTRIBUTE, START, Client, Terminal, Transitions
from ..scheme import Step
from ..wire import Envelope, Message, decode, encode
from . import rounds
from .messages import (
    AdvertiseKeys,
    KeyEntry,
    KeyList,
    MaskedInput,
    SealedShares,
    ShareMasks,
    SurvivorList,
    Unmasking,
)
from .params import LightSecAgg


class Waiting(StrEnum):
    """What a participant waits for next."""

    KEY_LIST = "waiting for KeyList"
    SEALED_SHARES = "waiting for SealedShares"
    VECTOR = "waiting for its vector"
    SURVIVOR_LIST = "waiting for SurvivorList"


TRANSITIONS: Transitions = MappingProxyType(
    {
        (Terminal.NEW, START): Waiting.KEY_LIST,
        (Waiting.KEY_LIST, "KeyList"): Waiting.SEALED_SHARES,
        (Waiting.SEALED_SHARES, "SealedShares"): Waiting.VECTOR,
        (Waiting.VECTOR, CONTRIBUTE): Waiting.SURVIVOR_LIST,
        (Waiting.SURVIVOR_LIST, "SurvivorList"): Terminal.DONE,
    }
)


class Memory(machine.Memory, array_like=True):
    """What a participant of this protocol remembers between messages.

    own: until the vector is masked. channels: receiving key for each peer, until the shares are opened.
    shares: dealer → valid coded share, until their sum is sent. dealers: who dealt.
    """

    own: rounds.OwnSecrets | None = None
    advertised: bytes = b""
    session: bytes = b""
    channels: dict[int, bytes] = msgspec.field(default_factory=dict)
    shares: dict[int, bytes] = msgspec.field(default_factory=dict)
    dealers: tuple[int, ...] = ()


class LightSecAggClient(Client):
    """Made by `LightSecAgg.client`. See `machine.Client` for the calls."""

    scheme: LightSecAgg
    memory_type = Memory
    messages = MappingProxyType({kind.__name__: kind for kind in (KeyList, SealedShares, SurvivorList)})

    @property
    def transitions(self) -> Transitions:
        return TRANSITIONS

    @property
    def _floor(self) -> int:
        return self.scheme.floor(self.policy)

    def _pad(self) -> bytes:
        session: bytes = self._memory.session
        return session

    def _binding(self, kind: str) -> bytes:
        if kind == Step.ADVERTISE_KEYS:
            return self._address
        return self._list_binding if kind == "KeyList" else self._pad()

    # --- AdvertiseKeys

    def _start(self) -> list[Envelope]:
        own = rounds.make_secrets(self.scheme, self._randomness)
        message = rounds.advertise(self.scheme, own, self.context, self._randomness)
        self._memory.own, self._memory.advertised = own, encode(message)
        return [self.seal(Step.ADVERTISE_KEYS.value, SERVER, message)]

    def _handle(self, kind: str, message: Message) -> list[Envelope]:
        match message:
            case KeyList():
                return self._share_masks(message)
            case SealedShares():
                return self._open_shares(message)
            case SurvivorList():
                return self._sum_shares(message)
        raise AssertionError(kind)

    # --- ShareMasks

    def _share_masks(self, message: KeyList) -> list[Envelope]:
        scheme, own = self.scheme, self._memory.own
        assert own is not None
        public_keys = self._check_key_list(message)
        roster_digest = self._roster.digest if self._roster is not None else b""
        session = session_id(scheme, roster_digest, self.context, key_list_digest(message.entries))
        keys = PairwiseKeys(scheme.suite, Use.CHANNEL_KEY, session, self.me, own.channel_secret)
        coded = rounds.encode_mask(scheme, session, self.me, own.mask_seed, tuple(public_keys))
        shares, size = scheme.packing.to_bytes(coded), scheme.share_bytes
        memory = self._memory
        sealed, channels = [], {}
        for position, (peer, public_key) in enumerate(public_keys.items()):
            share = bytes(shares[position * size : (position + 1) * size])
            if peer == self.me:
                memory.shares = {self.me: share}
                continue
            channel = ChannelKeys.of(keys, self.me, peer, public_key)
            channels[peer] = channel.receive
            sealed.append(seal_share(scheme.suite, channel.send, session, self.me, peer, share))
        memory.session, memory.channels = session, channels
        return [self.seal(Step.SHARE_MASKS.value, SERVER, ShareMasks(memoryview(b"".join(sealed))))]

    def _check_key_list(self, message: KeyList) -> dict[int, bytes]:
        """Check the list and the context of every member; return their channel keys, ascending by id."""
        entries = {entry.participant: entry for entry in message.entries}
        mine = entries.get(self.me)
        if mine is None or mine.payload != self._memory.advertised:
            raise ProtocolViolation("the key list does not hold this participant's own keys", {SERVER})
        self._check_cohort("key list", set(entries))
        public_keys = {participant: self._check_entry(entry) for participant, entry in entries.items()}
        if len(set(public_keys.values())) != len(entries):
            raise ProtocolViolation("a public key appears twice in the key list", {SERVER})
        return public_keys

    def _check_entry(self, entry: KeyEntry) -> bytes:
        participant = entry.participant
        if participant > self.scheme.participants:
            raise ProtocolViolation(f"the key list holds participant {participant}, who is not in this round", {SERVER})
        try:
            advertised = decode(AdvertiseKeys, entry.payload, self.scheme.payload_limit)
            rounds.check_advertised(self.scheme, advertised, self.context)
            if entry.signature:
                raise WireError("the semi-honest variant has no signatures")
        except WireError as error:
            raise ProtocolViolation(f"keys of participant {participant}: {error}", {SERVER}) from None
        except ProtocolViolation as error:
            raise ProtocolViolation(f"keys of participant {participant}: {error}", {SERVER, participant}) from None
        return advertised.channel_key

    def _check_cohort(self, what: str, members: set[int]) -> None:
        if len(members) < self._floor:
            raise ProtocolViolation(
                f"the {what} counts {len(members)} participants; this one takes part with {self._floor} or more",
                {SERVER},
            )

    # --- MaskedInput

    def _open_shares(self, message: SealedShares) -> list[Envelope]:
        memory, scheme, size = self._memory, self.scheme, self.scheme.sealed_bytes
        dealers = set(message.dealers)
        if self.me not in dealers or not dealers <= memory.channels.keys() | {self.me}:
            raise ProtocolViolation(
                "the dealers of the shares are not members of the key list with me among them", {SERVER}
            )
        others = [dealer for dealer in message.dealers if dealer != self.me]
        if len(message.sealed) != size * len(others):
            raise ProtocolViolation(f"{len(message.sealed)} sealed bytes for {len(others)} dealers", {SERVER})
        for position, dealer in enumerate(others):
            sealed = bytes(message.sealed[position * size : (position + 1) * size])
            try:
                share = open_share(scheme.suite, memory.channels[dealer], memory.session, dealer, self.me, sealed)
                scheme.packing.field.from_bytes(share)  # elements of the field, every one
            except (InvalidTag, ProtocolViolation):
                continue  # a missing share, not an abort: one dealer cannot end the round for this participant
            memory.shares[dealer] = share
        # Who sealed a good share under this session is here now: replayed keys do not count towards the cohort.
        self._check_cohort("list of dealers with valid shares", set(memory.shares))
        memory.dealers, memory.channels = message.dealers, {}
        return []

    def _contribute(self, vector: NDArray[np.integer[Any]]) -> list[Envelope]:
        memory, scheme = self._memory, self.scheme
        assert memory.own is not None
        pieces, _ = rounds.draw_mask(scheme, memory.session, self.me, memory.own.mask_seed)
        masked = rounds.mask(scheme, scheme.packing.pack(vector), pieces).astype(np.uint64)
        memory.own = None
        kind = Step.MASKED_INPUT.value
        return [self.seal(kind, SERVER, MaskedInput(block, data)) for block, data in split(scheme.packing, masked)]

    # --- Unmasking

    def _sum_shares(self, message: SurvivorList) -> list[Envelope]:
        """Answer for the one set of survivors that is announced: two sums over different sets could be subtracted."""
        memory, survivors = self._memory, message.survivors
        if self.me not in survivors or not set(survivors) <= set(memory.dealers):
            raise ProtocolViolation("the survivors are not dealers with this participant among them", {SERVER})
        self._check_cohort("list of survivors with valid shares", set(survivors) & memory.shares.keys())
        missing = tuple(survivor for survivor in survivors if survivor not in memory.shares)
        share = memoryview(b"")
        if not missing:
            held = [memory.shares[survivor] for survivor in survivors]
            share = self.scheme.packing.to_bytes(rounds.aggregate_shares(self.scheme, held))
        self._forget()
        return [self.seal(Step.UNMASKING.value, SERVER, Unmasking(missing, share))]

    def _forget(self) -> None:
        self._memory.own = None
        self._memory.channels, self._memory.shares = {}, {}
