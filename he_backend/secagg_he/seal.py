"""Microsoft SEAL, through `tenseal.sealapi`: numpy arrays in, numpy arrays out. No other module knows SEAL's streams.

SEAL makes every encryption's randomness itself, from the operating system; its generator is never seeded. It saves and
loads through a path only: an anonymous file in memory on Linux, elsewhere a temporary file of our own, deleted at once.
Functions are pure, but for that randomness, and their arguments pickle: they may run in worker processes.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.errors import MissingExtra, ParameterError
from secagg_protocols.packing.lanes import Words

from .parameters import SEED_BYTES, Parameters
from .ring import ring

_HEADER = struct.Struct("<HBBBBHQ")
_MAGIC = 0xA15E
_UNCOMPRESSED = 0
_ZSTD = 2
_CIPHERTEXT = struct.Struct("<4QBQQQdQ")
"""parms_id, NTT form, polynomials, N, primes, scale, correction factor; then an array of coefficients."""
_PLAINTEXT = struct.Struct("<4QQd")
"""parms_id, coefficients, scale; then an array of coefficients."""
_COUNT = struct.Struct("<Q")
_GENERATOR = b"\x01"
"""SEAL's Blake2xb, the generator that expands seeds."""


def require() -> None:
    """Raise `MissingExtra` unless SEAL can be used."""
    for module in ("tenseal.sealapi", "zstandard"):
        try:
            import_module(module)
        except ModuleNotFoundError as missing:
            raise MissingExtra("he", module.partition(".")[0]) from missing


def encrypt(
    parameters: Parameters, secret: NDArray[np.int8], plaintexts: Words, modulus: int = 0
) -> tuple[Words, bytes]:
    """Encrypt under the secret key; return (first polynomials, seeds of the second ones).

    secret: shape (N,), in −1 … 1. plaintexts: BFV: shape (rows, 1, N), in [0, t); CKKS: shape (rows, primes, N),
    residues in NTT form. modulus: number of the plaintext modulus t. First polynomials: shape (rows, primes, N),
    residues (in CKKS in NTT form). Seeds: 64 bytes for each row.
    """
    context = _context(parameters, modulus)
    first = np.empty((len(plaintexts), len(parameters.primes), parameters.degree), dtype=np.uint64)
    seeds = []
    with _exchange() as file:
        encryptor = context.api.Encryptor(context.seal, context.load_secret(file, secret))
        for row, plaintext in enumerate(plaintexts):
            ciphertext = encryptor.encrypt_symmetric(context.load_plaintext(file, plaintext))
            body = context.body(file.save(ciphertext))
            coefficients, rest = _array(body, _CIPHERTEXT.size)
            first[row] = coefficients.reshape(first.shape[1:])
            generator = rest[_HEADER.size : -SEED_BYTES]
            seed = rest[-SEED_BYTES:]
            assert generator == _GENERATOR, "SEAL did not keep the seed of a symmetric ciphertext"
            seeds.append(seed)
    return first, b"".join(seeds)


def expand_sums(parameters: Parameters, seeds: NDArray[np.uint8]) -> Words:
    """Return the sums of the second polynomials of fresh ciphertexts, from their seeds.

    seeds: shape (uploads, rows, 64). Returned: shape (rows, primes, N), residues.
    """
    context = _context(parameters)
    shape = (len(parameters.primes), parameters.degree)
    zeros = context.seeded_ciphertext(np.zeros(shape, dtype=np.uint64))
    evaluator = context.api.Evaluator(context.seal)
    sums = np.empty((seeds.shape[1], *shape), dtype=np.uint64)
    with _exchange() as file:
        file.write(zeros)
        for row in range(seeds.shape[1]):
            total = None
            for seed in seeds[:, row]:
                file.patch(len(zeros) - SEED_BYTES, seed.tobytes())
                ciphertext = file.read(context.api.Ciphertext(), context.seal)
                if total is None:
                    total = ciphertext
                else:
                    evaluator.add_inplace(total, ciphertext)
            coefficients, _ = _array(context.body(file.save(total)), _CIPHERTEXT.size)
            sums[row] = coefficients.reshape(2, *shape)[1]
            file.write(zeros)
    return sums


def decrypt(parameters: Parameters, secret: NDArray[np.int8], first: Words, second: Words, modulus: int = 0) -> Words:
    """Return the plaintexts: BFV: shape (rows, 1, N), in [0, t); CKKS: (rows, primes, N), residues in NTT form.

    first, second: the ciphertexts' polynomials, shape (rows, primes, N), residues (in CKKS in NTT form). modulus:
    number of the plaintext modulus t.
    """
    context = _context(parameters, modulus)
    primes = 1 if parameters.kind == "bfv" else len(parameters.primes)
    plaintexts = np.zeros((len(first), primes * parameters.degree), dtype=np.uint64)
    with _exchange() as file:
        decryptor = context.api.Decryptor(context.seal, context.load_secret(file, secret))
        for row, polynomials in enumerate(zip(first, second, strict=True)):
            file.write(context.ciphertext(np.stack(polynomials)))
            plaintext = context.api.Plaintext()
            decryptor.decrypt(file.read(context.api.Ciphertext(), context.seal), plaintext)
            coefficients, _ = _array(context.body(file.save(plaintext)), _PLAINTEXT.size)
            plaintexts[row, : coefficients.size] = coefficients  # SEAL leaves leading zeros out
    return plaintexts.reshape(len(first), primes, parameters.degree)


