"""Masks: AES-CTR keystream read as 64-bit words, added to packed vectors.

The mask of a key is the keystream with an all-zero initial counter block; word i is bytes 8i … 8i+7,
little-endian. A mask key serves one mask and nothing else, so the fixed start is safe (NIST SP 800-38A §B.2).
CTR is seekable: any range of any mask can be made alone, so work splits by coordinate.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from ..primitives import workers
from .lanes import Words, new_words

BLOCK_WORDS = 1 << 15
"""256 KiB: zeros, keystream and accumulator stay in the second-level cache together."""

_GROUP = 512
_ZEROS = memoryview(bytes(8 * BLOCK_WORDS))


_FROM_START = modes.CTR(bytes(16))


def _seek(key: bytes, word: int) -> CipherContext:
    counter, skip = divmod(8 * word, 16)
    mode = modes.CTR(counter.to_bytes(16, "big")) if counter else _FROM_START
    context = Cipher(algorithms.AES(key), mode).encryptor()
    if skip:
        context.update(bytes(skip))
    return context


def keystream(key: bytes, start: int, count: int) -> Words:
    """Return words start … start+count−1 of one mask."""
    out = np.empty(count, dtype="<u8")
    _seek(key, start).update_into(bytes(8 * count), out.data.cast("B"))
    return out


class Keystream:
    """The keystream of a key that serves nothing else, as a source of uniform bytes."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._word = 0

    def bytes(self, count: int) -> bytes:
        """Return the next bytes; whole words of 8 are used up."""
        words = -(-count // 8)
        start = self._word
        self._word = self._word + words
        return keystream(self._key, start, words).tobytes()[:count]


def add_masks(words: Words, start: int, plus: Sequence[bytes], minus: Sequence[bytes]) -> None:
    """Add the masks of `plus` and subtract those of `minus`, in place, modulo 2⁶⁴.

    `words` is the range of the vector that begins at word `start`. Blocks are the outer loop and masks the inner one,
    so that a block of the accumulator stays in cache while all its masks are added.
    """
    scratch = new_words(BLOCK_WORDS, zero=False)
    out = scratch.data.cast("B")
    for keys, operation in ((plus, np.add), (minus, np.subtract)):
        for group in range(0, len(keys), _GROUP):
            contexts = [_seek(key, start) for key in keys[group : group + _GROUP]]
            for first in range(0, words.size, BLOCK_WORDS):
                block = words[first : first + BLOCK_WORDS]
                zeros = _ZEROS[: 8 * block.size]
                stream = scratch[: block.size]
                for context in contexts:
                    context.update_into(zeros, out)
                    operation(block, stream, block)


def _mask_sum(start: int, count: int, plus: Sequence[bytes], minus: Sequence[bytes]) -> Words:
    words = new_words(count)
    add_masks(words, start, plus, minus)
    return words


def add_masks_with(executor: Executor, parts: int, words: Words, plus: Sequence[bytes], minus: Sequence[bytes]) -> None:
    """As `add_masks` over the whole vector, split by coordinate over any executor (threads or processes).

    Nothing is added unless every part has been made. Raises `WorkerLost`.
    """
    bounds = [words.size * part // parts for part in range(parts + 1)]
    starts = bounds[:-1]
    counts = [stop - start for start, stop in zip(bounds, bounds[1:], strict=False)]
    sums = workers.run(executor, _mask_sum, starts, counts, [plus] * parts, [minus] * parts)
    for start, part in zip(starts, sums, strict=True):
        words[start : start + part.size] += part
