"""The steps of So et al., LightSecAgg, MLSys'22, as pure functions. The machines only put them in order.

Symbols are joined to the paper's in NOTATION.md, with what is different here. AdvertiseKeys, and how shares are sealed
and relayed, are `dealing.steps`. `run` is the whole protocol.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dealing.messages import SealedShares
from ..dealing.steps import open_sum
from ..errors import ProtocolViolation
from ..packing.blocks import split
from ..packing.lanes import Words
from ..packing.masks import Keystream
from ..packing.sums import Output
from ..primitives.domain import Use, id_field, separated
from ..primitives.field import Elements
from ..primitives.kdf import derive
from .messages import MaskedInput, Unmasking
from .params import LightSecAgg

# --- ShareMasks: "each user i picks z_i uniformly, partitions it to U − T sub-masks, and encodes
#     [z~_i]_j = ([z_i]_1, …, [z_i]_{U−T}, [n_i]_{U−T+1}, …, [n_i]_U) · W_j for each j" (offline phase) ---------------


def deal(
    scheme: LightSecAgg, session: bytes, participant: int, seed: bytes, holders: Sequence[int]
) -> tuple[bytes, dict[int, bytes]]:
    """Return (nothing that the server is told, holder → what a participant deals it: its coded share)."""
    coded = encode_mask(scheme, session, participant, seed, holders)
    size = scheme.share_bytes
    shares = scheme.packing.to_bytes(coded)
    return b"", {holder: bytes(shares[row * size : (row + 1) * size]) for row, holder in enumerate(holders)}


def accept(scheme: LightSecAgg, dealer: int, dealt: bytes) -> bytes:
    """Return a dealer's share, which its holder keeps. Raises `ProtocolViolation` for what is none."""
    if len(dealt) != scheme.share_bytes:
        raise ProtocolViolation(f"a coded share has {len(dealt)} bytes, not {scheme.share_bytes}", {dealer})
    scheme.packing.from_bytes(dealt)  # elements of their fields, every one
    return dealt


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


def deliver(
    scheme: LightSecAgg, members: Sequence[int], dealers: tuple[int, ...], sealed: Mapping[int, memoryview]
) -> Iterator[tuple[int, SealedShares, list[memoryview]]]:
    """Yield (holder, its message, the pieces of what is sealed for it) for every dealer. The server runs it.

    members: whom everyone dealt to, ascending. sealed: dealer → its shares for all others, ascending. Shares are large:
    they are joined once for each holder, and never all at once.
    """
    size = scheme.sealed_bytes
    position = {member: index for index, member in enumerate(members)}
    for holder in dealers:
        pieces = []
        for dealer in dealers:
            if dealer != holder:
                # A dealer seals nothing for itself, so those behind it stand one place earlier.
                start = (position[holder] - (position[holder] > position[dealer])) * size
                pieces.append(sealed[dealer][start : start + size])
        yield holder, SealedShares(dealers, memoryview(b"")), pieces


# --- MaskedInput: "user i uploads x~_i = x_i + z_i" ----------------------------------------------------------------


def masked_input(
    scheme: LightSecAgg, session: bytes, participant: int, seed: bytes, vector: NDArray[np.integer[Any]]
) -> Iterator[MaskedInput]:
    """Yield x + z, block by block. A participant runs it, once."""
    pieces, _ = draw_mask(scheme, session, participant, seed)
    masked = mask(scheme, scheme.packing.pack(vector), pieces).astype(np.uint64)
    for block, words in split(scheme.packing, masked):
        yield MaskedInput(block, words)


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


def unmasking(scheme: LightSecAgg, shares: Mapping[int, bytes], survivors: Sequence[int]) -> Unmasking:
    """Return the one sum that a holder opens, of its shares of U₁; a report of those that it does not have."""

    def add_up(held: Sequence[bytes]) -> memoryview:
        return scheme.packing.to_bytes(aggregate_shares(scheme, held))

    return open_sum(Unmasking, shares, survivors, add_up)


def recover(scheme: LightSecAgg, masked: Words, survivors: tuple[int, ...], opened: Mapping[int, Elements]) -> Output:
    """Return Σ x_i over U₁, from the sum of masked inputs and what U holders opened. The server runs it.

    opened: holder → its sum of shares, of U holders or more, whose first U are taken. Raises `RoundFailed` when the
    result is no sum of so many valid vectors.
    """
    holders = sorted(opened)[: scheme.quorum]
    aggregate = decode_aggregate(scheme, holders, np.stack([opened[holder] for holder in holders]))
    total = scheme.packing.total(unmask(scheme, masked, aggregate), survivors, scheme.opening_step)
    return scheme.domain.settled(Output(total, survivors))


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
