"""Merkle trees of every small size: each leaf's path proves that leaf, at that place, and nothing else."""

import hashlib

import pytest

from secagg_protocols.primitives import merkle
from secagg_protocols.primitives.domain import Use, separated


def slow_root(leaves):
    """Return the root, recursively over the levels."""
    if len(leaves) == 1:
        return leaves[0]
    above = []
    for i in range(0, len(leaves), 2):
        pair = leaves[i : i + 2]
        above.append(
            hashlib.sha256(separated(Use.MERKLE_NODE) + b"".join(pair)).digest() if len(pair) == 2 else pair[0]
        )
    return slow_root(above)


def leaves_of(size):
    return [merkle.leaf(bytes([index])) for index in range(size)]


def refused(*arguments):
    with pytest.raises(ValueError, match="under this root"):
        merkle.check_included(*arguments)


@pytest.mark.parametrize("size", range(1, 34))
def test_every_path_proves_its_leaf_and_no_other(size):
    leaves = leaves_of(size)
    root, paths = merkle.root(leaves), merkle.paths(leaves)
    assert root == slow_root(leaves)
    assert {len(path) for path in paths} == {merkle.depth(size) * merkle.HASH_BYTES}
    for index, path in enumerate(paths):
        merkle.check_included(root, size, index, leaves[index], path)
        for other in set(range(size)) - {index}:
            refused(root, size, other, leaves[index], path)
        refused(bytes(32), size, index, leaves[index], path)
        refused(root, size, index, merkle.leaf(b"another"), path)


@pytest.mark.parametrize("size", [2, 3, 5, 8, 9])
def test_a_changed_sibling_is_seen(size):
    leaves = leaves_of(size)
    root, paths = merkle.root(leaves), merkle.paths(leaves)
    for index, path in enumerate(paths):
        for level in range(merkle.depth(size)):
            changed = bytearray(path)
            changed[32 * level] ^= 1
            absent = path[32 * level : 32 * level + 32] == bytes(32)  # carried up: nothing is hashed there
            if absent:
                merkle.check_included(root, size, index, leaves[index], bytes(changed))
            else:
                refused(root, size, index, leaves[index], bytes(changed))


def test_a_leaf_is_not_a_node():
    """The second-preimage attack on trees without separation: two leaves' hashes as one leaf's content."""
    leaves = leaves_of(2)
    assert merkle.leaf(leaves[0] + leaves[1]) != merkle.root(leaves)


@pytest.mark.parametrize(("size", "depth"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3), (9, 4), (65535, 16)])
def test_depth(size, depth):
    assert merkle.depth(size) == depth


def test_a_path_that_is_too_short_proves_nothing():
    leaves = leaves_of(8)
    path = merkle.paths(leaves)[3]
    for cut in (0, 32, 64, 95):
        refused(merkle.root(leaves), 8, 3, leaves[3], path[:cut])
