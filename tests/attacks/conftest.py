"""A hostile server's bench: real machines, a server that keeps all it sees, and scripts that say what it sends.

`launch(scheme, hostile=…)` runs one round. `hostile` maps a party (0 the server) to {message kind: script}; a script
takes (attack, the envelopes that the honest machine would send) and returns those that are sent instead. A hostile
server goes on where an honest one would give up. `attack.expose(victim)` is the payoff: the victim's vector, if what
was opened gives it away, else None.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from secagg import (
    SERVER,
    Bonawitz,
    Client,
    ContributionLedger,
    Envelope,
    Identity,
    MemoryLedger,
    Policy,
    ProtocolViolation,
    RemoteError,
    RepeatedContext,
    Roster,
    RoundContext,
    RoundFailed,
    SecAggError,
    StateError,
    Step,
)
from secagg_protocols import Aggregator, Participant
from secagg_protocols.bonawitz import rounds
from secagg_protocols.bonawitz.client import BonawitzClient
from secagg_protocols.bonawitz.messages import AdvertiseKeys, SealedShares, UnmaskRequest
from secagg_protocols.core import channels
from secagg_protocols.core.wire import decode
from secagg_protocols.dealing import rounds as dealing
from secagg_protocols.primitives import shamir
from secagg_protocols.primitives.domain import Use

Script = Callable[["Attack", list[Envelope]], list[Envelope]]
Parties = tuple[dict[int, Identity], Roster | None]

CONTEXT = RoundContext("job", 1, b"\x01" * 32)


def parties_of(scheme: Bonawitz) -> Parties:
    """Make identities and the roster, where the scheme has them."""
    if not scheme.active:
        return {}, None
    parties = range(scheme.participants + 1)
    identities = {party: Identity.generate(f"party {party}", scheme.ciphersuite) for party in parties}
    return identities, Roster.of(scheme.ciphersuite, [own.public(party) for party, own in identities.items()])


def vectors_of(scheme: Bonawitz) -> dict[int, NDArray[np.int64]]:
    """Make one vector per participant."""
    draw = np.random.default_rng(scheme.participants)
    top = 1 << scheme.value_bits
    return {who: draw.integers(0, top, scheme.length) for who in range(1, scheme.participants + 1)}


class Attack:
    """One round of Bonawitz under attack. `run` never raises because the round failed: see `failure`."""

    def __init__(
        self,
        scheme: Bonawitz,
        hostile: Mapping[int, Mapping[str, Script]] | None = None,
        *,
        vectors: Mapping[int, NDArray[np.int64]] | None = None,
        parties: Parties | None = None,
        context: RoundContext = CONTEXT,
        contexts: Mapping[int, RoundContext] | None = None,
        policy: Policy = Policy(),  # noqa: B008  (frozen)
        ledgers: Mapping[int, ContributionLedger] | None = None,
        absent: Mapping[int, Step] | None = None,
    ) -> None:
        self.scheme, self.hostile, self.absent = scheme, hostile or {}, absent or {}
        self.vectors = vectors or vectors_of(scheme)
        self.identities, self.roster = parties or parties_of(scheme)
        self.server = scheme.server(context, Aggregator(identity=self.identities.get(SERVER), roster=self.roster))
        self.clients: dict[int, Client] = {
            who: scheme.client(
                who,
                (contexts or {}).get(who, context),
                Participant(
                    identity=self.identities.get(who),
                    roster=self.roster,
                    policy=policy,
                    ledger=(ledgers or {}).get(who, MemoryLedger()),
                ),
            )
            for who in range(1, scheme.participants + 1)
        }
        self.refusals: list[tuple[int, str, SecAggError]] = []
        self.sent: dict[str, dict[int, Envelope]] = defaultdict(dict)
        self.told: dict[str, dict[int, Envelope]] = defaultdict(dict)
        self.shares: dict[tuple[int, int], dict[int, bytes]] = defaultdict(dict)
        self.seeds: dict[int, bytes] = {}
        self.failure: RoundFailed | None = None

    # --- the round

    def run(self, until: str | None = None) -> Attack:
        """Run the round; stop before the server sends `until`."""
        self.server.start()
        for who, client in self.clients.items():
            if self._present(who, self.scheme.steps[0]):
                self._take(who, None, client.start())
        kinds = ["KeyList", "SealedShares", *(["SurvivorList"] if self.scheme.active else []), "UnmaskRequest"]
        for kind, step in zip(kinds, self.scheme.steps[1:], strict=True):
            if kind == until:
                return self
            for envelope in self._hostile(SERVER, kind, self._advance()):
                if self._present(envelope.recipient, step):
                    self.deliver(envelope)
        self._advance()
        return self

    def deliver(self, envelope: Envelope) -> None:
        """Give a participant an envelope, and the server what it answers."""
        who = envelope.recipient
        client = self.clients[who]
        try:
            answers = client.receive(Envelope.from_bytes(envelope.to_bytes(), self.scheme.envelope_limit))
            if client.awaits_vector:
                if isinstance(client, BonawitzClient):
                    self.seeds[who] = client._memory.own.seeds[0]
                answers += client.contribute(self.vectors[who])
        except (RemoteError, StateError, RepeatedContext) as error:
            self.refusals.append((who, envelope.kind, error))
            return
        self._take(who, envelope, answers)

    def to_server(self, envelope: Envelope) -> None:
        """Give the server's machine an envelope."""
        try:
            self.server.receive(Envelope.from_bytes(envelope.to_bytes(), self.scheme.envelope_limit))
        except (RemoteError, StateError) as error:
            self.refusals.append((SERVER, envelope.kind, error))

    def _present(self, who: int, step: Step) -> bool:
        steps = self.scheme.steps
        return who not in self.absent or steps.index(step) < steps.index(self.absent[who])

    def _advance(self) -> list[Envelope]:
        try:
            return self.server.advance()
        except RoundFailed as failure:
            self.failure = failure
        except StateError:
            pass  # failed before: a hostile server goes on by its script
        return []

    def _hostile(self, party: int, kind: str, envelopes: list[Envelope]) -> list[Envelope]:
        script = self.hostile.get(party, {}).get(kind)
        return script(self, envelopes) if script else envelopes

    def _take(self, who: int, request: Envelope | None, answers: list[Envelope]) -> None:
        if answers:
            answers = self._hostile(who, answers[0].kind, answers)
        if request is not None:
            self.told[request.kind][who] = request
        for envelope in answers:
            self.sent[envelope.kind][who] = envelope
            if envelope.kind == "Unmasking":
                self._note_opened(who, envelope)
            self.to_server(envelope)

    # --- what the server sees

    def by(self, party: int) -> list[SecAggError]:
        """Return what a party refused."""
        return [error for who, _, error in self.refusals if who == party]

    def violation(self, party: int) -> ProtocolViolation:
        """Return the one violation that made a participant abort."""
        found = [error for error in self.by(party) if isinstance(error, ProtocolViolation)]
        assert len(found) == 1, f"participant {party} refused {self.by(party)}"
        return found[0]

    def advertised(self, who: int) -> AdvertiseKeys:
        """Return a participant's public keys."""
        return decode(AdvertiseKeys, self.sent["AdvertiseKeys"][who].payload, self.scheme.payload_limit)

    def dealers(self, who: int) -> tuple[int, ...]:
        """Return the dealers U₂ that a participant was told."""
        return decode(SealedShares, self.told["SealedShares"][who].payload, self.scheme.payload_limit).dealers

    def _note_opened(self, holder: int, envelope: Envelope) -> None:
        request = decode(UnmaskRequest, self.told["UnmaskRequest"][holder].payload, self.scheme.payload_limit)
        message, size, position = self.server.open(envelope), shamir.SHARE_BYTES, 0
        for dealer in self.dealers(holder):
            if dealer not in message.missing:
                row = rounds.row_to_open(dealer, set(request.survivors))
                self.shares[dealer, row][holder] = bytes(message.shares[position : position + size])
                position += size

    def hand_over(self, colluder: int) -> None:
        """A colluder gives the server every share that it holds."""
        size = shamir.SHARE_BYTES
        for dealer, share in self.clients[colluder]._memory.shares.items():
            for row in (rounds.MASK_KEY, rounds.SELF_MASK_SEED):
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
        self_key = rounds.self_mask_key(self.scheme, session, who, seed or bytes(32))
        rounds.mask(masks, who, self_key, pairwise)
        if seed is None:
            rounds.mask(words, who, self_key, {})
        return self.scheme.domain.lanes.unpack(words - masks)

    def pairwise(self, who: int) -> dict[int, bytes] | None:
        """Return the keys of a participant's pairwise masks, if enough mask secrets were opened."""
        own, keys = self.secret(who, rounds.MASK_KEY), {}
        for peer in set(self.dealers(who)) - {who}:
            owner, other = (who, peer) if own is not None else (peer, who)
            secret = own if own is not None else self.secret(peer, rounds.MASK_KEY)
            if secret is None:
                return None
            agreed = channels.PairwiseKeys(self.scheme.suite, Use.MASK_KEY, self.server._session, owner, secret)
            keys[peer] = agreed.with_peer(other, self.advertised(other).mask_key)
        return keys

    def expose(self, victim: int) -> NDArray[np.uint64] | None:
        """Return the victim's vector, if what was opened gives it away."""
        seed = self.secret(victim, rounds.SELF_MASK_SEED)
        if seed is None or victim not in self.sent["MaskedInput"]:
            return None
        pairwise = self.pairwise(victim)
        return None if pairwise is None else self.unmask(victim, seed, pairwise)

    # --- what the server sends

    def tell(self, kind: str, messages: Mapping[int, Any]) -> list[Envelope]:
        """Make the server's envelopes, one message per recipient (a tuple of fields goes out unchecked)."""
        return [self.server.seal(kind, who, message) for who, message in messages.items()]

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
        return UnmaskRequest(survivors, vanished, tuple(signed), b"".join(signed.values()))

    def total_of(self, *who: int) -> NDArray[np.int64]:
        """Return the true sum of these participants' vectors."""
        return np.sum([self.vectors[one] for one in who], axis=0)


@pytest.fixture
def make_attack() -> type[Attack]:
    """Return `Attack`: made, not yet run."""
    return Attack


@pytest.fixture
def launch() -> Callable[..., Attack]:
    """Return a callable that runs one round under attack."""
    return lambda *arguments, **options: Attack(*arguments, **options).run()


@pytest.fixture(params=["semi-honest", "active"])
def adversary(request: pytest.FixtureRequest) -> str:
    """Run the test in both variants."""
    return str(request.param)


@pytest.fixture
def parties() -> Callable[[Bonawitz], Parties]:
    """Return what makes the identities and the roster of a federation."""
    return parties_of
