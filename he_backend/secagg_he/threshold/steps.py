"""The steps of ThresholdCkks as pure functions. The machines only put them in order.

Symbols are joined to the papers' in NOTATION.md, with what is different here and why it is safe. AdvertiseKeys, how
shares are sealed and relayed, and ConsistencyCheck are `dealing.steps`. `run` is the whole protocol.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.core.party import HERE, Workers
from secagg_protocols.dealing.steps import SEED_BYTES, open_sum
from secagg_protocols.errors import SERVER, ProtocolViolation, RoundFailed
from secagg_protocols.packing.lanes import Words
from secagg_protocols.packing.masks import Keystream
from secagg_protocols.packing.sums import Output
from secagg_protocols.primitives import shamir, workers
from secagg_protocols.primitives.domain import Use, digest, id_field, separated
from secagg_protocols.primitives.field import GF65537, Elements, remainders
from secagg_protocols.primitives.gaussian import gaussian
from secagg_protocols.primitives.kdf import derive

from ..ring import Integers, Ring, canonical, centred, compose
from .encoding import check_bytes, decode_check, decode_dealt, decode_share, encode_check, encode_dealt
from .messages import Encrypt, Opening, ShareCheck
from .noise import SIGMA
from .params import CHECKS, ThresholdCkks

_IN_CACHE = 1 << 13
"""Elements of shares that are looked at together."""

# --- ShareKeys: the one-time key, and shares of it -----------------------------------------------------------------


def one_time_key(scheme: ThresholdCkks, session: bytes, participant: int, seed: bytes) -> Integers:
    """Return sᵢ, shape (N,): discrete Gaussian coefficients."""
    info = separated(Use.RING_SECRET, session, id_field(participant))
    stream = Keystream(derive(seed, scheme.suite.mask_key_bytes, info))
    return gaussian(SIGMA).sample(scheme.degree, stream).astype(np.int64)


def deal(
    scheme: ThresholdCkks, session: bytes, participant: int, seed: bytes, holders: Sequence[int]
) -> tuple[bytes, dict[int, bytes]]:
    """Return (nothing that the server is told, holder → what a participant deals it: its share of sᵢ).

    Coefficients modulo 65537, ℓ to a polynomial, `share_bytes` each. Behind them the shares of `CHECKS` polynomials,
    which are uniform as a whole, and hide the keys in `check_shares`.
    The same bytes every time: a channel's key seals one message and no other.
    """
    key = one_time_key(scheme, session, participant, seed)
    info = separated(Use.RING_SHARES, session, id_field(participant))
    stream = Keystream(derive(seed, scheme.suite.mask_key_bytes, info))
    sharing = scheme.sharing
    columns = scheme.share_elements
    secrets = np.zeros((sharing.pieces, columns), dtype=np.int64)
    secrets.reshape(-1)[: scheme.degree] = key % GF65537.prime
    noise = GF65537.uniform((sharing.privacy, columns), stream)
    blinding = GF65537.uniform((sharing.threshold, CHECKS), stream)
    hidden = np.concatenate([secrets, blinding[: sharing.pieces]], axis=1)
    hiding = np.concatenate([noise, blinding[sharing.pieces :]], axis=1)
    dealt = encode_dealt(scheme, sharing.deal(hidden, hiding, holders))
    return b"", dict(zip(holders, dealt, strict=True))


def accept(scheme: ThresholdCkks, dealer: int, dealt: bytes) -> bytes:
    """Return a dealer's share, which its holder keeps. Raises `ProtocolViolation` for what is none."""
    if len(dealt) != scheme.share_bytes:
        raise ProtocolViolation(f"a key share has {len(dealt)} bytes, not {scheme.share_bytes}", {dealer})
    shamir.check(memoryview(dealt)[: scheme.sum_bytes])
    if dealt[-1]:  # rare: a 17th bit
        decode_dealt(scheme, [dealt])
    return dealt


# --- ShareCheck: does everyone's dealing lie on polynomials? -------------------------------------------------------


def commit(challenge: bytes) -> bytes:
    """Return the commitment to a challenge that nobody can guess, 32 bytes."""
    return digest(Use.SHARE_CHALLENGE, challenge)


def check_challenge(challenge: bytes, commitment: bytes) -> None:
    """Raise `ProtocolViolation` unless it is the challenge that the key list promised to all: two would take the
    blinding off. A participant runs it."""
    if commit(challenge) != commitment:
        raise ProtocolViolation("the challenge to dealers is not the one that the key list commits to", {SERVER})


