"""A hostile server in the messages of Bonawitz: the bench of `attack`, and what such a server makes of what it sees.

`attack.expose(victim)` is the payoff: the victim's vector, if what was opened gives it away, else None.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from secagg_protocols import Envelope, Step
from secagg_protocols.bonawitz import steps
from secagg_protocols.bonawitz.client import BonawitzClient
from secagg_protocols.bonawitz.messages import AdvertiseKeys, KeyEntry, KeyList, SealedShares, ShareKeys, UnmaskRequest
from secagg_protocols.core import channels
from secagg_protocols.core.secrets import rows_to_open
from secagg_protocols.core.wire import decode
from secagg_protocols.dealing import steps as dealing
from secagg_protocols.primitives import shamir
from secagg_protocols.primitives.domain import Use

from . import attack


class Attack(attack.Attack):
    """One round of Bonawitz under attack. `run` never raises because the round failed: see `failure`."""

    scheme: Any
    server: Any
    """Its machine: a hostile server looks into it, and sends what it likes."""

    kinds: ClassVar[Mapping[Step | None, str]] = {
        Step.SHARE_KEYS: "KeyList",
        Step.MASKED_INPUT: "SealedShares",
        Step.CONSISTENCY_CHECK: "SurvivorList",
        Step.UNMASKING: "UnmaskRequest",
    }

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.shares: dict[tuple[int, int], dict[int, bytes]] = defaultdict(dict)
        self.seeds: dict[int, bytes] = {}
        self._answered: dict[int, Envelope] = {}
        """Holder → the request that it answered last: who answers one twice answers both its lists (`weaknesses`)."""

    def vector_of(self, who: int) -> list[Envelope]:
        client = self.clients[who]
        if client.awaits_vector and isinstance(client, BonawitzClient):
            self.seeds[who] = client._memory.own.seeds[0]
        return super().vector_of(who)

    def note(self, who: int, envelope: Envelope) -> None:
        if envelope.kind == "Unmasking":
            self._note_opened(who, envelope)

    # --- what the server sees

    def advertised(self, who: int) -> AdvertiseKeys:
        """Return a participant's public keys."""
        return decode(AdvertiseKeys, self.sent["AdvertiseKeys"][who].payload, self.scheme.payload_limit)

    def dealers(self, who: int) -> tuple[int, ...]:
        """Return the dealers U₂ that a participant was told."""
        return decode(SealedShares, self.told["SealedShares"][who].payload, self.scheme.payload_limit).dealers

    def _note_opened(self, holder: int, envelope: Envelope) -> None:
        request = decode(UnmaskRequest, self.told["UnmaskRequest"][holder].payload, self.scheme.payload_limit)
        message, size, position = self.server.open(envelope), shamir.SHARE_BYTES, 0
        survivors = request.survivors
        if self._answered.get(holder) is self.told["UnmaskRequest"][holder]:
            survivors = tuple(who for who in survivors if who not in request.vanished)
        self._answered[holder] = self.told["UnmaskRequest"][holder]
        rows = rows_to_open(self.scheme.secrets, self.dealers(holder), survivors)
        for dealer in self.dealers(holder):
            if dealer not in message.missing:
                row = rows[dealer]
                self.shares[dealer, row][holder] = bytes(message.shares[position : position + size])
                position += size

    def _remember(self, who: int) -> None:
        super()._remember(who)
        if who in self.memories:
            self.hand_over(who)

    def hand_over(self, colluder: int) -> None:
        """A colluder gives the server every share that it holds now. (Those in the settings do so after every call.)"""
        size = shamir.SHARE_BYTES
        for dealer, share in self.clients[colluder]._memory.shares.items():
            for row in (steps.MASK_KEY, steps.SELF_MASK_SEED):
                self.shares[dealer, row][colluder] = share[row * size : (row + 1) * size]

    def secret(self, dealer: int, row: int) -> bytes | None:
        """Return a dealer's secret, once t shares of it have come."""
        opened = list(self.shares[dealer, row].items())[: self.scheme.quorum]
        if len(opened) < self.scheme.quorum:
            return None
        elements = shamir.decode(np.stack([np.frombuffer(share, dtype=np.uint8) for _, share in opened]))
        (secret,) = shamir.reconstruct([holder for holder, _ in opened], elements[:, None, :])
        assert secret is not None
        return secret

    def masked(self, who: int) -> NDArray[np.uint64]:
        """Return the words of a participant's masked input."""
        lanes = self.scheme.domain.lanes
        words = np.zeros(lanes.words, dtype=np.uint64)
        lanes.add_bytes(words, self.server.open(self.sent["MaskedInput"][who]).words)
        return words

    def unmask(self, who: int, seed: bytes | None, pairwise: Mapping[int, bytes]) -> NDArray[np.uint64]:
        """Take masks off a masked input: the self-mask, if its seed is given, and the pairwise ones by key."""
        words = self.masked(who)
        masks, session = np.zeros_like(words), self.server._session
        self_key = steps.self_mask_key(self.scheme, session, who, seed or bytes(32))
        steps.mask(masks, who, self_key, pairwise)
        if seed is None:
            steps.mask(words, who, self_key, {})
        values: NDArray[np.uint64] = self.scheme.domain.lanes.unpack(words - masks)
        return values

    def without_self_masks(self) -> NDArray[np.uint64]:
        """Return all masked inputs added up, without their self masks, which this bench knows: do the others cancel?"""
        words = np.zeros(self.scheme.domain.lanes.words, dtype=np.uint64)
        for who in sorted(self.sent["MaskedInput"]):
            own = np.zeros_like(words)
            session = self.clients[who]._memory.session
            steps.mask(own, who, steps.self_mask_key(self.scheme, session, who, self.seeds[who]), {})
            words += self.masked(who) - own
        values: NDArray[np.uint64] = self.scheme.domain.lanes.unpack(words)
        return values

    def pairwise(self, who: int) -> dict[int, bytes] | None:
        """Return the keys of a participant's pairwise masks, if enough mask secrets were opened."""
        own, keys = self.secret(who, steps.MASK_KEY), {}
        for peer in set(self.dealers(who)) - {who}:
            owner, other = (who, peer) if own is not None else (peer, who)
            secret = own if own is not None else self.secret(peer, steps.MASK_KEY)
            if secret is None:
                return None
            agreed = channels.PairwiseKeys(self.scheme.suite, Use.MASK_KEY, self.server._session, owner, secret)
            keys[peer] = agreed.with_peer(other, self.advertised(other).mask_key)
        return keys

    def expose(self, victim: int) -> NDArray[np.uint64] | None:
        """Return the victim's vector, if what was opened gives it away."""
        seed = self.secret(victim, steps.SELF_MASK_SEED)
        if seed is None or victim not in self.sent["MaskedInput"]:
            return None
        pairwise = self.pairwise(victim)
        return None if pairwise is None else self.unmask(victim, seed, pairwise)

    # --- what the server sends

    def tell(self, kind: str, messages: Mapping[int, Any]) -> list[Envelope]:
        """Make the server's envelopes, one message per recipient (a tuple of fields goes out unchecked)."""
        return [self.server.seal(kind, who, message) for who, message in messages.items()]

    def everyones_keys(self) -> list[Envelope]:
        """Show everyone the keys of all who advertised, whatever an honest server would hold back."""
        entries = tuple(
            KeyEntry(who, bytes(envelope.payload), envelope.signature)
            for who, envelope in sorted(self.sent["AdvertiseKeys"].items())
        )
        return self.tell("KeyList", dict.fromkeys(self.clients, KeyList(entries)))

    def shares_for_all(self) -> list[Envelope]:
        """Deliver everyone's shares to everyone who has dealt, each under the session that its receiver is in.

        So goes on who keeps up several sessions. Of a dealer that sent none there are bytes that do not open.
        """
        size, own = self.scheme.sealed_bytes, self.server._session
        sent = sorted(self.sent["ShareKeys"].items())
        dealt = {who: decode(ShareKeys, envelope.payload, self.scheme.payload_limit).sealed for who, envelope in sent}
        dealers = tuple(self.clients)
        envelopes = []
        for who in dealt:
            column = bytearray()
            for dealer in (one for one in dealers if one != who):
                place = (who - 1) - (who > dealer)
                column += dealt[dealer][place * size : (place + 1) * size] if dealer in dealt else bytes(size)
            self.server._session = self.clients[who]._memory.session
            envelopes += self.tell("SealedShares", {who: SealedShares(dealers, memoryview(bytes(column)))})
        self.server._session = own
        return envelopes

    def signatures(self, survivors: tuple[int, ...]) -> dict[int, bytes]:
        """Return the consistency signatures that came for exactly these survivors."""
        wanted = dealing.survivors_digest(self.server._session, survivors)
        return {
            who: envelope.signature
            for who, envelope in sorted(self.sent["ConsistencyCheck"].items())
            if self.server.open(envelope).survivors_digest == wanted
        }

    def request(self, survivors: tuple[int, ...], dealers: tuple[int, ...]) -> UnmaskRequest:
        """Make the request for this view, with all the signatures that there are for it."""
        signed = self.signatures(survivors) if self.scheme.active else {}
        vanished = tuple(sorted(set(dealers) - set(survivors)))
        return UnmaskRequest(survivors, vanished, tuple(signed), tuple(signed.values()))
