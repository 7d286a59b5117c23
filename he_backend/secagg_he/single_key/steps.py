"""Ckks and Bfv, step by step, as pure functions, message in and message out. `run` is the whole protocol.

Encrypt: c = (c₀, c₁) = (−(a·s + e) + ⟦m⟧, a) under the group key s (Cheon et al. 2017; Fan and Vercauteren 2012; the
symmetric variant). a travels as its seed.
Add: the sums of the c₀ and of the c₁.
Release: ⟨c, (1, s)⟩ + flooding noise, rounded (Li, Micciancio, Schultz and Sorrell, CRYPTO 2022).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.errors import SERVER, ProtocolViolation, StateError
from secagg_protocols.packing.lanes import Words
from secagg_protocols.packing.sums import Output
from secagg_protocols.primitives.domain import Use, digest, ids_field
from secagg_protocols.primitives.randomness import Randomness
from secagg_protocols.primitives.workers import Task

from .. import bits, seal
from ..envelope import Content, Sealer
from ..flooding import flooding_noise
from ..group_key import GroupKey, ReleaseKey
from ..parameters import SEED_BYTES, Parameters
from ..ring import ring
from .messages import Aggregate, Encrypt, Release, ReleaseRequest
from .packing import Packing, from_plaintexts, to_plaintexts
from .params import SingleKey

Run = Callable[[list[Task]], list[Any]]
"""Returns what tasks return, in order, wherever they run."""

_NONCE_BYTES = 16


def here(tasks: list[Task]) -> list[Any]:
    """Do tasks in this call."""
    return [task() for task in tasks]


@dataclass(frozen=True, slots=True)
class Holder:
    """A participant in one round: its id, the group key, and the seals of this round."""

    me: int
    key: GroupKey
    sealer: Sealer

    def __repr__(self) -> str:
        return f"Holder({self.me}, <redacted>)"


# --- Encrypt


def upload(
    scheme: SingleKey,
    holder: Holder,
    vector: NDArray[np.integer[Any]],
    randomness: Randomness,
    parts: int = 1,
    run: Run = here,
) -> Iterator[Encrypt]:
    """Yield the ciphertexts of a vector, block by block, each encrypted in up to `parts` tasks. A participant runs it.

    randomness: makes each task differ from every other; what ciphertexts are drawn from is SEAL's own.
    """
    parameters = scheme.parameters
    secret = holder.key.polynomial(scheme.parameters.degree)
    words = scheme.packing.words_of(vector).reshape(-1, parameters.degree)
    for block in range(scheme.fresh_blocks):
        start = block * scheme.fresh_rows
        rows = words[start : start + scheme.fresh_rows]
        tasks = []
        for piece in np.array_split(rows, min(parts, len(rows))):
            tasks.append(Task(encrypt, (parameters, secret, piece, start), randomness.bytes(_NONCE_BYTES)))
            start += len(piece)
        body = join_fresh(parameters, run(tasks))
        yield Encrypt(block, holder.sealer.seal(Content.FRESH, holder.me, block, body))


def encrypt(parameters: Parameters, secret: NDArray[np.int8], words: Words, number: int = 0) -> bytes:
    """Return fresh ciphertexts: packed first polynomials, then seeds. A participant runs it, in any worker of its own.

    words: shape (rows, N), plaintexts as `packing` makes them. number: of the first of them in the vector.
    """
    plaintexts = to_plaintexts(parameters, words)
    if parameters.moduli == 1:
        first, seeds = seal.encrypt(parameters, secret, plaintexts)
        return pack_polynomials(parameters, first) + seeds
    first = np.empty((len(words), len(parameters.primes), parameters.degree), dtype=np.uint64)
    each = np.empty((len(words), SEED_BYTES), dtype=np.uint8)
    for modulus, part in parameters.runs(number, len(words)):
        first[part], seeds = seal.encrypt(parameters, secret, plaintexts[part], modulus)
        each[part] = np.frombuffer(seeds, dtype=np.uint8).reshape(-1, SEED_BYTES)
    return pack_polynomials(parameters, first) + each.tobytes()


def join_fresh(parameters: Parameters, pieces: Sequence[bytes]) -> bytes:
    """Return the ciphertexts of all pieces, laid out as if one `encrypt` had made them. A participant runs it."""
    sections = *(parameters.degree * prime.bit_length() // 8 for prime in parameters.primes), SEED_BYTES
    rows = [len(piece) // parameters.fresh_bytes for piece in pieces]
    return b"".join(
        piece[count * start : count * end]
        for start, end in pairwise(accumulate(sections, initial=0))
        for piece, count in zip(pieces, rows, strict=True)
    )


def open_upload(scheme: SingleKey, sealer: Sealer, sender: int, message: Encrypt) -> tuple[Words, memoryview]:
    """Return (first polynomials, seeds) of one block of a participant's ciphertexts. The server runs it.

    Raises `WireError`, `AuthenticationError`, `ProtocolViolation`.
    """
    body = sealer.open(Content.FRESH, sender, message.block, message.words)
    rows = min(scheme.fresh_rows, scheme.ciphertexts - message.block * scheme.fresh_rows)
    return open_fresh(scheme.parameters, body, rows, sender)


def open_fresh(parameters: Parameters, body: memoryview, rows: int, sender: int) -> tuple[Words, memoryview]:
    """Return (first polynomials, seeds) of fresh ciphertexts. The server runs it. Raises `ProtocolViolation`."""
    if len(body) != rows * parameters.fresh_bytes:
        raise ProtocolViolation(
            f"{len(body)} bytes of ciphertexts, not {rows * parameters.fresh_bytes}: the wrong number of them", {sender}
        )
    size = rows * parameters.polynomial_bytes
    return unpack_polynomials(parameters, body[:size], sender), body[size:]


# --- Add


def add_polynomials(parameters: Parameters, total: Words, polynomials: Words) -> None:
    """Add residues onto residues in place, modulo each prime. Shape (rows, primes, N)."""
    for index, prime in enumerate(parameters.primes):
        part = total[:, index]
        part += polynomials[:, index]
        np.minimum(part, part - np.uint64(prime), out=part)  # what would be negative wraps to a large number


def expand_seconds(parameters: Parameters, seeds: Sequence[bytes], first: int, rows: int) -> Words:
    """Return the summed second polynomials of ciphertexts first … first + rows − 1. The server runs it, in any worker.

    seeds: each upload's, 64 bytes for every ciphertext.
    """
    window = slice(SEED_BYTES * first, SEED_BYTES * (first + rows))
    each = [np.frombuffer(upload[window], dtype=np.uint8).reshape(rows, SEED_BYTES) for upload in seeds]
    return seal.expand_sums(parameters, np.stack(each))


def aggregate_blocks(scheme: SingleKey, first: Words, second: Words) -> list[bytes]:
    """Return the aggregate as it travels, from summed polynomials, (ciphertexts, primes, N). The server runs it."""
    rows = scheme.aggregate_rows
    return [
        aggregate(scheme.parameters, first[start : start + rows], second[start : start + rows])
        for start in range(0, scheme.ciphertexts, rows)
    ]


def request_release(survivors: tuple[int, ...], blocks: Sequence[bytes]) -> ReleaseRequest:
    """Return what every survivor is told of an aggregate. The server runs it."""
    return ReleaseRequest(survivors, tuple(hashlib.sha256(block).digest() for block in blocks))


def seal_aggregate(sealer: Sealer, blocks: Sequence[bytes]) -> Iterator[Aggregate]:
    """Yield the aggregate for those who open it. sealer: of this aggregate. The server runs it."""
    for block, body in enumerate(blocks):
        yield Aggregate(block, sealer.seal(Content.AGGREGATE, SERVER, block, body))


def aggregate(parameters: Parameters, first: Words, second: Words) -> bytes:
    """Return summed ciphertexts: both polynomials, packed."""
    return pack_polynomials(parameters, first) + pack_polynomials(parameters, second)


def aggregate_name(session: bytes, survivors: Sequence[int], blocks: Sequence[bytes]) -> bytes:
    """Return 32 bytes that name an aggregate: what a participant remembers of a release."""
    return digest(Use.HE_AGGREGATE, session, ids_field(survivors), *blocks)


# --- Release


@dataclass(frozen=True, slots=True)
class SummedBlock:
    """A block of an aggregate, as it is released. number: of its first ciphertext in the aggregate. limit: the largest
    possible sum."""

    session: bytes
    block: int
    body: bytes = field(repr=False)
    limit: int
    number: int = 0


def check_request(scheme: SingleKey, me: int, floor: int, message: ReleaseRequest) -> None:
    """Raise `ProtocolViolation` unless a participant may open it. floor: fewest participants in a sum that it joins."""
    survivors = message.survivors
    if me not in survivors or survivors[-1] > scheme.participants:
        raise ProtocolViolation("the survivors are not members of this round with me among them", {SERVER})
    scheme.check_dropouts(len(survivors))
    if len(survivors) < floor:
        raise ProtocolViolation(
            f"the survivor list counts {len(survivors)} participants; this one takes part with {floor} or more",
            {SERVER} if len(survivors) < scheme.quorum else (),  # an honest server does not know this floor
        )
    if len(message.blocks) != scheme.aggregate_blocks:
        raise ProtocolViolation(
            f"an aggregate of {len(message.blocks)} blocks cannot be: {scheme.aggregate_blocks} hold a sum", {SERVER}
        )


def open_aggregate(
    sealer: Sealer, announced: Sequence[bytes], released: Sequence[int], message: Aggregate
) -> memoryview:
    """Return one block of the aggregate that was announced: a participant runs it before it opens any.

    sealer: of the aggregate. announced: its blocks' digests. released: numbers of the blocks that are open. Raises
    `WireError`, `AuthenticationError` and `StateError` (nothing is changed), `ProtocolViolation`.
    """
    block = message.block
    body = sealer.open(Content.AGGREGATE, SERVER, block, message.words)
    if not 0 <= block < len(announced):
        raise ProtocolViolation(
            f"block {block} of an aggregate was not announced: {len(announced)} blocks were", {SERVER}
        )
    if block in released:
        raise StateError(f"block {block} of this aggregate has been released")
    if hashlib.sha256(body).digest() != announced[block]:
        raise ProtocolViolation(f"block {block} is not of the aggregate that was announced", {SERVER})
    return body


def open_block(
    scheme: SingleKey, holder: Holder, survivors: Sequence[int], block: int, body: memoryview, run: Run = here
) -> memoryview:
    """Return the sums in one block of the aggregate, as they travel: what `release` does, wherever it is done."""
    key = holder.key.for_release(scheme.parameters.degree)
    limit = scheme.packing.limit(len(survivors))
    summed = SummedBlock(holder.sealer.session, block, bytes(body), limit, block * scheme.aggregate_rows)
    (words,) = run([Task(release, (scheme.parameters, key, summed))])
    return scheme.packing.released.to_bytes(words)


def release_block(sealer: Sealer, me: int, block: int, opened: memoryview) -> Release:
    """Return a participant's answer with one block of the sum. sealer: of the aggregate."""
    return Release(block, sealer.seal(Content.RELEASED, me, block, opened))


