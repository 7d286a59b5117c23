"""Packed residues take their bits and no more, and come back."""

import numpy as np
import pytest

from secagg_he.bits import MAX_BITS, pack, unpack, upper_bytes, upper_bytes_of


@pytest.mark.parametrize("bits", [1, 7, 8, 20, 31, 32, 33, 47, 54, MAX_BITS])
def test_residues_come_back_from_their_bits(bits):
    residues = np.random.default_rng(bits).integers(0, 1 << bits, (80, 1024), dtype=np.uint64)
    residues[:, :8], residues[:, -8:] = (1 << bits) - 1, (1 << bits) - 1
    for rows in (1, 80):
        data = pack(residues[:rows], bits)
        assert len(data) == rows * 1024 * bits // 8
        assert (unpack(data, bits, 1024) == residues[:rows]).all()
        assert (unpack(memoryview(b"odd" + data)[3:], bits, 1024) == residues[:rows]).all()


def test_each_polynomial_is_its_residues_whole_bytes_and_then_planes_of_the_bits_left_over():
    residues = np.random.default_rng(1).integers(0, 1 << 47, (3, 16), dtype=np.uint64)
    packed = b""
    for polynomial in residues.tolist():
        packed += b"".join((residue & (1 << 40) - 1).to_bytes(5, "little") for residue in polynomial)
        left = [residue >> 40 for residue in polynomial]
        packed += bytes(left[i] & 15 | (left[i + 8] & 15) << 4 for i in range(8))
        packed += bytes(sum((left[i + 4 * group] >> 4 & 3) << 2 * group for group in range(4)) for i in range(4))
        packed += sum((one >> 6) << position for position, one in enumerate(left)).to_bytes(2, "little")
    assert pack(residues, 47) == packed
    assert pack(residues[:1], 47) + pack(residues[1:], 47) == packed


@pytest.mark.parametrize("limit", [(1 << 33) - 5, (1 << 40) - 99, (1 << 31) - 1, (1 << 32) + 7, 3 << 30])
def test_residues_whose_upper_bytes_are_small_enough_are_below_the_limit(limit):
    bits = limit.bit_length()
    residues = np.random.default_rng(2).integers(0, 1 << bits, (2, 1024), dtype=np.uint64)
    residues[0, :3] = limit, min(limit + 1, (1 << bits) - 1), (1 << bits) - 1
    upper = upper_bytes(pack(residues, bits), bits, 1024)
    assert (residues[upper < upper_bytes_of(limit)] < limit).all()
    assert (upper >= upper_bytes_of(limit))[0, :3].all()
