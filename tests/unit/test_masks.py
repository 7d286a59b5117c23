"""The mask stream is AES-CTR, seekable, and what one adds the other takes off."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from secagg_protocols.packing import masks

KEYS = [bytes([i]) * 16 for i in range(5)] + [bytes([i]) * 32 for i in range(5)]

# NIST SP 800-38A, F.1.1 and F.1.5 (ECB): with an all-zero start block, CTR's first block is the cipher of zero;
# the known answers here are the FIPS 197 / SP 800-38A keys on counter blocks, through an independent ECB call.
NIST_KEYS = [
    bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"),
    bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"),
]


def counter_blocks(key, blocks):
    """Return CTR keystream made block by block with ECB: E(0), E(1), E(2), …"""
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return b"".join(encryptor.update(index.to_bytes(16, "big")) for index in range(blocks))


def test_sp_800_38a_ctr_vectors_hold_for_the_library():
    """F.5.1 (AES-128) and F.5.5 (AES-256): the first two blocks."""
    start = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    text = bytes.fromhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")
    expected = [
        "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff",
        "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5",
    ]
    for key, answer in zip(NIST_KEYS, expected, strict=True):
        assert Cipher(algorithms.AES(key), modes.CTR(start)).encryptor().update(text).hex() == answer


@pytest.mark.parametrize("key", [*NIST_KEYS, *KEYS[::4]], ids=lambda key: key.hex()[:8])
def test_the_keystream_is_aes_ctr_from_zero_read_as_little_endian_words(key):
    stream = counter_blocks(key, 50)
    expected = [int.from_bytes(stream[8 * i : 8 * i + 8], "little") for i in range(100)]
    assert masks.keystream(key, 0, 100).tolist() == expected


def test_fips_197_block_of_zero():
    """AES-128 under the all-zero key of the all-zero block: 66e94bd4ef8a2c3b884cfa59ca342b2e."""
    assert masks.keystream(bytes(16), 0, 2).astype("<u8").tobytes().hex() == "66e94bd4ef8a2c3b884cfa59ca342b2e"


@pytest.mark.parametrize("start", [0, 1, 2, 3, 4, 255, 256, 257, masks.BLOCK_WORDS - 1, masks.BLOCK_WORDS, 10**6 + 1])
def test_any_range_is_the_slice_of_the_whole(start):
    key = NIST_KEYS[0]
    whole = masks.keystream(key, 0, start + 40)
    assert masks.keystream(key, start, 40).tolist() == whole[start:].tolist()
    part = np.zeros(40, dtype=np.uint64)
    masks.add_masks(part, start, [key], [])
    assert part.tolist() == whole[start:].tolist()


@pytest.mark.parametrize(
    "count", [1, 2, 7, masks.BLOCK_WORDS - 1, masks.BLOCK_WORDS, masks.BLOCK_WORDS + 1, 2 * masks.BLOCK_WORDS + 5]
)
def test_masks_are_added_and_subtracted_modulo_2_to_64(count):
    words = np.random.default_rng(1).integers(0, 2**64, count, dtype=np.uint64)
    expected = words.copy()
    for key in KEYS[:3]:
        expected += masks.keystream(key, 0, count)
    for key in KEYS[3:5]:
        expected -= masks.keystream(key, 0, count)
    changed = words.copy()
    masks.add_masks(changed, 0, KEYS[:3], KEYS[3:5])
    assert np.array_equal(changed, expected)
    masks.add_masks(changed, 0, KEYS[3:5], KEYS[:3])
    assert np.array_equal(changed, words)


def test_more_masks_than_one_group():
    keys = [index.to_bytes(16, "big") for index in range(1100)]
    words = np.zeros(3, dtype=np.uint64)
    masks.add_masks(words, 0, keys, [])
    expected = np.sum([masks.keystream(key, 0, 3) for key in keys], axis=0, dtype=np.uint64)
    assert words.tolist() == expected.tolist()


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 40])
@pytest.mark.parametrize("count", [1, 5, 1000])
def test_split_over_an_executor_it_is_the_same(parts, count):
    words = np.arange(count, dtype=np.uint64)
    alone, split = words.copy(), words.copy()
    masks.add_masks(alone, 0, KEYS[:2], KEYS[2:5])
    with ThreadPoolExecutor(2) as executor:
        masks.add_masks_with(executor, parts, split, KEYS[:2], KEYS[2:5])
    assert np.array_equal(alone, split)


def test_no_mask_changes_nothing():
    words = np.arange(10, dtype=np.uint64)
    masks.add_masks(words, 0, [], [])
    assert words.tolist() == list(range(10))


def test_different_keys_give_different_masks():
    streams = {masks.keystream(key, 0, 4).tobytes() for key in KEYS}
    assert len(streams) == len(KEYS)
