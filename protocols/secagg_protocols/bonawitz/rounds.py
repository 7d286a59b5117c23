"""The steps of Bonawitz et al., CCS'17, figure 4, as pure functions. The machines only put them in order.

Symbols are joined to the paper's in NOTATION.md. Departures from the figure, and why they are safe, are listed there
too.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from ..core.channels import advertised_context, check_context
from ..core.scheme import RoundContext
from ..errors import ProtocolViolation
from ..packing import masks
from ..packing.lanes import Words
from ..primitives import merkle, shamir
from ..primitives.blame import Verdict
from ..primitives.domain import Use, digest, separated
from ..primitives.kdf import derive
from ..primitives.randomness import Randomness
from .messages import NONCE_BYTES, AdvertiseKeys
from .params import Bonawitz

MASK_KEY, SELF_MASK_SEED = 0, 1
"""Rows of a holder's share: the dealer's mask secret key, its self-mask seed, then further seeds."""


# --- AdvertiseKeys: "generate key pairs (c_u^PK, c_u^SK), (s_u^PK, s_u^SK) and send the public keys" ---------------


class OwnSecrets(msgspec.Struct, frozen=True):
    """What a participant makes at the start and never sends in the clear.

    channel_secret: c_u^SK. mask_secret: s_u^SK. seeds: b_u and the further seeds, 32 bytes each.
    shares: everything it will deal, encoded, (participants × secrets × SHARE_BYTES) bytes.
    """

    channel_secret: bytes
    mask_secret: bytes
    seeds: tuple[bytes, ...]
    shares: bytes

    def __repr__(self) -> str:
        return "OwnSecrets(<redacted>)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("secrets", "<redacted>")]


def make_secrets(scheme: Bonawitz, holders: Sequence[int], randomness: Randomness) -> OwnSecrets:
    """Draw both key pairs and all seeds, and share the secrets among `holders` (none yet, if they are not known)."""
    agreement = scheme.suite.agreement
    channel_secret, mask_secret = agreement.generate(randomness), agreement.generate(randomness)
    seeds = tuple(randomness.bytes(shamir.SECRET_BYTES) for _ in range(scheme.secrets - 1))
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
    return digest(Use.SEED_COMMITMENT, address, dealer, row, seed)


def share_digests(scheme: Bonawitz, dealer: int, own: OwnSecrets) -> bytes:
    """Return the hash of every share, holder-major, 32 bytes each.

    Unsalted: a share it hides is uniform over ≥ 250 bits given any t − 1 others. Never hash less than a whole share.
    """
    size = shamir.SHARE_BYTES
    shares = [own.shares[start : start + size] for start in range(0, len(own.shares), size)]
    holders = range(1, scheme.participants + 1)
    by_row = [share_digests_at(dealer, holders, row, shares[row :: scheme.secrets]) for row in range(scheme.secrets)]
    digests = [np.frombuffer(part, dtype=np.uint8).reshape(-1, merkle.HASH_BYTES) for part in by_row]
    return np.stack(digests, axis=1).tobytes()


_SHARE_LEAF = separated(Use.SHARE_LEAF)


def share_digests_at(dealer: int, holders: Sequence[int], row: int, shares: Sequence[bytes]) -> bytes:
    """Return the hashes of a dealer's shares of one secret, 32 bytes each."""
    sha256 = hashlib.sha256
    start = _SHARE_LEAF + b"%8d" % dealer
    places = [_place(holder, row) for holder in holders]
    return b"".join([sha256(start + place + share).digest() for place, share in zip(places, shares, strict=True)])


@lru_cache(maxsize=1 << 17)
def _place(holder: int, row: int) -> bytes:
    """Return which share it is, in 16 bytes; remembered, as it is the same for every dealer."""
    return b"%8d%8d" % (holder, row)


def holder_leaves(scheme: Bonawitz, digests: bytes) -> list[bytes]:
    """Return one Merkle leaf per holder, over the hashes of all its shares."""
    size = scheme.secrets * merkle.HASH_BYTES
    return [merkle.leaf(digests[start : start + size]) for start in range(0, len(digests), size)]


def check_advertised(scheme: Bonawitz, message: AdvertiseKeys, context: RoundContext) -> tuple[bytes, ...]:
    """Return someone's public keys. Raises `ProtocolViolation` unless they can be used and its context is ours."""
    sizes = (
        (message.commitments, (scheme.secrets - 1) * merkle.HASH_BYTES, "commitments"),
        (message.share_root, merkle.HASH_BYTES if scheme.active else 0, "share_root"),
        (message.channel_key, scheme.suite.agreement.public_key_bytes, "channel_key"),
        (message.mask_key, scheme.suite.agreement.public_key_bytes, "mask_key"),
    )
    for value, size, name in sizes:
        if len(value) != size:
            raise ProtocolViolation(f"{name} has {len(value)} bytes, not {size}")
    check_context(scheme, context, message.context_digest)
    keys = message.channel_key, message.mask_key
    for key in keys:
        scheme.suite.agreement.check_public(key)
    return keys