def share_check(
    scheme: ThresholdCkks, session: bytes, challenge: bytes, dealers: Sequence[int], shares: Mapping[int, bytes]
) -> ShareCheck:
    """Return what a holder says of its shares before anything is encrypted. shares: dealer → valid share."""
    held = [dealer for dealer in dealers if dealer in shares]
    values = np.zeros((len(dealers), CHECKS), dtype=np.int64)
    values[np.isin(dealers, held)] = check_shares(scheme, session, challenge, [shares[dealer] for dealer in held])
    missing = tuple(dealer for dealer in dealers if dealer not in shares)
    return ShareCheck(missing, encode_check(values))


def without_blinding(scheme: ThresholdCkks, shares: Mapping[int, bytes]) -> dict[int, bytes]:
    """Return what is kept of shares once they are checked: those of keys. The blinding has served."""
    return {dealer: share[: scheme.sum_bytes] for dealer, share in shares.items()}


def read_check(dealers: Sequence[int], holder: int, message: ShareCheck) -> Elements:
    """Return what a holder says, shape (dealers, CHECKS). The server runs it. Raises `ProtocolViolation`."""
    if not set(message.missing) <= set(dealers) - {holder}:
        raise ProtocolViolation("shares are reported missing of someone who dealt none", {holder})
    expected = check_bytes(len(dealers))
    if len(message.values) != expected:
        raise ProtocolViolation(f"checks of shares have {len(message.values)} bytes, not {expected}", {holder})
    return decode_check(len(dealers), message.values)


