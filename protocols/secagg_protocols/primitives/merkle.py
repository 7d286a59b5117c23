"""Merkle trees over a fixed number of leaves (RFC 6962's idea of separate leaf and node hashes).

Used by a dealer to sign all its shares with one signature. Odd nodes are carried up unchanged, so trees of any
size exist; the tree's size is public and fixed by the scheme, which makes every path's length known in advance.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from .domain import Use, separated

HASH_BYTES = 32

_LEAF = separated(Use.MERKLE_LEAF)
_NODE = separated(Use.MERKLE_NODE)


def leaf(content: bytes) -> bytes:
    """Return the 32-byte hash of a leaf's content."""
    return hashlib.sha256(_LEAF + content).digest()  # all at once: a copied state takes half as long again


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_NODE + left + right).digest()


def _levels(leaves: Sequence[bytes]) -> list[Sequence[bytes]]:
    levels = [leaves]
    while len(levels[-1]) > 1:
        row = levels[-1]
        above = [_node(left, right) for left, right in zip(row[::2], row[1::2], strict=False)]
        if len(row) % 2:
            above.append(row[-1])
        levels.append(above)
    return levels


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes."""
    return _levels(leaves)[-1][0]


def depth(size: int) -> int:
    """Return the number of levels below the root: every path is padded to `depth` · 32 bytes."""
    return (size - 1).bit_length()


def paths(leaves: Sequence[bytes]) -> list[bytes]:
    """Return each leaf's path, siblings from the bottom up; a level without a sibling holds 32 zero bytes."""
    levels = _levels(leaves)[:-1]
    result = []
    for index in range(len(leaves)):
        parts = []
        for row in levels:
            sibling = index ^ 1
            parts.append(row[sibling] if sibling < len(row) else bytes(HASH_BYTES))
            index //= 2
        result.append(b"".join(parts))
    return result


def check_included(root_hash: bytes, size: int, index: int, leaf_hash: bytes, path: bytes) -> None:
    """Raise `ValueError` unless `leaf_hash` is leaf `index` (from 0) of the tree of `size` leaves with this root."""
    current = leaf_hash
    width = size
    for level in range(depth(size)):
        sibling = path[level * HASH_BYTES : (level + 1) * HASH_BYTES]
        if index ^ 1 < width:
            current = _node(sibling, current) if index & 1 else _node(current, sibling)
        index = index // 2
        width = (width + 1) // 2
    if not hmac.compare_digest(current, root_hash):
        raise ValueError(f"the hash is not leaf {index} of {size} under this root")
