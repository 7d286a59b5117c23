"""The steps of So et al., LightSecAgg, MLSys'22, as pure functions. The machines only put them in order.

Symbols are joined to the paper's in NOTATION.md, with what is different here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..packing.lanes import Words
from ..packing.masks import Keystream
from ..primitives.domain import Use, id_field, separated
from ..primitives.field import Elements
from ..primitives.kdf import derive
from .params import LightSecAgg

# --- ShareMasks: "each user i picks z_i uniformly, partitions it to U − T sub-masks, and encodes
#     [z~_i]_j = ([z_i]_1, …, [z_i]_{U−T}, [n_i]_{U−T+1}, …, [n_i]_U) · W_j for each j" (offline phase) ---------------


def draw_mask(scheme: LightSecAgg, session: bytes, participant: int, seed: bytes) -> tuple[Elements, Keystream]:
    """Return the mask z, shape (U − T, piece_length), and the stream behind it: exactly uniform elements."""
    stream = Keystream(mask_key(scheme, session, participant, seed))
    return uniform(scheme, scheme.pieces, stream), stream


def uniform(scheme: LightSecAgg, rows: int, stream: Keystream) -> Elements:
    """Return uniform elements, shape (rows, piece_length): each column over the field of its section."""
    parts = [
        field.uniform((rows, part.stop - part.start), stream)
        for field, part in scheme.packing.sections(scheme.piece_length)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def mask_key(scheme: LightSecAgg, session: bytes, participant: int, seed: bytes) -> bytes:
    """Return the key that the mask is expanded from: another one in every session."""
    return derive(seed, scheme.suite.mask_key_bytes, separated(Use.CODED_MASK_KEY, session, id_field(participant)))


def encode_mask(scheme: LightSecAgg, session: bytes, participant: int, seed: bytes, holders: Sequence[int]) -> Elements:
    """Return the coded shares of a participant's mask for `holders`, one row each of piece_length elements."""
    pieces, stream = draw_mask(scheme, session, participant, seed)
    noise = uniform(scheme, scheme.privacy, stream)
    parts = [
        sharing.deal(pieces[:, part], noise[:, part], holders)
        for sharing, (_, part) in zip(scheme.sharings, scheme.packing.sections(scheme.piece_length), strict=True)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


# --- MaskedInput: "user i uploads x~_i = x_i + z_i" ----------------------------------------------------------------


def mask(scheme: LightSecAgg, words: Words, pieces: Elements) -> Elements:
    """Return the packed vector plus the mask, modulo p."""
    masked = words.astype(np.int64) + in_line(scheme, pieces)
    for field, part in scheme.packing.sections(masked.size):
        masked[part] -= field.prime * (masked[part] >= field.prime)
    return masked


def in_line(scheme: LightSecAgg, pieces: Elements) -> Elements:
    """Return pieces one behind the other, as the elements of a vector: without what they are padded by."""
    own = scheme.packing.words // len(scheme.packing.fields)
    parts = [pieces[:, part].reshape(-1)[:own] for _, part in scheme.packing.sections(scheme.piece_length)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


# --- Unmasking: "each user j sends Σ_{i∈U₁} [z~_i]_j; from any U of them the server recovers Σ_{i∈U₁} z_i" -----------


def aggregate_shares(scheme: LightSecAgg, shares: Sequence[bytes]) -> Elements:
    """Return the sum of the coded shares that one holder has of the survivors."""
    elements = scheme.packing.field.from_bytes(b"".join(shares)).reshape(len(shares), scheme.piece_length)
    total: Elements = scheme.packing.reduced(elements.sum(axis=0))
    return total


def decode_aggregate(scheme: LightSecAgg, holders: Sequence[int], shares: Elements) -> Elements:
    """Return the sum of the survivors' masks, in elements, from the sums of U holders, shape (U, piece_length)."""
    parts = [
        sharing.reconstruct(holders, shares[:, part])
        for sharing, (_, part) in zip(scheme.sharings, scheme.packing.sections(scheme.piece_length), strict=True)
    ]
    return in_line(scheme, parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1))


def unmask(scheme: LightSecAgg, masked: Words, aggregate: Elements) -> Words:
    """Return Σ x_u, in elements, from the integer sum of the masked inputs."""
    return scheme.packing.reduced(masked.astype(np.int64) - aggregate).view(np.uint64)
