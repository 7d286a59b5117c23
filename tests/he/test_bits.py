"""Packed residues take their bits and no more, and come back."""

import numpy as np
import pytest

from secagg_he.bits import MAX_BITS, pack, unpack


@pytest.mark.parametrize("bits", [1, 7, 8, 20, 31, 32, 33, 47, 54, MAX_BITS])
def test_residues_come_back_from_their_bits(bits):
    residues = np.random.default_rng(bits).integers(0, 1 << bits, 1024, dtype=np.uint64)
    residues[:8], residues[-8:] = (1 << bits) - 1, (1 << bits) - 1
    data = pack(residues, bits)
    assert len(data) == 1024 * bits // 8
    assert (unpack(data, bits) == residues).all()
    assert (unpack(memoryview(data), bits) == residues).all()


def test_packing_is_the_little_endian_number():
    residues = np.random.default_rng(1).integers(0, 1 << 47, 16, dtype=np.uint64)
    whole = sum(int(residue) << 47 * index for index, residue in enumerate(residues))
    assert pack(residues, 47) == whole.to_bytes(94, "little")
