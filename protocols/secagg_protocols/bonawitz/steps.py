"""The steps of Bonawitz et al., CCS'17, figure 4, as pure functions. The machines only put them in order.

Symbols are joined to the paper's in NOTATION.md. Departures from the figure, and why they are safe, are listed there
too.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..core.agreements import Agreements, agree, agree_with
from ..core.channels import PairwiseKeys, advertised_context, check_context
from ..core.context import RoundContext
from ..core.fields import check_sizes
from ..core.party import HERE, Workers
from ..core.secrets import rows_to_open
from ..core.step import Step
from ..dealing.graph import Graph
from ..dealing.steps import SEED_BYTES, Dealt
from ..errors import ProtocolViolation, RoundFailed, StateError
from ..packing import masks
from ..packing.blocks import pack_blocks
from ..packing.lanes import Words
from ..packing.masks import Keystream
from ..primitives import merkle, shamir
from ..primitives.domain import Use, digest, id_field, separated
from ..primitives.kdf import derive
from ..primitives.randomness import Randomness
from ..primitives.recovery import Recovery, ScatteredShares
from . import noise
from .messages import NONCE_BYTES, AdvertiseKeys, MaskedInput, Unmasking, UnmaskRequest
from .params import Bonawitz

MASK_KEY = 0
SELF_MASK_SEED = 1
"""Rows of a holder's share: the dealer's mask secret key, its self-mask seed."""


# --- AdvertiseKeys: "generate key pairs (c_u^PK, c_u^SK), (s_u^PK, s_u^SK) and send the public keys" ---------------


class OwnSecrets(msgspec.Struct, frozen=True):
    """What a participant makes at the start and never sends in the clear.

    channel_secret: c_u^SK. mask_secret: s_u^SK. seeds: b_u, 32 bytes; behind it those of its
    layers of noise.
    shares: everything it will deal, encoded, (participants × secrets × SHARE_BYTES) bytes; empty where it is not known
    yet to whom. deal_seed: what the shares then follow from, until they are dealt.
    """

    channel_secret: bytes
    mask_secret: bytes
    seeds: tuple[bytes, ...]
    shares: bytes
    deal_seed: bytes = b""

    def __repr__(self) -> str:
        return "OwnSecrets(<redacted>)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("secrets", "<redacted>")]


def advertise_keys(
    scheme: Bonawitz, participant: int, address: bytes, context: RoundContext, randomness: Randomness
) -> tuple[OwnSecrets, AdvertiseKeys]:
    """Round 0, a participant: draw all secrets, and share them where it is known among whom; return what is sent."""
    holders = range(1, scheme.participants + 1) if scheme.knows_holders else ()
    own = make_secrets(scheme, holders, randomness)
    message = advertise(scheme, participant, own, address, context, randomness)
    if not scheme.knows_holders:
        own = msgspec.structs.replace(own, deal_seed=randomness.bytes(SEED_BYTES))
    return own, message


def make_secrets(scheme: Bonawitz, holders: Sequence[int], randomness: Randomness) -> OwnSecrets:
    """Draw both key pairs and all seeds, and share the secrets among `holders` (none yet, if they are not known)."""
    agreement = scheme.suite.agreement
    channel_secret = agreement.generate(randomness)
    mask_secret = agreement.generate(randomness)
    seeds = noise.chain(randomness, scheme.layers)
    shares = b""
    if holders:
        shares = shamir.deal((mask_secret, *seeds), holders, scheme.quorum, randomness).tobytes()
    return OwnSecrets(channel_secret, mask_secret, seeds, shares)


def advertise(
    scheme: Bonawitz,
    participant: int,
    own: OwnSecrets,
    address: bytes,
    context: RoundContext,
    randomness: Randomness,
) -> AdvertiseKeys:
    """Return the public part: keys, commitments to the seeds, and (active) the root over the shares."""
    agreement = scheme.suite.agreement
    commitments = [commit(address, participant, row, seed) for row, seed in enumerate(own.seeds, SELF_MASK_SEED)]
    root = b""
    if scheme.active:
        root = merkle.root(holder_leaves(scheme, share_digests(scheme, participant, own)))
    return AdvertiseKeys(
        agreement.public_of(agreement.load_secret(own.channel_secret)),
        agreement.public_of(agreement.load_secret(own.mask_secret)),
        b"".join(commitments),
        root,
        randomness.bytes(NONCE_BYTES),
        advertised_context(scheme, context),
    )


def commit(address: bytes, dealer: int, row: int, seed: bytes) -> bytes:
    """Return the commitment to a uniform 32-byte seed: a hash, hiding because the seed has full entropy."""
    return digest(Use.SEED_COMMITMENT, address, id_field(dealer), row, seed)


def share_digests(scheme: Bonawitz, dealer: int, own: OwnSecrets) -> bytes:
    """Return the hash of every share, holder-major, 32 bytes each.

    Unsalted: a share it hides is uniform over ≥ 250 bits given any t − 1 others. Never hash less than a whole share.
    """
    size = shamir.SHARE_BYTES
    rows = range(len(scheme.secrets))
    shares = [own.shares[start : start + size] for start in range(0, len(own.shares), size)]
    holders = range(1, scheme.participants + 1)
    by_row = [share_digests_at(dealer, holders, row, shares[row :: len(rows)]) for row in rows]
    digests = [np.frombuffer(part, dtype=np.uint8).reshape(-1, merkle.HASH_BYTES) for part in by_row]
    return np.stack(digests, axis=1).tobytes()


_SHARE_LEAF = separated(Use.SHARE_LEAF)


def share_digests_at(dealer: int, holders: Sequence[int], row: int, shares: Sequence[bytes]) -> bytes:
    """Return the hashes of a dealer's shares of one secret, 32 bytes each."""
    sha256 = hashlib.sha256
    start = _SHARE_LEAF + id_field(dealer)
    places = [_place(holder, row) for holder in holders]
    return b"".join([sha256(start + place + share).digest() for place, share in zip(places, shares, strict=True)])