# --- ShareKeys: "share s_u^SK and b_u, seal the shares for each v under KA.agree(c_u^SK, c_v^PK)" ------------------


def check_share(scheme: Bonawitz, dealer: int, holder: int, share_root: bytes, share: bytes) -> bytes:
    """Return the share proper, (secrets × SHARE_BYTES) bytes, once it is canonical and (active) proven.

    The proof is a Merkle path to the root that the dealer signed: from then on, a share that turns out wrong is the
    dealer's doing, and one that does not match the root is the holder's. Raises `ProtocolViolation`.
    """
    size = scheme.secrets * shamir.SHARE_BYTES
    values, path = share[:size], share[size:]
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


def self_mask_key(scheme: Bonawitz, session: bytes, participant: int, seed: bytes) -> bytes:
    """Return the key of PRG(b_u) for this session."""
    info = separated(Use.SELF_MASK_KEY, session, participant)
    return derive(seed, scheme.suite.mask_key_bytes, info)


def mask(words: Words, participant: int, self_key: bytes, pairwise: Mapping[int, bytes], start: int = 0) -> None:
    """Mask words of a packed vector in place, from word `start` on: p_{u,v} is added when u > v, else subtracted."""
    plus = [self_key, *(key for peer, key in pairwise.items() if participant > peer)]
    minus = [key for peer, key in pairwise.items() if participant < peer]
    masks.add_masks(words, start, plus, minus)


# --- Unmasking: "Σ x_u = Σ y_u − Σ_{U₃} PRG(b_u) + Σ_{u∈U₃, v∈U₂\\U₃} p_{v,u}" ------------------------------------


def row_to_open(peer: int, survivors: frozenset[int] | set[int]) -> int:
    """Return which share of a peer is opened: the seed of a survivor, the mask key of one who vanished."""
    return SELF_MASK_SEED if peer in survivors else MASK_KEY


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


_HASH_WORK, _COMMITMENT_WORK, _KEY_WORK = 1_000, 8_000, 80_000
"""Nanoseconds, about."""


class Told:
    """What a server was told of the secrets beside their shares: commitments, and (active) hashes of all shares.

    advertised, digests: by dealer, what it signed at AdvertiseKeys and at ShareKeys. survivors: whose seed is opened.
    """

    def __init__(
        self,
        scheme: Bonawitz,
        address: bytes,
        advertised: Mapping[int, AdvertiseKeys],
        digests: Mapping[int, bytes],
        survivors: frozenset[int],
    ) -> None:
        self._scheme, self._address, self._advertised = scheme, address, advertised
        self._digests, self._survivors = digests, survivors
        self._one_list: dict[int, bool] = {}

    @property
    def signed(self) -> bool:
        return self._scheme.active

    def verify(self, dealer: int, secret: bytes) -> bool:
        row = row_to_open(dealer, self._survivors)
        return verify_secret(self._scheme, self._address, dealer, self._advertised[dealer], row, secret)

    def verify_work(self, dealer: int) -> int:
        return _COMMITMENT_WORK if dealer in self._survivors else _KEY_WORK

    def verdicts(self, dealer: int, holders: Sequence[int], shares: Sequence[bytes]) -> list[Verdict]:
        """Tell whose fault wrong shares are: the holder's unless it returned just what the dealer signed."""
        if not self.signed:
            return [Verdict.UNSIGNED] * len(holders)
        if not self._signed_one_list(dealer):
            return [Verdict.DEALER] * len(holders)
        row = row_to_open(dealer, self._survivors)
        signed = np.frombuffer(self._digests[dealer], dtype=np.uint8).reshape(
            -1, self._scheme.secrets, merkle.HASH_BYTES
        )
        found = np.frombuffer(share_digests_at(dealer, holders, row, shares), dtype=np.uint8)
        others = signed[np.asarray(holders) - 1, row] != found.reshape(-1, merkle.HASH_BYTES)
        return [Verdict.HOLDER if other else Verdict.DEALER for other in others.any(axis=1).tolist()]

    def verdicts_work(self, dealer: int, count: int) -> int:
        hashes = 2 * self._scheme.participants if self.signed and dealer not in self._one_list else 0
        return _HASH_WORK * (hashes + 2 * count)

    def _signed_one_list(self, dealer: int) -> bool:
        """Tell whether the hashes that a dealer sent are those under the root that it signed before. Checked once."""
        if dealer not in self._one_list:
            root = merkle.root(holder_leaves(self._scheme, self._digests[dealer]))
            self._one_list[dealer] = root == self._advertised[dealer].share_root
        return self._one_list[dealer]
