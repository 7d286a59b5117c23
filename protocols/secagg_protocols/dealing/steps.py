"""Steps that dealing protocols have in common, as pure functions: Bonawitz et al., CCS'17, figure 4.

What a scheme does within them is an argument: how it deals, and which shares it accepts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag

from ..core.channels import (
    ChannelKeys,
    PairwiseKeys,
    advertised_context,
    check_context,
    open_share,
    seal_share,
    session_id,
)
from ..core.context import RoundContext
from ..core.identity import Roster
from ..core.scheme import Scheme
from ..core.step import Step
from ..core.wire import Message, decode, encode
from ..errors import SERVER, AuthenticationError, ProtocolViolation, WireError
from ..primitives.domain import Use, digest, ids_field
from ..primitives.randomness import Randomness
from .graph import Graph
from .messages import (
    NONCE_BYTES,
    AdvertiseKeys,
    ConsistencyCheck,
    CountedUnmaskRequest,
    KeyEntry,
    OpenedSum,
    SealedShares,
    SurvivorList,
    UnmaskRequest,
)
from .params import Dealing

SEED_BYTES = 32

Opened = TypeVar("Opened", bound=OpenedSum)

Verify = Callable[[int, str, bytes, bytes], None]
"""(signer, kind, payload, signature): raises `AuthenticationError` or `WireError` unless that is its signature."""


@dataclass(frozen=True, slots=True)
class Member:
    """A participant, as far as its steps ask: who it is, in which round, and how many it takes part with at least."""

    scheme: Dealing
    participant: int
    context: RoundContext
    roster: Roster | None
    floor: int

    def session(self, list_digest: bytes) -> bytes:
        """Return the session that a list of keys opens."""
        return session_of(self.scheme, self.roster, self.context, list_digest)


def session_of(scheme: Scheme, roster: Roster | None, context: RoundContext, list_digest: bytes) -> bytes:
    """Return the 32 bytes that everything binds from the list of keys on."""
    return session_id(scheme, roster.digest if roster is not None else b"", context, list_digest)


@dataclass(frozen=True, slots=True)
class Dealt:
    """What a participant holds once shares are dealt. dealers: U₂. shares: dealer → valid share, its own included."""

    session: bytes
    dealers: tuple[int, ...]
    shares: Mapping[int, bytes] = field(repr=False)


# --- AdvertiseKeys, where a channel key and one seed are all that a participant draws


class OwnSecrets(msgspec.Struct, frozen=True):
    """What a participant makes at the start and never sends: its channel key, and the seed of all else (32 bytes)."""

    channel_secret: bytes
    seed: bytes

    def __repr__(self) -> str:
        return "OwnSecrets(<redacted>)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("secrets", "<redacted>")]


def make_secrets(scheme: Scheme, randomness: Randomness) -> OwnSecrets:
    """Draw the channel key pair and the seed."""
    return OwnSecrets(scheme.suite.agreement.generate(randomness), randomness.bytes(SEED_BYTES))


def advertise(scheme: Scheme, own: OwnSecrets, context: RoundContext, randomness: Randomness) -> AdvertiseKeys:
    """Return the public part."""
    agreement = scheme.suite.agreement
    public = agreement.public_of(agreement.load_secret(own.channel_secret))
    return AdvertiseKeys(public, randomness.bytes(NONCE_BYTES), advertised_context(scheme, context))


def check_advertised(scheme: Scheme, message: AdvertiseKeys, context: RoundContext) -> tuple[bytes, ...]:
    """Return someone's public key. Raises `ProtocolViolation` unless it can be used and its context is ours."""
    scheme.suite.agreement.check_public(message.channel_key)
    check_context(scheme, context, message.context_digest)
    return (message.channel_key,)


# --- ShareKeys, round 1: "assert that |U₁| ≥ t, that all public keys differ, and that all signatures are valid" -------