_PLACE = struct.Struct(">II")


@lru_cache(maxsize=1 << 17)
def _place(holder: int, row: int) -> bytes:
    """Return which share it is, in 8 bytes; remembered, as it is the same for every dealer."""
    return _PLACE.pack(holder, row)


def holder_leaves(scheme: Bonawitz, digests: bytes) -> list[bytes]:
    """Return one Merkle leaf per holder, over the hashes of all its shares."""
    size = len(scheme.secrets) * merkle.HASH_BYTES
    return [merkle.leaf(digests[start : start + size]) for start in range(0, len(digests), size)]


def check_advertised(scheme: Bonawitz, message: AdvertiseKeys, context: RoundContext) -> tuple[bytes, ...]:
    """Return someone's public keys. Raises `ProtocolViolation` unless they can be used and its context is ours."""
    check_sizes(message, scheme)
    check_context(scheme, context, message.context_digest)
    keys = message.channel_key, message.mask_key
    for key in keys:
        scheme.suite.agreement.check_public(key)
    return keys


# --- ShareKeys: "share s_u^SK and b_u, seal the shares for each v under KA.agree(c_u^SK, c_v^PK)" ------------------


def deal(
    scheme: Bonawitz, session: bytes, dealer: int, own: OwnSecrets, holders: Sequence[int]
) -> tuple[bytes, dict[int, bytes]]:
    """Round 1, a participant: return (the hashes of all shares, if active; holder → its shares and their proof)."""
    shares = _shares_for(scheme, session, dealer, own, holders)
    if not scheme.active:
        return b"", shares
    digests = share_digests(scheme, dealer, own)
    paths = merkle.paths(holder_leaves(scheme, digests))
    return digests, {holder: share + paths[holder - 1] for holder, share in shares.items()}


def _shares_for(
    scheme: Bonawitz, session: bytes, dealer: int, own: OwnSecrets, holders: Sequence[int]
) -> dict[int, bytes]:
    if own.shares:
        size = len(scheme.secrets) * shamir.SHARE_BYTES
        return {holder: own.shares[(holder - 1) * size : holder * size] for holder in holders}
    if not own.deal_seed:  # then anyone could work them out
        raise StateError("the shares were dealt before, and what they follow from is forgotten")
    # A channel's key seals one message and no other: restored, a dealer deals the same shares again.
    info = separated(Use.NEIGHBOUR_SHARES, session, id_field(dealer))
    stream = Keystream(derive(own.deal_seed, scheme.suite.mask_key_bytes, info))
    dealt = shamir.deal((own.mask_secret, *own.seeds), holders, scheme.quorum, stream)
    return {holder: share.tobytes() for holder, share in zip(holders, dealt, strict=True)}


def kept_share(scheme: Bonawitz, dealt: bytes) -> bytes:
    """Return the share proper of what was dealt: without its proof."""
    return dealt[: len(scheme.secrets) * shamir.SHARE_BYTES]