def acknowledge() -> Release:
    """Return the answer of a survivor that tells no sum: it was not asked for any, or keeps it."""
    return Release(0, memoryview(b""))


def read_release(scheme: SingleKey, sealer: Sealer, sender: int, message: Release) -> bytes:
    """Return the sums in one block of someone's answer. The server runs it. Raises as `open_upload`."""
    body = sealer.open(Content.RELEASED, sender, message.block, message.words)
    rows = min(scheme.aggregate_rows, scheme.ciphertexts - message.block * scheme.aggregate_rows)
    if len(body) != rows * scheme.parameters.degree * scheme.packing.released.word_bytes:
        raise ProtocolViolation(f"released block {message.block} has {len(body)} bytes", {sender})
    return bytes(body)


def release(parameters: Parameters, key: ReleaseKey, summed: SummedBlock) -> Words:
    """Return the words of one block of the aggregate, shape (rows · N,): flooded, decrypted, rounded.

    (Not flooded where the parameters have no noise for it: what stays among those who hold the key tells it to nobody.)
    A participant runs it, in any worker of its own. The same block of the same session always gives the same words.
    Raises `ProtocolViolation` when the bytes are no ciphertexts.
    """
    body = summed.body
    rows, rest = divmod(len(body), 2 * parameters.polynomial_bytes)
    if rest or not rows:
        raise ProtocolViolation(f"{len(body)} bytes are no whole number of summed ciphertexts")
    half = rows * parameters.polynomial_bytes
    first = unpack_polynomials(parameters, memoryview(body)[:half])
    second = unpack_polynomials(parameters, memoryview(body)[half:])
    if parameters.deviation:
        name = digest(Use.HE_FLOODED_BLOCK, summed.session, summed.block, hashlib.sha256(body).digest())
        flood(parameters, key.flooding_key, name, first)
    plaintexts = _decrypt(parameters, key, first, second, summed.number)
    return from_plaintexts(parameters, plaintexts, summed.limit).reshape(-1)