def check_key_list(
    member: Member,
    own: bytes,
    entries: Sequence[KeyEntry],
    read: Callable[[KeyEntry], tuple[Any, tuple[bytes, ...]]],
) -> dict[int, Any]:
    """Check U₁ as the figure asks, and the context of every member; return what the others advertised.

    own: this participant's AdvertiseKeys as it was sent. read: `read_entry`, for this scheme.
    """
    scheme = member.scheme
    listed = {entry.participant: entry for entry in entries}
    mine = listed.get(member.participant)
    if mine is None or mine.payload != own:
        raise ProtocolViolation("the key list does not hold this participant's own keys", {SERVER})
    check_listed(scheme, "key list", len(listed))
    check_cohort(member, "key list", listed)
    peers: dict[int, Any] = {}
    keys: list[bytes] = []
    for participant, entry in listed.items():
        advertised, public = read(entry)
        keys += public
        if participant != member.participant:
            peers[participant] = advertised
    if len(set(keys)) != len(keys):
        raise ProtocolViolation("a public key appears twice in the key list", {SERVER})
    return peers


def read_entry(
    scheme: Dealing,
    kind: type[Message],
    entry: KeyEntry,
    check: Callable[[Any], tuple[bytes, ...]],
    verify: Verify,
) -> tuple[Message, tuple[bytes, ...]]:
    """Return what a member of U₁ advertised, and its public keys, once its signature is verified and both are checked.

    kind: the scheme's AdvertiseKeys. check: of its content. Raises `ProtocolViolation`.
    """
    participant = entry.participant
    if participant > scheme.participants:
        raise ProtocolViolation(f"the key list holds participant {participant}, who is not in this round", {SERVER})
    try:
        if scheme.active:
            verify(participant, Step.ADVERTISE_KEYS.value, entry.payload, entry.signature)
        elif entry.signature:
            raise WireError("the semi-honest variant has no signatures")
    except (AuthenticationError, WireError) as error:  # not its words: only who shows them can be at fault
        raise ProtocolViolation(f"keys of participant {participant}: {error}", {SERVER}) from None
    try:
        advertised = decode(kind, entry.payload, scheme.payload_limit)
        return advertised, check(advertised)
    except (ProtocolViolation, WireError) as error:
        raise ProtocolViolation(f"keys of participant {participant}: {error}", {SERVER, participant}) from None


def check_cohort(member: Member, what: str, members: Collection[int]) -> None:
    """Raise `ProtocolViolation` for less company than a participant asks for."""
    if len(members) < member.floor:
        # An honest server does not know this floor, and others may have vanished or dealt garbage: nobody is named.
        raise ProtocolViolation(
            f"the {what} counts {len(members)} participants; this one takes part with {member.floor} or more"
        )