def check_share(scheme: Bonawitz, dealer: int, holder: int, share_root: bytes, share: bytes) -> bytes:
    """Return the share proper, (secrets × SHARE_BYTES) bytes, once it is canonical and (active) proven.

    The proof is a Merkle path to the root that the dealer signed: from then on, a share that turns out wrong is the
    dealer's doing, and one that does not match the root is the holder's. Raises `ProtocolViolation`.
    """
    size = len(scheme.secrets) * shamir.SHARE_BYTES
    values = kept_share(scheme, share)
    path = share[size:]
    if len(values) != size:
        raise ProtocolViolation(f"dealer {dealer}'s share has {len(values)} bytes, not {size}", {dealer})
    shamir.check(values)
    if scheme.active:
        rows = [values[start : start + shamir.SHARE_BYTES] for start in range(0, size, shamir.SHARE_BYTES)]
        hashes = b"".join(share_digests_at(dealer, [holder], row, [value]) for row, value in enumerate(rows))
        try:
            merkle.check_included(share_root, scheme.participants, holder - 1, merkle.leaf(hashes), path)
        except ValueError:
            raise ProtocolViolation(f"the share of dealer {dealer} is not under the root it signed", {dealer}) from None
    return values


# --- MaskedInput: "y_u = x_u + PRG(b_u) + Σ_{v∈U₂} p_{u,v}" --------------------------------------------------------


def masked_input(
    scheme: Bonawitz,
    session: bytes,
    participant: int,
    own: OwnSecrets,
    mask_keys: Mapping[int, bytes],
    vector: NDArray[np.integer[Any]],
) -> Iterator[MaskedInput]:
    """Round 2, a participant: yield its masked vector, block by block. mask_keys: s_v^PK of the others of U₂."""
    keys = PairwiseKeys(scheme.suite, Use.MASK_KEY, session, participant, own.mask_secret)
    pairwise = {peer: keys.with_peer(peer, public) for peer, public in mask_keys.items()}
    self_key = self_mask_key(scheme, session, participant, own.seeds[0])
    lanes = scheme.domain.lanes
    for block, start, words in pack_blocks(lanes, vector):
        mask(words, participant, self_key, pairwise, start)
        yield MaskedInput(block, lanes.to_bytes(words))


def self_mask_key(scheme: Bonawitz, session: bytes, participant: int, seed: bytes) -> bytes:
    """Return the key of PRG(b_u) for this session."""
    info = separated(Use.SELF_MASK_KEY, session, id_field(participant))
    return derive(seed, scheme.suite.mask_key_bytes, info)


def layer_keys(scheme: Bonawitz, session: bytes, participant: int, own: OwnSecrets) -> tuple[bytes, ...]:
    """Return the keys of all layers of its noise: what a participant adds before it masks."""
    return noise.layer_keys(scheme, session, participant, own.seeds[:0:-1])


def mask(words: Words, participant: int, self_key: bytes, pairwise: Mapping[int, bytes], start: int = 0) -> None:
    """Mask words of a packed vector in place, from word `start` on: p_{u,v} is added when u > v, else subtracted."""
    plus = [self_key, *(key for peer, key in pairwise.items() if participant > peer)]
    minus = [key for peer, key in pairwise.items() if participant < peer]
    masks.add_masks(words, start, plus, minus)


# --- Unmasking: "Σ x_u = Σ y_u − Σ_{U₃} PRG(b_u) + Σ_{u∈U₃, v∈U₂\\U₃} p_{v,u}" ------------------------------------


def unmasking(scheme: Bonawitz, dealt: Dealt, message: UnmaskRequest) -> Unmasking:
    """Round 4, a participant: open of each dealer the one share that `scheme.secrets` says, all checks done."""
    rows = rows_to_open(scheme.secrets, dealt.dealers, message.survivors, message.in_all(scheme.participants))
    size = shamir.SHARE_BYTES
    missing = tuple(dealer for dealer in dealt.dealers if dealer not in dealt.shares)
    opened = [
        dealt.shares[dealer][rows[dealer] * size : (rows[dealer] + 1) * size]
        for dealer in dealt.dealers
        if dealer in dealt.shares
    ]
    return Unmasking(missing, memoryview(b"".join(opened)))


def check_unmasking(sender: int, dealers: Sequence[int], message: Unmasking) -> None:
    """The server's check of what a holder opened, to whom these have dealt. Raises `ProtocolViolation`."""
    if message.missing and not set(message.missing) <= set(dealers) - {sender}:
        raise ProtocolViolation("shares are reported missing of someone who dealt none", {sender})
    if len(message.shares) != (len(dealers) - len(message.missing)) * shamir.SHARE_BYTES:
        raise ProtocolViolation(f"{len(message.shares)} bytes of opened shares", {sender})
    shamir.check(message.shares)


