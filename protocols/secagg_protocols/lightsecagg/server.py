"""The server of LightSecAgg: collects, relays, adds, and takes the one aggregate mask off."""

from __future__ import annotations

from concurrent.futures import Executor
from types import MappingProxyType

import numpy as np

from ..blocks import Uploads
from ..channels import key_list_digest, session_id
from ..errors import SERVER, ProtocolViolation, RoundFailed
from ..field import Elements
from ..machine import Holdings, Server
from ..recovery import Correction
from ..reed_solomon import ShareCode, TooManyErrors
from ..scheme import Output, RoundContext, Step
from ..wire import Envelope, Message
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


class LightSecAggServer(Server):
    """Made by `LightSecAgg.server`. See `machine.Server` for the calls.

    Holds one vector, the uploads that have begun and not ended, and for one step all sealed shares: N² of them, each
    of length / (U − T) elements.
    """

    scheme: LightSecAgg
    messages = MappingProxyType({kind.__name__: kind for kind in (AdvertiseKeys, ShareMasks, MaskedInput, Unmasking)})

    def __init__(
        self,
        scheme: LightSecAgg,
        context: RoundContext,
        holdings: Holdings,
        executor: Executor | None,
        parts: int,
    ) -> None:
        super().__init__(scheme, context, holdings, executor, parts)
        self._public_keys: set[bytes] = set()
        self._entries: dict[int, KeyEntry] = {}
        self._session = b""
        self._members: tuple[int, ...] = ()
        self._sealed: dict[int, memoryview] = {}
        self._dealers: tuple[int, ...] = ()
        self._sum = Uploads(scheme.packing)
        self._survivors: tuple[int, ...] = ()
        self._shares: dict[int, Elements] = {}

    def _binding(self, kind: str) -> bytes:
        if kind == Step.ADVERTISE_KEYS:
            return self._address
        return self._list_binding if kind == "KeyList" else self._session

    def _handle(self, sender: int, message: Message, envelope: Envelope) -> bool:
        match message:
            case AdvertiseKeys():
                return self._take_keys(sender, message, envelope)
            case ShareMasks():
                return self._take_shares(sender, message)
            case MaskedInput():
                self.scheme.packing.field.from_bytes(message.words)  # elements of the field, every one
                return self._sum.take(sender, message.block, message.words)
            case Unmasking():
                return self._take_sum(sender, message)
        raise AssertionError(envelope.kind)

    def _close(self, step: Step, answered: tuple[int, ...]) -> list[Envelope]:
        match step:
            case Step.ADVERTISE_KEYS:
                return self._send_key_list(answered)
            case Step.SHARE_MASKS:
                return self._deliver_shares(answered)
            case Step.MASKED_INPUT:
                self._survivors = answered
                return self.seal_for_all("SurvivorList", answered, SurvivorList(answered))
            case Step.UNMASKING:
                self.output = self._unmask(answered)
                return []
        raise AssertionError(step)

    def _lose(self, participant: int) -> None:
        self._sealed.pop(participant, None)
        self._sum.forget(participant)

    # --- AdvertiseKeys

    def _take_keys(self, sender: int, message: AdvertiseKeys, envelope: Envelope) -> bool:
        rounds.check_advertised(self.scheme, message, self.context)
        if message.channel_key in self._public_keys:
            raise ProtocolViolation("a public key was already advertised", {sender})
        self._public_keys.add(message.channel_key)
        self._entries[sender] = KeyEntry(sender, bytes(envelope.payload), envelope.signature)
        return True

    def _send_key_list(self, answered: tuple[int, ...]) -> list[Envelope]:
        entries = tuple(self._entries[participant] for participant in answered)
        self._members, self._entries = answered, {}
        outgoing = self.seal_for_all("KeyList", answered, KeyList(entries))
        roster_digest = self._roster.digest if self._roster is not None else b""
        self._session = session_id(self.scheme, roster_digest, self.context, key_list_digest(entries))
        return outgoing

    # --- ShareMasks

    def _take_shares(self, sender: int, message: ShareMasks) -> bool:
        others, size = len(self._members) - 1, self.scheme.sealed_bytes
        if len(message.sealed) != others * size:
            raise ProtocolViolation(f"{len(message.sealed)} sealed bytes for {others} holders of {size} each", {sender})
        self._sealed[sender] = message.sealed
        return True

    def _deliver_shares(self, answered: tuple[int, ...]) -> list[Envelope]:
        self._dealers, size = answered, self.scheme.sealed_bytes
        position = {member: index for index, member in enumerate(self._members)}
        outgoing = []
        for holder in answered:
            column = []
            for dealer in answered:
                if dealer != holder:
                    # A dealer seals nothing for itself, so those behind it stand one place earlier.
                    start = (position[holder] - (position[holder] > position[dealer])) * size
                    column.append(self._sealed[dealer][start : start + size])
            outgoing.append(self.seal("SealedShares", holder, SealedShares(answered, memoryview(b"")), column))
        self._sealed = {}
        return outgoing

    # --- Unmasking

    def _take_sum(self, sender: int, message: Unmasking) -> bool:
        if not set(message.missing) <= set(self._survivors) - {sender}:
            raise ProtocolViolation("shares are reported missing of someone who is not in the sum", {sender})
        expected = 0 if message.missing else self.scheme.share_bytes
        if len(message.share) != expected:
            raise ProtocolViolation(f"a sum of shares has {len(message.share)} bytes, not {expected}", {sender})
        if message.missing:  # an honest report: it has no sum to give, and nobody else is the worse for it
            self._suspects |= {SERVER, sender, *message.missing}
            who = ", ".join(map(str, message.missing[:5])) + (", …" if len(message.missing) > 5 else "")
            self._drop(sender, f"holds no valid share of participant {who}")
            return False
        self._shares[sender] = self.scheme.packing.field.from_bytes(message.share)
        return True

    def _unmask(self, answered: tuple[int, ...]) -> Output:
        shares = np.stack([self._shares[holder] for holder in answered])
        self._shares = {}
        wrong = self._wrong_holders(answered, shares)
        right = [row for row, holder in enumerate(answered) if holder not in wrong][: self.scheme.quorum]
        aggregate = rounds.decode_aggregate(self.scheme, [answered[row] for row in right], shares[right])
        sums = rounds.unmask(self.scheme, self._sum.words, aggregate)
        return Output(self.scheme.packing.total(sums, self._survivors, self.step), self._survivors)

    def _wrong_holders(self, answered: tuple[int, ...], shares: Elements) -> frozenset[int]:
        """Return the holders whose sums do not fit the others'; with exactly U answers nothing can be seen."""
        code = ShareCode(answered, self.scheme.quorum, self.scheme.packing.field)
        try:
            wrong = code.wrong_shares(shares, self._randomness)
        except TooManyErrors as error:
            spare = len(answered) - self.scheme.quorum
            raise RoundFailed(
                self.step.value,
                len(answered),
                self.scheme.quorum,
                f"the sums of shares contradict each other and {spare} spare ones do not tell which are wrong: {error}",
            ) from None
        # Nothing is signed: any dealer may have dealt this holder a share that does not fit the others.
        for holder in sorted(wrong):
            self._corrections.append(Correction(SERVER, holder, frozenset({SERVER, holder, *self._survivors})))
        return wrong
