"""The server of a protocol that deals shares: collects, relays, and asks for one set of survivors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ..core.context import RoundContext
from ..core.fields import check_sizes
from ..core.party import Aggregator
from ..core.server import Server
from ..core.step import Step
from ..core.wire import Envelope, Message
from ..errors import ProtocolViolation, RoundFailed
from ..packing.blocks import Uploads
from ..packing.sums import Output
from . import steps
from .graph import CompleteGraph, Graph
from .messages import ConsistencyCheck, KeyEntry, SealedShares, ShareKeys, SurvivorList
from .params import Dealing


class DealingServer(Server):
    """Base of servers: everything but the content of keys, uploads and openings.

    Holds one vector, the uploads that have begun and not ended, and O(n²) bytes of sealed shares for one step.
    """

    scheme: Dealing
    advertise_type: ClassVar[type[Message]]
    upload_type: ClassVar[type[Message]]
    """The scheme's messages. An upload has a `block` and its `words`."""

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
        self._graph: Graph = CompleteGraph(())
        self._advertised: dict[int, Any] = {}
        self._sealed: dict[int, memoryview] = {}
        self._dealers: tuple[int, ...] = ()
        self._delivered: dict[int, tuple[int, ...]] = {}
        """Whose shares each holder was sent, itself included, ascending."""
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

    def _keep_told(self, sender: int, share_digests: bytes) -> None:
        """Keep what a dealer told the server about its shares."""

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

    @property
    def _session_binding(self) -> bytes:
        return self._session

    def _too_few(self) -> RoundFailed:
        failure = super()._too_few()
        why = self.scheme.why_needed(self.step)
        if not why:
            return failure
        return RoundFailed(failure.step, failure.have, failure.need, why, failure.culprits)

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
        self._graph = self.scheme.draw_graph(answered, self._randomness)
        self._members = answered
        entries = {member: self._entries[member] for member in answered}
        self._entries = {}
        outgoing = []
        list_digest = b""
        for recipients, message in self._key_lists(entries):
            list_digest = message.digest  # one for all
            outgoing += self.seal_for_all(type(message).__name__, recipients, message)
        self._session = steps.session_of(self.scheme, self._roster, self.context, list_digest)
        return outgoing

    def _key_lists(self, entries: Mapping[int, KeyEntry]) -> Iterator[tuple[tuple[int, ...], Any]]:
        """Yield (members, the list of keys that they are sent)."""
        yield from self.scheme.key_lists(self._graph, entries)

    def _sealed_shares(self, dealers: tuple[int, ...], sealed: memoryview) -> Message:
        """Return U₂ and what was sealed for one holder, as it travels."""
        return SealedShares(dealers, sealed)

    # --- ShareKeys

    def _take_shares(self, sender: int, message: ShareKeys) -> bool:
        others = self._graph.others(sender)
        size = self.scheme.sealed_bytes
        if len(message.sealed) != others * size:
            raise ProtocolViolation(f"{len(message.sealed)} sealed bytes for {others} holders of {size} each", {sender})
        check_sizes(message, self.scheme, {sender})
        self._keep_told(sender, message.share_digests)
        self._sealed[sender] = message.sealed
        return True

    def _deliver_shares(self, answered: tuple[int, ...]) -> list[Envelope]:
        self._dealers = answered
        sealed = b"".join(self._sealed[dealer] for dealer in answered)
        self._sealed = {}
        outgoing = []
        for holder, dealers, column in self._graph.deliver(answered, sealed, self.scheme.sealed_bytes):
            self._delivered[holder] = dealers
            outgoing.append(self.seal("SealedShares", holder, self._sealed_shares(dealers, column)))
        return outgoing

    # --- the upload

    def _take_upload(self, sender: int, message: Any) -> bool:
        return self._sum.take(sender, message.block, message.words)

    def _lose(self, participant: int) -> None:
        self._sum.forget(participant)

    # --- ConsistencyCheck

    def _take_signature(self, sender: int, message: ConsistencyCheck, envelope: Envelope) -> bool:
        steps.check_signed(self._session, sender, message, self._survivors)
        self._signatures[sender] = envelope.signature
        return True

    # --- the opening

    def _request_opening(self, answered: tuple[int, ...]) -> list[Envelope]:
        shown = {signer: self._signatures[signer] for signer in sorted(self._signatures)[: self.scheme.quorum]}
        requests = steps.unmask_requests(self._graph, self._dealers, self._survivors, answered, shown)
        return [
            envelope
            for holders, request in requests
            for envelope in self.seal_for_all("UnmaskRequest", holders, request)
        ]
