"""The server of Bonawitz: collects, relays, adds, and takes the masks off."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from concurrent.futures import Executor
from types import MappingProxyType

import numpy as np

from .. import merkle, shamir
from ..blocks import BlockSum
from ..channels import key_list_digest, session_id
from ..errors import SERVER, ProtocolViolation, RoundFailed
from ..machine import Holdings, Server
from ..masks import add_masks, add_masks_with
from ..recovery import OpenedShares, Recovery, Unrecoverable
from ..scheme import Output, RoundContext, Step
from ..wire import Envelope, Message
from ..workers import Agreements, agree, agree_with
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


class BonawitzServer(Server):
    """Made by `Bonawitz.server`. See `machine.Server` for the calls.

    Holds one vector, the uploads that have begun and not ended, and O(n²) bytes of sealed shares for one step.
    """

    scheme: Bonawitz
    messages = MappingProxyType(
        {kind.__name__: kind for kind in (AdvertiseKeys, ShareKeys, MaskedInput, ConsistencyCheck, Unmasking)}
    )

    def __init__(
        self,
        scheme: Bonawitz,
        context: RoundContext,
        holdings: Holdings,
        executor: Executor | None,
        parts: int,
    ) -> None:
        super().__init__(scheme, context, holdings, executor, parts)
        self._session = b""
        self._entries: dict[int, KeyEntry] = {}
        self._public_keys: set[bytes] = set()
        self._members: tuple[int, ...] = ()
        self._advertised: dict[int, AdvertiseKeys] = {}
        self._sealed: dict[int, memoryview] = {}
        self._digests: dict[int, bytes] = {}
        self._dealers: tuple[int, ...] = ()
        self._sum = BlockSum(scheme.domain)
        self._survivors: tuple[int, ...] = ()
        self._signatures: dict[int, bytes] = {}
        self._opened: dict[int, Unmasking] = {}
        self._secrets: dict[int, bytes] = {}

    def _binding(self, kind: str) -> bytes:
        return self._address if kind in ("AdvertiseKeys", "KeyList") else self._session

    def _handle(self, sender: int, message: Message, envelope: Envelope) -> bool:
        match message:
            case AdvertiseKeys():
                return self._take_keys(sender, message, envelope)
            case ShareKeys():
                return self._take_shares(sender, message)
            case MaskedInput():
                return self._sum.take(sender, message.block, message.words)
            case ConsistencyCheck():
                return self._take_signature(sender, message, envelope)
            case Unmasking():
                return self._take_opened(sender, message)
        raise AssertionError(envelope.kind)

    def _close(self, step: Step, answered: tuple[int, ...]) -> list[Envelope]:
        match step:
            case Step.ADVERTISE_KEYS:
                return self._send_key_list(answered)
            case Step.SHARE_KEYS:
                return self._deliver_shares(answered)
            case Step.MASKED_INPUT:
                self._survivors = answered
                if self.scheme.active:
                    return self.seal_for_all("SurvivorList", answered, SurvivorList(answered))
                return self._request_unmasking(answered)
            case Step.CONSISTENCY_CHECK:
                return self._request_unmasking(answered)
            case Step.UNMASKING:
                self.output = self._unmask(answered)
                return []
        raise AssertionError(step)

    # --- AdvertiseKeys

    def _take_keys(self, sender: int, message: AdvertiseKeys, envelope: Envelope) -> bool:
        rounds.check_advertised(self.scheme, message, self.context)
        keys = {message.channel_key, message.mask_key}
        for key in keys:
            self.scheme.suite.agreement.check_public(key)
        if len(keys) < 2 or keys & self._public_keys:
            raise ProtocolViolation("a public key was already advertised", {sender})
        self._public_keys |= keys
        self._advertised[sender] = message
        self._entries[sender] = KeyEntry(sender, bytes(envelope.payload), envelope.signature)
        return True

    def _send_key_list(self, answered: tuple[int, ...]) -> list[Envelope]:
        entries = tuple(self._entries[participant] for participant in answered)
        self._members, self._entries = answered, {}
        outgoing = self.seal_for_all("KeyList", answered, KeyList(entries))
        roster_digest = self._roster.digest if self._roster is not None else b""
        self._session = session_id(self.scheme, roster_digest, self.context, key_list_digest(entries))
        return outgoing

    def _circle(self, member: int) -> tuple[int, ...]:
        """Return with whom a member of U₁ shares keys and secrets, itself included, ascending: everyone."""
        return self._members

    @property
    def _neighbours(self) -> int:
        """With how many others each member of U₁ shares keys and secrets."""
        return len(self._members) - 1

    # --- ShareKeys

    def _take_shares(self, sender: int, message: ShareKeys) -> bool:
        others, size = self._neighbours, self.scheme.sealed_bytes
        if len(message.sealed) != others * size:
            raise ProtocolViolation(f"{len(message.sealed)} sealed bytes for {others} holders of {size} each", {sender})
        digests = self.scheme.participants * self.scheme.secrets * merkle.HASH_BYTES if self.scheme.active else 0
        if len(message.share_digests) != digests:
            raise ProtocolViolation(f"{len(message.share_digests)} bytes of share digests, not {digests}", {sender})
        self._sealed[sender] = message.sealed
        self._digests[sender] = message.share_digests
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
                outgoing.append(self.seal("SealedShares", holder, SealedShares(answered, column.data.cast("B"))))
        return outgoing

    # --- MaskedInput

    def _lose(self, participant: int) -> None:
        self._sum.forget(participant)

    # --- ConsistencyCheck

    def _take_signature(self, sender: int, message: ConsistencyCheck, envelope: Envelope) -> bool:
        if message.survivors_digest != rounds.survivors_digest(self._session, self._survivors):
            raise ProtocolViolation("the consistency check is over other survivors", {sender})
        self._signatures[sender] = envelope.signature
        return True

    # --- Unmasking

    def _request_unmasking(self, answered: tuple[int, ...]) -> list[Envelope]:
        vanished = tuple(sorted(set(self._dealers) - set(self._survivors)))
        signers = tuple(sorted(self._signatures))[: self.scheme.quorum]
        signatures = b"".join(self._signatures[signer] for signer in signers)
        request = UnmaskRequest(self._survivors, vanished, signers, signatures)
        return self.seal_for_all("UnmaskRequest", answered, request)

    def _take_opened(self, sender: int, message: Unmasking) -> bool:
        dealers = self._dealers_to(sender)
        if message.missing and not set(message.missing) <= set(dealers) - {sender}:
            raise ProtocolViolation("shares are reported missing of someone who dealt none", {sender})
        if len(message.shares) != (len(dealers) - len(message.missing)) * shamir.SHARE_BYTES:
            raise ProtocolViolation(f"{len(message.shares)} bytes of opened shares", {sender})
        shamir.check(message.shares)
        self._opened[sender] = message
        return True

    def _dealers_to(self, holder: int) -> tuple[int, ...]:
        """Return whose shares a holder was delivered, itself included, ascending: all of U₂."""
        return self._dealers

    def _unmask(self, answered: tuple[int, ...]) -> Output:
        if not self._secrets:  # they are here already when an executor failed after they were recovered
            self._secrets, self._opened = self._recover(answered), {}
        plus = [
            rounds.self_mask_key(self.scheme, self._session, survivor, self._secrets[survivor])
            for survivor in self._survivors
        ]
        minus: list[bytes] = []
        survivors = frozenset(self._survivors)
        rows = [
            (vanished, self._secrets[vanished], tuple(peer for peer in self._circle(vanished) if peer in survivors))
            for vanished in self._dealers
            if vanished not in survivors
        ]
        public = {peer: self._advertised[peer].mask_key for peer in self._survivors}
        agreements = Agreements(self.scheme.suite, self._session, public, rows)
        executor = self.executor
        keys = agree(agreements) if executor is None else agree_with(executor, self._parts, agreements)
        pairs = [(vanished, survivor) for vanished, _, peers in rows for survivor in peers]
        for (vanished, survivor), key in zip(pairs, keys, strict=True):
            # What the survivor added comes off, what it subtracted goes back on.
            (plus if survivor > vanished else minus).append(key)
        if executor is None:
            add_masks(self._sum.words, 0, minus, plus)
        else:
            add_masks_with(executor, self._parts, self._sum.words, minus, plus)
        self._secrets = {}
        return self._sum.output(self._survivors, self.step)

    def _recover(self, answered: tuple[int, ...]) -> dict[int, bytes]:
        survivors = set(self._survivors)

        def verify(dealer: int, secret: bytes) -> bool:
            row = rounds.row_to_open(dealer, survivors)
            return rounds.verify_secret(self.scheme, self._address, dealer, self._advertised[dealer], row, secret)

        def blame(dealer: int, holder: int, share: bytes) -> frozenset[int]:
            if not self.scheme.active:
                return frozenset({dealer, holder, SERVER})  # nothing is signed: they cannot be told apart
            row = rounds.row_to_open(dealer, survivors)
            return frozenset({self._signed_blame(dealer, holder, row, share)})

        recovery = Recovery(self.scheme.quorum, verify, blame, self._randomness)
        try:
            return self._reconstruct(recovery, answered)
        except Unrecoverable as failure:
            raise RoundFailed(
                self.step.value, failure.have, self.scheme.quorum, str(failure), failure.culprits
            ) from None
        finally:
            self._corrections.extend(recovery.corrections)

    def _signed_blame(self, dealer: int, holder: int, row: int, share: bytes) -> int:
        """Return who is to blame for a wrong share: the holder unless it returned exactly what the dealer signed."""
        digests = self._digests[dealer]
        if merkle.root(rounds.holder_leaves(self.scheme, digests)) != self._advertised[dealer].share_root:
            return dealer  # it signed two different lists
        start = ((holder - 1) * self.scheme.secrets + row) * merkle.HASH_BYTES
        matches = rounds.share_digest(dealer, holder, row, share) == digests[start : start + merkle.HASH_BYTES]
        return dealer if matches else holder

    def _reconstruct(self, recovery: Recovery, answered: tuple[int, ...]) -> dict[int, bytes]:
        """Return every dealer's secret, out of what was opened. Raises `Unrecoverable`."""
        return recovery.secrets(self._opened_shares(answered))

    def _opened_shares(self, answered: tuple[int, ...]) -> OpenedShares:
        shape = (len(answered), len(self._dealers))
        shares = np.zeros((*shape, shamir.SHARE_BYTES), dtype=np.uint8)
        present = np.ones(shape, dtype=np.bool_)
        for row, holder in enumerate(answered):
            message = self._opened[holder]
            if message.missing:
                present[row] = ~np.isin(self._dealers, message.missing)
            shares[row, present[row]] = np.frombuffer(message.shares, dtype=np.uint8).reshape(-1, shamir.SHARE_BYTES)
        return OpenedShares(answered, self._dealers, shares, present)