class _Exchange:
    """A file through which SEAL's objects become bytes and back."""

    def __init__(self, descriptor: int, path: str) -> None:
        self._descriptor = descriptor
        self._path = path

    def save(self, thing: Any) -> bytes:
        os.ftruncate(self._descriptor, 0)
        thing.save(self._path)
        return os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)

    def write(self, data: bytes) -> None:
        os.ftruncate(self._descriptor, 0)
        self.patch(0, data)

    def patch(self, position: int, data: bytes) -> None:
        os.pwrite(self._descriptor, data, position)

    def read(self, thing: Any, context: Any) -> Any:
        thing.load(context, self._path)
        return thing


@contextmanager
def _exchange() -> Iterator[_Exchange]:
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("secagg")
        try:
            yield _Exchange(descriptor, f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)
        return
    descriptor, path = tempfile.mkstemp(prefix="secagg")  # readable by its owner alone
    try:
        yield _Exchange(descriptor, path)
    finally:
        os.close(descriptor)
        os.unlink(path)


class _Context:
    """SEAL's context for parameters, and the streams of its objects."""

    def __init__(self, parameters: Parameters, modulus: int) -> None:
        require()
        self.api: Any = import_module("tenseal.sealapi")
        self._parameters = parameters
        kinds = {"bfv": self.api.SCHEME_TYPE.BFV, "ckks": self.api.SCHEME_TYPE.CKKS}
        chosen = self.api.EncryptionParameters(kinds[parameters.kind])
        chosen.set_poly_modulus_degree(parameters.degree)
        self._key_primes = [prime for prime in (*parameters.primes, parameters.special_prime) if prime]
        chosen.set_coeff_modulus([self.api.Modulus(prime) for prime in self._key_primes])
        if parameters.plain_moduli:
            chosen.set_plain_modulus(parameters.plain_moduli[modulus])
        self.seal: Any = self.api.SEALContext(chosen, True, self.api.SEC_LEVEL_TYPE.TC128)
        if not self.seal.parameters_set():
            raise ParameterError(f"SEAL refuses the parameters: {self.seal.parameters_error_message()}")
        with _exchange() as file:
            _, _, *self._version, _, _, _ = _HEADER.unpack_from(file.save(self.api.Plaintext()))

    def _wrapped(self, *parts: bytes) -> bytes:
        size = _HEADER.size + sum(map(len, parts))
        return b"".join((_HEADER.pack(_MAGIC, _HEADER.size, *self._version, _UNCOMPRESSED, 0, size), *parts))

    def _wrapped_array(self, coefficients: Words) -> bytes:
        return self._wrapped(_COUNT.pack(coefficients.size), np.ascontiguousarray(coefficients, dtype="<u8").tobytes())

    def _ciphertext_head(self) -> bytes:
        chosen = self._parameters
        ntt = chosen.kind == "ckks"
        return _CIPHERTEXT.pack(*self.seal.first_parms_id(), ntt, 2, chosen.degree, len(chosen.primes), 1.0, 1)

    def ciphertext(self, polynomials: Words) -> bytes:
        """Return the stream of a ciphertext: shape (2, primes, N)."""
        return self._wrapped(self._ciphertext_head(), self._wrapped_array(polynomials))

    def seeded_ciphertext(self, first: Words) -> bytes:
        """Return the stream of a fresh ciphertext. Its last 64 bytes are the seed of its second half: zeros."""
        generator = self._wrapped(_GENERATOR, bytes(SEED_BYTES))
        return self._wrapped(self._ciphertext_head(), self._wrapped_array(first), generator)

    def load_plaintext(self, file: _Exchange, plaintext: Words) -> Any:
        level = (0, 0, 0, 0) if self._parameters.kind == "bfv" else self.seal.first_parms_id()
        head = _PLAINTEXT.pack(*level, plaintext.size, 1.0)
        file.write(self._wrapped(head, self._wrapped_array(plaintext)))
        return file.read(self.api.Plaintext(), self.seal)

    def load_secret(self, file: _Exchange, secret: NDArray[np.int8]) -> Any:
        signs = secret.astype(np.int64)[None]
        transforms = [ring(self._parameters.degree, prime).forward(signs) for prime in self._key_primes]
        coefficients = np.concatenate(transforms).astype(np.uint64)
        head = _PLAINTEXT.pack(*self.seal.key_parms_id(), coefficients.size, 1.0)
        file.write(self._wrapped(head, self._wrapped_array(coefficients)))
        return file.read(self.api.SecretKey(), self.seal)

    @staticmethod
    def body(stream: bytes) -> bytes:
        """Return what stands behind a stream's header, decompressed."""
        *_, compression, _, size = _HEADER.unpack_from(stream)
        body = stream[_HEADER.size : size]
        if compression == _ZSTD:
            return bytes(import_module("zstandard").ZstdDecompressor().decompressobj().decompress(body))
        assert compression == _UNCOMPRESSED
        return body


@lru_cache(maxsize=8)
def _context(parameters: Parameters, modulus: int = 0) -> _Context:
    """Return SEAL's context for one plaintext modulus; it holds nothing secret."""
    return _Context(parameters, modulus)


def _array(body: bytes, start: int) -> tuple[Words, bytes]:
    """Return (an array's coefficients, what stands behind it)."""
    start += _HEADER.size
    (count,) = _COUNT.unpack_from(body, start)
    end = start + _COUNT.size + 8 * count
    return np.frombuffer(body, dtype="<u8", count=count, offset=start + _COUNT.size), body[end:]
