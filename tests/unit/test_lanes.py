"""Packing against a slow implementation in Python's integers, for every width."""

import numpy as np
import pytest

from secagg_protocols.packing.lanes import Lanes


def slow_words(values, bits, per_word):
    return [
        sum(value << (bits * lane) for lane, value in enumerate(values[start : start + per_word]))
        for start in range(0, len(values), per_word)
    ]


@pytest.mark.parametrize("bits", range(1, 65))
def test_every_width_packs_travels_adds_and_unpacks(bits):
    generator = np.random.default_rng(bits)
    lanes = Lanes.of(1, bits)
    for length in {1, lanes.per_word, lanes.per_word + 1, 9 * lanes.per_word, 11 * lanes.per_word + 1, 100}:
        lanes = Lanes.of(length, bits)
        assert lanes.per_word * bits <= 64
        assert lanes.per_word * bits <= 8 * lanes.word_bytes <= 64
        whole = [int(value) >> (64 - bits) for value in generator.integers(0, 2**64, length, dtype=np.uint64)]
        first = [value // 2 for value in whole]
        second = [value - half for value, half in zip(whole, first, strict=True)]
        total = np.zeros(lanes.words, dtype=np.uint64)
        for part in (first, second):
            words = lanes.pack(np.array(part, dtype=np.uint64))
            assert words.tolist() == slow_words(part, bits, lanes.per_word)
            wire = bytes(lanes.to_bytes(words))
            assert wire == b"".join(word.to_bytes(lanes.word_bytes, "little") for word in words.tolist())
            lanes.add_bytes(total, wire)
        assert lanes.unpack(total).tolist() == whole


@pytest.mark.parametrize("bits", range(1, 65))
def test_no_other_packing_needs_fewer_bytes(bits):
    lanes = Lanes.of(10**6, bits)
    best = min(-(-k * bits // 8) / k for k in range(1, 64 // bits + 1))
    assert lanes.word_bytes / lanes.per_word == best


@pytest.mark.parametrize(
    ("bits", "per_word", "word_bytes"), [(24, 2, 6), (21, 3, 8), (16, 4, 8), (18, 3, 7), (64, 1, 8), (33, 1, 5)]
)
def test_the_packings_that_the_documents_name(bits, per_word, word_bytes):
    lanes = Lanes.of(1000, bits)
    assert (lanes.per_word, lanes.word_bytes) == (per_word, word_bytes)


def test_what_is_above_a_word_s_bytes_is_cut_off_on_the_wire():
    lanes = Lanes.of(20, 20)
    words = lanes.pack(np.arange(20, dtype=np.uint64))
    noisy = words | (
        np.uint64(0xFFFFFFFFFFFFFFFF) << np.uint64(8 * lanes.word_bytes) if lanes.word_bytes < 8 else words
    )
    assert bytes(lanes.to_bytes(noisy)) == bytes(lanes.to_bytes(words))


@pytest.mark.parametrize("bits", [5, 17, 18, 33, 40])
def test_sums_modulo_the_word_are_what_masks_need(bits):
    """add(mask) on one side and add(−mask) on the other cancel on the wire's bytes, whatever lies above them."""
    lanes = Lanes.of(50, bits)
    generator = np.random.default_rng(bits)
    values = np.array(
        [int(v) >> (65 - bits) for v in generator.integers(0, 2**64, 50, dtype=np.uint64)], dtype=np.uint64
    )
    mask = generator.integers(0, 2**64, lanes.words, dtype=np.uint64)
    total = np.zeros(lanes.words, dtype=np.uint64)
    lanes.add_bytes(total, lanes.to_bytes(lanes.pack(values) + mask))
    lanes.add_bytes(total, lanes.to_bytes(lanes.pack(values) - mask))
    assert lanes.unpack(total).tolist() == (2 * values).tolist()


def test_full_lanes_do_not_carry_into_their_neighbours():
    for bits in range(1, 65):
        lanes = Lanes.of(3 * lanes_per_word(bits), bits)
        top = (1 << bits) - 1
        pattern = np.array([top if i % 2 else 0 for i in range(lanes.length)], dtype=np.uint64)
        assert lanes.unpack(lanes.pack(pattern)).tolist() == pattern.tolist()


def lanes_per_word(bits):
    return Lanes.of(1, bits).per_word
