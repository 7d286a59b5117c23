"""The one door of randomness."""

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from secagg_protocols.primitives.randomness import SYSTEM, InsecureDeterministicRandomness


def test_one_seed_is_one_stream_however_it_is_read():
    whole = InsecureDeterministicRandomness(5).bytes(1000)
    pieces = InsecureDeterministicRandomness(5)
    assert b"".join(pieces.bytes(size) for size in (1, 0, 15, 16, 17, 951)) == whole


def test_seeds_and_labels_give_different_streams():
    sources = [
        InsecureDeterministicRandomness(1),
        InsecureDeterministicRandomness(2),
        InsecureDeterministicRandomness(b"1x"),
        InsecureDeterministicRandomness(1, "a"),
        InsecureDeterministicRandomness(1, "b"),
    ]
    assert len({source.bytes(32) for source in sources}) == len(sources)


def test_a_fork_does_not_depend_on_what_was_read_before():
    fresh, used = InsecureDeterministicRandomness(1), InsecureDeterministicRandomness(1)
    used.bytes(100)
    assert fresh.fork("x").bytes(32) == used.fork("x").bytes(32) == InsecureDeterministicRandomness(1, "x").bytes(32)


def test_the_stream_is_aes_256_ctr_of_a_hash_of_label_and_seed():
    """Vectors made today must be made again in ten years."""
    import hashlib

    key = hashlib.sha256(b"secagg insecure deterministic\0label\x00" + b"7").digest()
    expected = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor().update(bytes(64))
    assert InsecureDeterministicRandomness(7, "label").bytes(64) == expected


@pytest.mark.parametrize("count", [0, 1, 32, 1000])
def test_the_system_gives_as_many_bytes_as_asked_and_other_ones_each_time(count):
    assert len(SYSTEM.bytes(count)) == count
    if count >= 32:
        assert SYSTEM.bytes(count) != SYSTEM.bytes(count)


def test_no_repr_shows_a_seed():
    for shown in (repr(InsecureDeterministicRandomness(123456789)), str(InsecureDeterministicRandomness(b"the seed"))):
        assert "123456789" not in shown
        assert "the seed" not in shown