@dataclass(frozen=True, slots=True)
class Transcript:
    """What the server knows of a round when it unmasks.

    advertised, digests: by dealer, what it signed at AdvertiseKeys and (active) ShareKeys. dealers: U₂. survivors: U₃.
    """

    session: bytes
    graph: Graph
    advertised: Mapping[int, AdvertiseKeys]
    digests: Mapping[int, bytes]
    dealers: tuple[int, ...]
    survivors: tuple[int, ...]


def recover(recovery: Recovery, known: Transcript, answers: Mapping[int, Unmasking]) -> dict[int, bytes]:
    """Round 4, the server: put together the one secret of each dealer that was opened. Raises `Unrecoverable`."""
    opened = known.graph.opened(known.dealers, answers)
    return recovery.secrets_apart(opened) if isinstance(opened, ScatteredShares) else recovery.secrets(opened)


def open_chains(
    scheme: Bonawitz, address: bytes, known: Transcript, secrets: Mapping[int, bytes]
) -> tuple[dict[int, bytes], dict[int, tuple[bytes, ...]]]:
    """Round 4, the server: walk from what was opened of each survivor's chain to its end.

    Return (secrets, those of survivors being b_u now; survivor → keys of the layers that are too much). Raises
    `RoundFailed` for a dealer that is off the chain that it committed to: its self mask cannot be taken off.
    """
    secrets = dict(secrets)
    surplus: dict[int, tuple[bytes, ...]] = {}
    share = scheme.noise_share
    if share is None or not scheme.layers:
        return secrets, surplus
    stay = share.kept(scheme.participants - len(known.survivors))
    assert stay is not None, "the server goes on with no fewer than the noise is made for"
    off = []
    for survivor in known.survivors:
        *seeds, end = noise.walked(secrets[survivor], scheme.layers - stay)
        for row, seed in enumerate(reversed((*seeds[1:], end)), SELF_MASK_SEED):
            if not verify_secret(scheme, address, survivor, known.advertised[survivor], row, seed):
                off.append(survivor)
        secrets[survivor] = end
        surplus[survivor] = noise.layer_keys(scheme, known.session, survivor, seeds)
    if off:
        why = f"seeds of participants {sorted(set(off))} do not follow from one another, as they must"
        raise RoundFailed(Step.UNMASKING.value, len(known.survivors), scheme.quorum, why, off)
    return secrets, surplus


def unmask(
    scheme: Bonawitz, known: Transcript, secrets: Mapping[int, bytes], words: Words, workers: Workers = HERE
) -> None:
    """Round 4, the server: take off Σ y_u, in place, all masks that are in it.

    Nothing is taken off unless every part of the work was done. Raises `WorkerLost`.
    """
    missed = missed_masks(scheme, known, secrets)
    executor = workers.executor
    keys = agree(missed) if executor is None else agree_with(executor, workers.parts, missed)
    added = [self_mask_key(scheme, known.session, survivor, secrets[survivor]) for survivor in known.survivors]
    subtracted: list[bytes] = []
    pairs = [(gone, survivor) for gone, _, peers in missed.rows for survivor in peers]
    for (gone, survivor), key in zip(pairs, keys, strict=True):
        (added if survivor > gone else subtracted).append(key)
    # What the survivors added comes off, what they subtracted goes back on.
    if executor is None:
        masks.add_masks(words, 0, subtracted, added)
    else:
        masks.add_masks_with(executor, workers.parts, words, subtracted, added)


def missed_masks(scheme: Bonawitz, known: Transcript, secrets: Mapping[int, bytes]) -> Agreements:
    """Return the agreements on p_{v,u} for u ∈ U₃ and v ∈ U₂\\U₃, along the graph's edges."""
    survivors = frozenset(known.survivors)
    rows = [
        (gone, secrets[gone], tuple(peer for peer in known.graph.circle(gone) if peer in survivors))
        for gone in known.dealers
        if gone not in survivors
    ]
    public = {survivor: known.advertised[survivor].mask_key for survivor in known.survivors}
    return Agreements(scheme.suite, known.session, public, rows)


def verify_secret(
    scheme: Bonawitz, address: bytes, dealer: int, advertised: AdvertiseKeys, row: int, secret: bytes
) -> bool:
    """Tell whether a reconstructed secret is the one its dealer advertised (not a check of a signature or tag)."""
    if row == MASK_KEY:
        agreement = scheme.suite.agreement
        try:
            return hmac.compare_digest(agreement.public_of(agreement.load_secret(secret)), advertised.mask_key)
        except ValueError:
            return False
    start = (row - SELF_MASK_SEED) * merkle.HASH_BYTES
    expected = advertised.commitments[start : start + merkle.HASH_BYTES]
    return hmac.compare_digest(commit(address, dealer, row, secret), expected)