def _decrypt(parameters: Parameters, key: ReleaseKey, first: Words, second: Words, number: int) -> Words:
    if parameters.moduli == 1:
        return seal.decrypt(parameters, key.polynomial, first, second)
    plaintexts = np.empty((len(first), 1, parameters.degree), dtype=np.uint64)
    for modulus, part in parameters.runs(number, len(first)):
        plaintexts[part] = seal.decrypt(parameters, key.polynomial, first[part], second[part], modulus)
    return plaintexts


def flood(parameters: Parameters, flooding_key: bytes, name: bytes, first: Words) -> None:
    """Add flooding noise to first polynomials in place, so before anything is decrypted. name: 32 bytes."""
    noise = flooding_noise(flooding_key, name, parameters.deviation, len(first), parameters.degree)
    added = np.empty_like(first)
    for index, prime in enumerate(parameters.primes):
        residues = noise % prime
        if parameters.kind == "ckks":
            residues = ring(parameters.degree, prime).forward(residues)
        added[:, index] = residues
    add_polynomials(parameters, first, added)


def sum_in(packing: Packing, values: bytes, survivors: tuple[int, ...]) -> Output | None:
    """Return the sum in opened values, all blocks in order; None when they are no sum of so many valid vectors.

    Who gets the sum runs it.
    """
    opened = packing.released
    words = np.zeros(opened.words, dtype=np.uint64)
    opened.add_bytes(words, values[: opened.size])
    if opened.word_bytes < 8:
        words &= np.uint64((1 << 8 * opened.word_bytes) - 1)
    return packing.output(words, survivors)


# --- polynomials as bytes


def pack_polynomials(parameters: Parameters, polynomials: Words) -> bytes:
    """Return residues at their primes' bits, prime after prime. Shape (rows, primes, N)."""
    return b"".join(
        bits.pack(polynomials[:, index], prime.bit_length()) for index, prime in enumerate(parameters.primes)
    )


def unpack_polynomials(parameters: Parameters, data: memoryview, sender: int = 0) -> Words:
    """Return the residues in packed polynomials. Raises `ProtocolViolation` when one is not below its prime."""
    rows = len(data) // parameters.polynomial_bytes
    polynomials = np.empty((rows, len(parameters.primes), parameters.degree), dtype=np.uint64)
    start = 0
    for index, prime in enumerate(parameters.primes):
        end = start + rows * parameters.degree * prime.bit_length() // 8
        residues = bits.unpack(data[start:end], prime.bit_length(), parameters.degree)
        if int(residues.max()) >= prime:
            raise ProtocolViolation("a coefficient of a ciphertext is not below its modulus", {sender})
        polynomials[:, index], start = residues, end
    return polynomials
