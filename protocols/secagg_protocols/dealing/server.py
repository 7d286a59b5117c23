"""The server of a protocol that deals shares: collects, relays, and asks for one set of survivors."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_left, bisect_right
from typing import Any, ClassVar

import numpy as np

from ..core.channels import session_id
from ..core.context import RoundContext
from ..core.party import Aggregator
from ..core.server import Server
from ..core.step import Step
from ..core.wire import Envelope, Message
from ..errors import ProtocolViolation
from ..packing.blocks import Uploads
from ..packing.sums import Output
from . import rounds
from .messages import ConsistencyCheck, KeyEntry, KeyList, SealedShares, ShareKeys, SurvivorList, UnmaskRequest
from .params import Dealing


class DealingServer(Server):
    """Base of servers: everything but the content of keys, uploads and openings.

    Holds one vector, the uploads that have begun and not ended, and O(n²) bytes of sealed shares for one step.
    """

    scheme: Dealing
    advertise_type: ClassVar[type[Message]]
    upload_type: ClassVar[type[Message]]
    """The scheme's messages. An upload has a `block` and its `words`."""
    list_kind: ClassVar[str] = "KeyList"

    def __init__(
        self,
        scheme: Dealing,
        context: RoundContext,
        party: Aggregator,
    ) -> None:
        super().__init__(scheme, context, party)
        self._session = b""
        self._entries: dict[int, KeyEntry] = {}
        self._key_owners: dict[bytes, int] = {}
        self._members: tuple[int, ...] = ()
        self._advertised: dict[int, Any] = {}
        self._sealed: dict[int, memoryview] = {}
        self._dealers: tuple[int, ...] = ()
        self._sum = self._new_sum()
        self._survivors: tuple[int, ...] = ()
        self._signatures: dict[int, bytes] = {}

    # --- what a scheme adds

    @abstractmethod
    def _new_sum(self) -> Uploads:
        """Return where uploads are added up."""

    @abstractmethod
    def _check_advertised(self, message: Any) -> tuple[bytes, ...]:
        """Check the content of someone's AdvertiseKeys; return its public keys. Raises `ProtocolViolation`."""

    def _check_told(self, sender: int, share_digests: bytes) -> None:
        """Check what a dealer told the server about its shares. Raises `ProtocolViolation`."""
        if share_digests:
            raise ProtocolViolation(f"{len(share_digests)} bytes of share digests, not 0", {sender})

    @abstractmethod
    def _take_opened(self, sender: int, message: Any) -> bool:
        """Take what a holder opened; return whether it is an answer."""

    @abstractmethod
    def _finish(self, answered: tuple[int, ...]) -> Output:
        """Return the result, from what was opened."""

    # --- the steps

    @property
    def upload_bytes(self) -> int:
        return self._sum.upload_bytes

    def _binding(self, kind: str) -> bytes:
        if kind == Step.ADVERTISE_KEYS:
            return self._address
        return self._list_binding if kind == self.list_kind else self._session

    def _handle(self, sender: int, message: Message, envelope: Envelope) -> bool:
        if isinstance(message, self.advertise_type):
            return self._take_keys(sender, message, envelope)
        if isinstance(message, self.upload_type):
            return self._take_upload(sender, message)
        match message:
            case ShareKeys():
                return self._take_shares(sender, message)
            case ConsistencyCheck():
                return self._take_signature(sender, message, envelope)
        return self._take_opened(sender, message)

    def _close(self, step: Step, answered: tuple[int, ...]) -> list[Envelope]:
        if step is Step.ADVERTISE_KEYS:
            return self._send_key_list(answered)
        if step is self.scheme.deal_step:
            return self._deliver_shares(answered)
        if step is self.scheme.upload_step:
            self._survivors = answered
            if self.scheme.active:
                return self.seal_for_all("SurvivorList", answered, SurvivorList(answered))
            return self._request_opening(answered)
        if step is Step.CONSISTENCY_CHECK:
            return self._request_opening(answered)
        assert step is self.scheme.opening_step
        self.output = self._finish(answered)
        return []

    # --- AdvertiseKeys

    def _take_keys(self, sender: int, message: Message, envelope: Envelope) -> bool:
        keys = self._check_advertised(message)
        if len(set(keys)) < len(keys):
            raise ProtocolViolation("a public key was already advertised, for another use", {sender})
        self._check_unclaimed(sender, keys)
        self._key_owners.update(dict.fromkeys(keys, sender))
        self._advertised[sender] = message
        self._entries[sender] = KeyEntry(sender, bytes(envelope.payload), envelope.signature)
        return True

    def _check_unclaimed(self, sender: int, keys: tuple[bytes, ...]) -> None:
        """Drop all who advertise one key, and raise `ProtocolViolation`: who copied it cannot be told.

        The first to send it may be the copyist, so the owner would else be dropped alone, and be the one named.
        """
        rivals = {self._key_owners[key] for key in keys if key in self._key_owners}
        if not rivals:
            return
        who = sorted({sender, *rivals})
        reason = f"a public key was already advertised: participants {who} claim it, and whose it is cannot be told"
        for rival in rivals & self._answered:  # who advertised and left is among them, and would be listed
            self._drop(rival, reason)
        raise ProtocolViolation(reason, who)

    def _send_key_list(self, answered: tuple[int, ...]) -> list[Envelope]:
        entries = tuple(self._entries[participant] for participant in answered)
        self._members, self._entries = answered, {}
        message = self._key_list(entries)
        outgoing = self.seal_for_all("KeyList", answered, message)
        roster_digest = self._roster.digest if self._roster is not None else b""
        self._session = session_id(self.scheme, roster_digest, self.context, message.digest)
        return outgoing

    def _key_list(self, entries: tuple[KeyEntry, ...]) -> KeyList:
        """Return U₁ as it travels."""
        return KeyList(entries)

    def _sealed_shares(self, dealers: tuple[int, ...], sealed: memoryview) -> Message:
        """Return U₂ and what was sealed for one holder, as it travels."""
        return SealedShares(dealers, sealed)

    def _circle(self, member: int) -> tuple[int, ...]:
        """Return with whom a member of U₁ shares keys and secrets, itself included, ascending: everyone."""
        return self._members

    def _others(self, member: int) -> int:
        """Return to how many others a member of U₁ deals."""
        return len(self._members) - 1

    # --- ShareKeys

    def _take_shares(self, sender: int, message: ShareKeys) -> bool:
        others, size = self._others(sender), self.scheme.sealed_bytes
        if len(message.sealed) != others * size:
            raise ProtocolViolation(f"{len(message.sealed)} sealed bytes for {others} holders of {size} each", {sender})
        self._check_told(sender, message.share_digests)
        self._sealed[sender] = message.sealed
        return True

    def _deliver_shares(self, answered: tuple[int, ...]) -> list[Envelope]:
        self._dealers = answered
        members, size = self._members, self.scheme.sealed_bytes
        sealed = np.frombuffer(b"".join(self._sealed[dealer] for dealer in answered), dtype=np.uint8)
        sealed = sealed.reshape(len(answered), len(members) - 1, size)
        self._sealed = {}
        outgoing = []
        for position, holder in enumerate(members):
            if holder in self._answered:
                # A dealer's row leaves the dealer out, so a holder that comes after it stands one place further up.
                before, after = bisect_left(answered, holder), bisect_right(answered, holder)
                column = np.concatenate(
                    [sealed[:before, position - 1], *sealed[after:, position : position + 1].swapaxes(0, 1)]
                )
                message = self._sealed_shares(answered, column.reshape(-1).data)
                outgoing.append(self.seal("SealedShares", holder, message))
        return outgoing

    # --- the upload

    def _take_upload(self, sender: int, message: Any) -> bool:
        return self._sum.take(sender, message.block, message.words)

    def _lose(self, participant: int) -> None:
        self._sum.forget(participant)

    # --- ConsistencyCheck

    def _take_signature(self, sender: int, message: ConsistencyCheck, envelope: Envelope) -> bool:
        if message.survivors_digest != rounds.survivors_digest(self._session, self._survivors):
            raise ProtocolViolation("the consistency check is over other survivors", {sender})
        self._signatures[sender] = envelope.signature
        return True

    # --- the opening

    def _request_opening(self, answered: tuple[int, ...]) -> list[Envelope]:
        vanished = tuple(sorted(set(self._dealers) - set(self._survivors)))
        signers = tuple(sorted(self._signatures))[: self.scheme.quorum]
        signatures = b"".join(self._signatures[signer] for signer in signers)
        request = UnmaskRequest(self._survivors, vanished, signers, signatures)
        return self.seal_for_all("UnmaskRequest", answered, request)