def check_listed(scheme: Dealing, what: str, listed: int) -> None:
    """Raise `ProtocolViolation` for fewer participants than an honest server ever goes on with."""
    if listed < scheme.fewest_listed:
        raise ProtocolViolation(
            f"the {what} counts {listed} participants; an honest server goes on with {scheme.fewest_listed} or more",
            {SERVER},
        )


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a dealer made of its shares.

    told, sealed: for its ShareKeys. channels: peer → the key that opens what that one seals for it. kept: its own.
    """

    told: bytes
    sealed: memoryview
    channels: dict[int, bytes] = field(repr=False)
    kept: bytes = field(repr=False)


def share_keys(
    member: Member,
    session: bytes,
    channel_secret: bytes,
    peers: Mapping[int, Any],
    deal: Callable[[Sequence[int]], tuple[bytes, Mapping[int, bytes]]],
) -> Sealed:
    """Deal shares to itself and to all others of U₁, sealed: "e_{u,v} ← AE.enc(KA.agree(c_u^SK, c_v^PK), u‖v‖shares)".

    peers: what the others advertised. deal: holders → (what the server is told, holder → what it is dealt).
    """
    suite = member.scheme.suite
    me = member.participant
    keys = PairwiseKeys(suite, Use.CHANNEL_KEY, session, me, channel_secret)
    told, dealt = deal((me, *peers))
    sealed = []
    channels = {}
    for peer, public in peers.items():
        channel = ChannelKeys.of(keys, me, peer, public.channel_key)
        channels[peer] = channel.receive
        sealed.append(seal_share(suite, channel.send, session, me, peer, dealt[peer]))
    return Sealed(told, memoryview(b"".join(sealed)), channels, dealt[me])


# --- the upload, round 2: "decrypt the ciphertexts"; what is uploaded is the scheme's ------------------------------


def open_shares(
    member: Member,
    session: bytes,
    channels: Mapping[int, bytes],
    kept: bytes,
    message: SealedShares,
    accept: Callable[[int, bytes], bytes],
) -> Dealt:
    """Open what the others of U₂ sealed. A share that does not open is missing, and ends nothing.

    kept: its own share. accept: (dealer, what it dealt) → the part to keep; raises `ProtocolViolation` for no share.
    """
    me = member.participant
    size = member.scheme.sealed_bytes
    dealers = set(message.dealers)
    if me not in dealers or not dealers <= channels.keys() | {me}:
        raise ProtocolViolation(
            "the dealers of the shares are not members of the key list with me among them", {SERVER}
        )
    check_listed(member.scheme, "list of dealers", len(dealers))
    others = [dealer for dealer in message.dealers if dealer != me]
    if len(message.sealed) != size * len(others):
        raise ProtocolViolation(f"{len(message.sealed)} sealed bytes for {len(others)} dealers", {SERVER})
    shares = {me: kept}
    for position, dealer in enumerate(others):
        sealed = bytes(message.sealed[position * size : (position + 1) * size])
        try:
            dealt = open_share(member.scheme.suite, channels[dealer], session, dealer, me, sealed)
            shares[dealer] = accept(dealer, dealt)
        except (InvalidTag, ProtocolViolation):
            continue  # a missing share, not an abort: one dealer cannot end the round
    # Who sealed a good share under this session is here now: replayed keys do not count towards the cohort.
    check_cohort(member, "list of dealers with valid shares", shares)
    return Dealt(session, message.dealers, shares)


# --- ConsistencyCheck, round 3 (active): "send the signature σ'_u of U₃" -------------------------------------------


def consistency_check(member: Member, dealt: Dealt, message: SurvivorList) -> ConsistencyCheck:
    """Return what is signed (by its envelope) for U₃. Raises `ProtocolViolation` for a list that cannot be."""
    check_survivors(member, dealt, message.survivors)
    member.scheme.check_dropouts(len(message.survivors))
    return ConsistencyCheck(survivors_digest(dealt.session, message.survivors))


def check_survivors(member: Member, dealt: Dealt, survivors: Sequence[int]) -> None:
    """Check U₃ as one of its members: part of U₂, and company enough of whom it holds valid shares."""
    if member.participant not in survivors or not set(survivors) <= set(dealt.dealers):
        raise ProtocolViolation("the survivors are not dealers with this participant among them", {SERVER})
    check_listed(member.scheme, "list of survivors", len(survivors))
    check_cohort(member, "list of survivors with valid shares", set(survivors) & dealt.shares.keys())


def survivors_digest(session: bytes, survivors: Sequence[int]) -> bytes:
    """Return the digest of U₃ that its members sign (through their envelope's signature): 32 bytes."""
    return digest(Use.SURVIVORS, session, ids_field(survivors))


def opened_for(session: bytes, message: UnmaskRequest) -> bytes:
    """Return the digest of all that decides what is opened: of U₃, and of how many they are, where that is told."""
    survivors = survivors_digest(session, message.survivors)
    match message:
        case CountedUnmaskRequest():
            return digest(Use.COUNTED_SURVIVORS, survivors, message.absent)
    return survivors


def check_signed(session: bytes, sender: int, message: ConsistencyCheck, survivors: Sequence[int]) -> None:
    """The server's check of what a survivor signed. Raises `ProtocolViolation`."""
    if message.survivors_digest != survivors_digest(session, survivors):
        raise ProtocolViolation("the consistency check is over other survivors", {sender})


# --- the opening, round 4 ------------------------------------------------------------------------------------------


def unmask_requests(
    graph: Graph,
    dealers: Sequence[int],
    survivors: Sequence[int],
    asked: Sequence[int],
    signatures: Mapping[int, bytes],
    absent: int | None = None,
) -> Iterator[tuple[tuple[int, ...], UnmaskRequest]]:
    """Yield (participants, what the server asks them): who of those that dealt to them survived, and who vanished.

    signatures: signer → its consistency signature, of as many as are shown. absent: how many are not in the sum, where
    they are told (`Dealing.told_absent`).
    """
    alive = frozenset(survivors)
    signed = tuple(signatures.values())
    for holders, seen in graph.views(asked, dealers):
        here = tuple(dealer for dealer in seen if dealer in alive)
        gone = tuple(dealer for dealer in seen if dealer not in alive)
        if absent is None:
            yield holders, UnmaskRequest(here, gone, tuple(signatures), signed)
        else:
            yield holders, CountedUnmaskRequest(here, gone, tuple(signatures), signed, absent)


def check_unmask_request(
    member: Member, dealt: Dealt, message: UnmaskRequest, signed: Sequence[int], verify: Verify
) -> None:
    """Check, before anything is opened, that U₃ and those who vanished split U₂, and (active) that t members signed it.

    signed: the U₃ that this participant signed.
    """
    check_survivors(member, dealt, message.survivors)
    if set(message.vanished) != set(dealt.dealers) - set(message.survivors):
        raise ProtocolViolation(
            "survivors and vanished do not split the dealers: both shares of a participant are never opened",
            {SERVER},
        )
    in_all = message.in_all(member.scheme.participants)
    if in_all + len(message.vanished) > member.scheme.participants or in_all < len(message.survivors):
        raise ProtocolViolation("fewer are absent than are seen to be", {SERVER})
    member.scheme.check_dropouts(in_all)
    if member.scheme.active:
        check_consistency(member, dealt, message, signed, verify)
    elif message.signers:
        raise ProtocolViolation("the semi-honest variant has no consistency signatures", {SERVER})


def check_consistency(
    member: Member, dealt: Dealt, message: UnmaskRequest, signed: Sequence[int], verify: Verify
) -> None:
    """Check that t members of U₃ signed the very U₃ that this participant signed."""
    if message.survivors != signed:
        raise ProtocolViolation("the survivors are not those that this participant signed", {SERVER})
    quorum = member.scheme.quorum
    if len(message.signers) < quorum or not set(message.signers) <= set(message.survivors):
        raise ProtocolViolation(
            f"{len(message.signers)} survivors signed the survivor list; {quorum} are needed", {SERVER}
        )
    payload = encode(ConsistencyCheck(survivors_digest(dealt.session, message.survivors)))
    for signer, signature in zip(message.signers, message.signatures, strict=True):
        try:
            verify(signer, Step.CONSISTENCY_CHECK.value, payload, signature)
        except (AuthenticationError, WireError):  # too long for any envelope, it is no signature either
            raise ProtocolViolation(
                f"the consistency signature shown for participant {signer} does not verify", {SERVER}
            ) from None


# --- the opening, where it is one sum


def open_sum(
    kind: type[Opened],
    shares: Mapping[int, bytes],
    survivors: Sequence[int],
    add_up: Callable[[Sequence[bytes]], memoryview],
) -> Opened:
    """Return the sum of a holder's shares of U₃; no sum, and whose share it has not, where one is missing.

    A sum over part of U₃ would give the difference away.
    """
    missing = tuple(survivor for survivor in survivors if survivor not in shares)
    if missing:
        return kind(missing, memoryview(b""))
    return kind((), add_up([shares[survivor] for survivor in survivors]))
