"""The steps of So et al., LightSecAgg, MLSys'22, as pure functions. The machines only put them in order.

Symbols are joined to the paper's in NOTATION.md, with what is different here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..domain import Use, separated
from ..field import Elements
from ..kdf import derive
from ..lanes import Words
from ..masks import Keystream
from .params import LightSecAgg

# --- ShareMasks: "each user i picks z_i uniformly, partitions it to U − T sub-masks, and encodes
#     [z~_i]_j = ([z_i]_1, …, [z_i]_{U−T}, [n_i]_{U−T+1}, …, [n_i]_U) · W_j for each j" (offline phase) ---------------


def draw_mask(scheme: LightSecAgg, session: bytes, participant: int, seed: bytes) -> tuple[Elements, Keystream]:
    """Return the mask z, shape (U − T, piece_length), and the stream behind it: exactly uniform elements."""
    stream = Keystream(mask_key(scheme, session, participant, seed))
    return scheme.packing.field.uniform((scheme.pieces, scheme.piece_length), stream), stream


def mask_key(scheme: LightSecAgg, session: bytes, participant: int, seed: bytes) -> bytes:
    """Return the key that the mask is expanded from: another one in every session."""
    return derive(seed, scheme.suite.mask_key_bytes, separated(Use.SELF_MASK_KEY, session, participant))


def encode_mask(scheme: LightSecAgg, session: bytes, participant: int, seed: bytes, holders: Sequence[int]) -> Elements:
    """Return the coded shares of a participant's mask for `holders`, one row each of piece_length elements."""
    pieces, stream = draw_mask(scheme, session, participant, seed)
    noise = scheme.packing.field.uniform((scheme.privacy, scheme.piece_length), stream)
    return scheme.sharing.deal(pieces, noise, holders)


# --- MaskedInput: "user i uploads x~_i = x_i + z_i" ----------------------------------------------------------------


def mask(scheme: LightSecAgg, words: Words, pieces: Elements) -> Elements:
    """Return the packed vector plus the mask, modulo p."""
    masked = words.astype(np.int64) + pieces.reshape(-1)[: words.size]
    masked -= scheme.packing.field.prime * (masked >= scheme.packing.field.prime)
    return masked


# --- Unmasking: "each user j sends Σ_{i∈U₁} [z~_i]_j; from any U of them the server recovers Σ_{i∈U₁} z_i" -----------


def aggregate_shares(scheme: LightSecAgg, shares: Sequence[bytes]) -> Elements:
    """Return the sum of the coded shares that one holder has of the survivors."""
    field = scheme.packing.field
    elements = field.from_bytes(b"".join(shares)).reshape(len(shares), scheme.piece_length)
    total: Elements = elements.sum(axis=0) % field.prime
    return total


def decode_aggregate(scheme: LightSecAgg, holders: Sequence[int], shares: Elements) -> Elements:
    """Return the sum of the survivors' masks, in elements, from the sums of U holders, shape (U, piece_length)."""
    return scheme.sharing.reconstruct(holders, shares).reshape(-1)[: scheme.packing.words]


def unmask(scheme: LightSecAgg, masked: Words, aggregate: Elements) -> Words:
    """Return Σ x_u, in elements, from the integer sum of the masked inputs."""
    return ((masked.astype(np.int64) - aggregate) % scheme.packing.field.prime).astype(np.uint64)