def check_shares(scheme: ThresholdCkks, session: bytes, challenge: bytes, dealt: Sequence[bytes]) -> Elements:
    """Return v = Σ_k ρ_k f_k(j) + g(j) for each of a holder's shares, shape (dealers, CHECKS).

    dealt: `share_bytes` from each dealer. ρ follows from the challenge; it is one for all dealers and holders.
    """
    info = separated(Use.SHARE_CHECK, session)
    stream = Keystream(derive(challenge, scheme.suite.mask_key_bytes, info))
    factors = GF65537.uniform((scheme.share_elements, CHECKS), stream)
    # The blinding as it is; as floats once, for all products.
    weights = np.concatenate([factors, np.eye(CHECKS, dtype=np.int64)]).astype(np.float64)
    values = np.empty((len(dealt), CHECKS), dtype=np.int64)
    step = max(1, _IN_CACHE // scheme.share_elements)
    for start in range(0, len(dealt), step):
        part = slice(start, start + step)
        values[part] = GF65537.multiply(decode_dealt(scheme, dealt[part]), weights)
    return values


# --- Encrypt: c_i = a s_i + e_i + Δ m_i ----------------------------------------------------------------------------


def encrypt(
    scheme: ThresholdCkks, session: bytes, participant: int, seed: bytes, vector: NDArray[np.integer[Any]]
) -> Iterator[Encrypt]:
    """Yield a participant's ciphertext, block by block: the same bytes every time."""
    encryption = Encryption.of(scheme, session, participant, seed)
    for block, residues in encrypt_blocks(encryption, vector):
        yield Encrypt(block, scheme.ciphertexts.to_bytes(residues))


def reference(scheme: ThresholdCkks, session: bytes, block: int, polynomials: int, prime: int = 0) -> Integers:
    """Return this block's part of the common reference a, as transforms: uniform in [0, q), (polynomials, N).

    prime: of which of q's primes. Public: keystream under a key that everyone derives from the session (as FrodoKEM
    expands its matrix with AES).
    """
    modulus = scheme.rings[prime].modulus
    below = np.uint64((1 << modulus.bit_length()) - 1)
    residues = np.full(polynomials * scheme.degree, modulus, dtype=np.uint64)
    attempt = 0
    # Every attempt has a stream of its own, so that a block begins alike however much of it is asked for.
    while (open_ := np.flatnonzero(residues >= modulus)).size:
        info = separated(Use.RING_REFERENCE, block, prime, attempt)
        stream = Keystream(derive(session, scheme.suite.mask_key_bytes, info))
        residues[open_] = np.frombuffer(stream.bytes(8 * open_.size), dtype="<u8") & below
        attempt += 1
    return residues.astype(np.int64).reshape(polynomials, scheme.degree)


@dataclass(frozen=True, slots=True)
class Encryption:
    """What encrypting needs: the session's key and errors of one participant. Made once per vector."""

    scheme: ThresholdCkks
    session: bytes
    transforms: tuple[Integers, ...]
    error_seed: bytes

    @classmethod
    def of(cls, scheme: ThresholdCkks, session: bytes, participant: int, seed: bytes) -> Encryption:
        key = one_time_key(scheme, session, participant, seed)
        info = separated(Use.RING_ERROR_SEED, session, id_field(participant))
        return cls(scheme, session, _transforms(scheme, key), derive(seed, SEED_BYTES, info))

    def __repr__(self) -> str:
        return "Encryption(<redacted>)"

    def block(self, block: int, values: Words) -> Words:
        """Return one block of the ciphertext of packed values, shape (polynomials · N,): the same bytes every time.

        Modulo two primes: shape (polynomials · 2 · N,).
        """
        scheme = self.scheme
        polynomials = values.size // scheme.degree
        info = separated(Use.RING_ERROR, self.session, block)
        stream = Keystream(derive(self.error_seed, scheme.suite.mask_key_bytes, info))
        errors = gaussian(SIGMA).sample(values.size, stream)
        parts = []
        for index, (ring, transform) in enumerate(zip(scheme.rings, self.transforms, strict=True)):
            a = reference(scheme, self.session, block, polynomials, index)
            residues = ring.times_then_inverse(a, transform).reshape(-1)
            residues += self._noisy(values, errors, ring)
            # a·s is below q and so is e + Δ·m, except that a negative error may stand alone.
            residues += ring.modulus * (residues < 0)
            residues -= ring.modulus * (residues >= ring.modulus)
            parts.append(residues.view(np.uint64).reshape(polynomials, scheme.degree))
        return parts[0].reshape(-1) if len(parts) == 1 else np.stack(parts, axis=1).reshape(-1)

    def _noisy(self, values: Words, errors: NDArray[np.int8], ring: Ring) -> Integers:
        """Return e + Δ·m: as it is, or modulo one of two primes."""
        shift = self.scheme.shift
        if len(self.scheme.rings) == 1:
            noisy = (values << np.uint64(shift)).view(np.int64)
            noisy += errors
            return noisy
        factor = np.array([(1 << shift) % ring.modulus])
        return canonical(
            ring.multiply((values % np.uint64(ring.modulus)).view(np.int64), factor) + errors, ring.modulus
        )


def encrypt_blocks(encryption: Encryption, vector: NDArray[np.integer[Any]]) -> Iterable[tuple[int, Words]]:
    """Yield (block, residues) over a vector: it is never held as a whole ciphertext."""
    scheme = encryption.scheme
    # One packed word for each coefficient: as many as residues, or half as many.
    step, most = (size // len(scheme.rings) for size in (scheme.block_words, scheme.ciphertexts.words))
    for block, (start, packed) in enumerate(scheme.plaintext.lanes.pack_parts(vector, step)):
        whole = min(step, most - start)
        values = np.zeros(whole, dtype=np.uint64)
        values[: packed.size] = packed
        yield block, encryption.block(block, values)


# --- Opening: any t sums of shares give S = Σ s_i, and nothing about its terms -------------------------------------


def opening(scheme: ThresholdCkks, shares: Mapping[int, bytes], survivors: Sequence[int]) -> Opening:
    """Return the one sum that a holder opens, of its shares of U₃; a report of those that it does not have."""
    return open_sum(Opening, shares, survivors, lambda held: add_shares(scheme, held))


def add_shares(scheme: ThresholdCkks, shares: Sequence[bytes]) -> memoryview:
    """Return the sum of the shares that one holder has of the survivors, encoded."""
    total = np.zeros(scheme.share_elements, dtype=np.int64)
    for share in shares:
        total += decode_share(scheme, share)
    total %= GF65537.prime
    return memoryview(shamir.encode(total.reshape(-1, shamir.LIMBS)).tobytes())


def key_sum(scheme: ThresholdCkks, holders: Sequence[int], sums: Elements) -> Integers:
    """Return S, shape (N,), from the sums of t holders, shape (t, share_elements)."""
    pieces = scheme.sharing.reconstruct(holders, sums)
    return centred(pieces.reshape(-1)[: scheme.degree], GF65537.prime)


@dataclass(frozen=True, slots=True)
class Errors:
    """How large the errors of a decryption are. count: coefficients. largest: max |E|. squares: Σ E².

    Under an S that is wrong by accident they are uniform over (−Δ/2, Δ/2). Where a word of Σ mᵢ does not fit 64 bits,
    which none of honest encryptions does, `largest` is Δ.
    """

    count: int
    largest: int
    squares: float


def _transforms(scheme: ThresholdCkks, key: Integers) -> tuple[Integers, ...]:
    return tuple(ring.forward((key % ring.modulus)[None, :])[0] for ring in scheme.rings)


def decrypt(
    scheme: ThresholdCkks, session: bytes, total: Integers, block: int, residues: Words
) -> tuple[Words, Errors]:
    """Return a block of Σ mᵢ, packed, and its errors, from the sum of the ciphertexts and S: rounds C − a·S."""
    half = 1 << (scheme.shift - 1)
    shift = np.uint64(scheme.shift)
    phases = _phases(scheme, session, total, block, residues, half)
    if len(phases) == 1:
        phase = phases[0].view(np.uint64)
        too_large = False
        words = phase >> shift
    else:
        high, phase = compose(phases[0], phases[1], scheme.plaintext.primes[0], scheme.rings[1])
        words = phase >> shift | high << np.uint64(64 - scheme.shift)
        too_large = bool((high >> shift).any())
    errors = (phase & np.uint64(2 * half - 1)).view(np.int64) - half
    wide = errors.astype(np.float64).reshape(-1)
    largest = 2 * half if too_large else int(np.abs(errors).max())
    return words.reshape(-1), Errors(errors.size, largest, float(wide @ wide))


def _phases(
    scheme: ThresholdCkks, session: bytes, total: Integers, block: int, residues: Words, half: int
) -> list[Integers]:
    """Return C − a·S + Δ/2 modulo each of q's primes, in [0, prime), shape (polynomials, N): never negative in R_q."""
    elements = residues.reshape(-1, len(scheme.rings), scheme.degree)
    phases = []
    for index, (ring, transform) in enumerate(zip(scheme.rings, _transforms(scheme, total), strict=True)):
        modulus = ring.modulus
        a = reference(scheme, session, block, len(elements), index)
        sums = np.ascontiguousarray(elements[:, index])
        phase = np.empty(sums.shape, dtype=np.int64)
        remainders(sums.reshape(-1), modulus, phase.view(np.uint64).reshape(-1))
        phase -= ring.times_then_inverse(a, transform)
        phase += half
        phase += modulus * (phase < 0)
        phase -= modulus * (phase >= modulus)
        phases.append(phase)
    return phases


def is_noise(scheme: ThresholdCkks, survivors: int, parts: Sequence[Errors]) -> bool:
    """Tell whether the errors are those of so many honest encryptions: within the bound, and of their variance.

    The variance is that of 2048 coefficients or more: it passes twice its mean by chance less often than 2⁻⁴⁰⁰, and
    errors under a key sum that is wrong by accident have 24 times as much or more (Δ > 2B, B > 8.4σ√n).
    """
    allowed = 2 * survivors * float(SIGMA) ** 2 * sum(part.count for part in parts)
    within = max(part.largest for part in parts) <= scheme.error_bound
    return within and sum(part.squares for part in parts) <= allowed


def decrypt_sum(
    scheme: ThresholdCkks,
    session: bytes,
    total: Integers,
    residues: Words,
    survivors: tuple[int, ...],
    by: Workers = HERE,
) -> Output:
    """Return Σ mᵢ over U₃, from the sum of ciphertexts, which it overwrites, and S. The server runs it.

    Raises `RoundFailed` when the errors are not those of honest encryptions, or the sum is not one of valid vectors.
    """
    step = scheme.block_words
    blocks = [residues[start : start + step] for start in range(0, residues.size, step)]
    count = len(blocks)
    same = [scheme] * count, [session] * count, [total] * count
    parts: Iterable[tuple[Words, Errors]]
    if by.executor is None:
        parts = map(decrypt, *same, range(count), blocks)
    else:
        parts = workers.run(by.executor, decrypt, *same, range(count), blocks)
    errors = []
    done = 0
    for sums, found in parts:  # as many as residues, or half as many: never over a block that is still to come
        residues[done : done + sums.size] = sums
        done += sums.size
        errors.append(found)
    if not is_noise(scheme, len(survivors), errors):
        raise RoundFailed(
            scheme.opening_step.value,
            len(survivors),
            scheme.quorum,
            "the values are no sum of honest encryptions: some participant sent garbage; nobody can be named",
        )
    return scheme.plaintext.output(residues[: scheme.plaintext.lanes.words], survivors, scheme.opening_step)
