"""The one step of Plain, and the whole protocol over it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.noise import with_noise
from ..packing.blocks import BlockSum, pack_blocks
from ..packing.sums import Output
from ..primitives.randomness import SYSTEM, Randomness
from .messages import Sum
from .params import Plain


def send(scheme: Plain, vector: NDArray[np.integer[Any]]) -> Iterator[Sum]:
    """Yield a participant's vector, block by block, in the clear."""
    lanes = scheme.domain.lanes
    for block, _, words in pack_blocks(lanes, vector):
        yield Sum(block, lanes.to_bytes(words))


def run_plain(
    scheme: Plain, vectors: Mapping[int, NDArray[np.integer[Any]]], randomness: Randomness = SYSTEM
) -> Output:
    """Return the sum of what participants send: the protocol, without machines. vectors: participant → vector."""
    total = BlockSum(scheme.domain)
    for participant, vector in vectors.items():
        for message in send(scheme, with_noise(scheme, vector, randomness)):
            total.take(participant, message.block, message.words)
    return total.output(tuple(sorted(vectors)), scheme.upload_step)
