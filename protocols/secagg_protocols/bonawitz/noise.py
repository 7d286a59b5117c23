"""Layers of noise that can be taken off, and the chain of seeds that decides which.

XNoise (Jiang et al., EuroSys'24) shares one seed a layer, and opens those of every layer that is too much. Here a
participant draws c₁ and hashes on: c₁ → c₂ → … → c_{L+1}. Layer k is keyed from c_k, the self mask from c_{L+1}, which
is b_u of the paper, and a holder has a share of each c_k. When k layers stay, it opens its share of c_{k+1} and of no
other: the server hashes forward to layers k + 1 … L and to the self mask, and never back to layers 1 … k. So what is
opened is one secret of each dealer, as without noise, and no message is added.

Safe, as long as a hash cannot be turned round: c_k is uniform given fewer than t shares of it, all that follows is made
from it, and commitments to c_k hide it as they hide b_u. A second point of one chain would need a second list of
survivors in one session, which the rule that protects the masks forbids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..packing.sums import Output
from ..primitives import shamir
from ..primitives.domain import Use, id_field, separated
from ..primitives.kdf import derive
from ..primitives.randomness import Randomness
from .params import Bonawitz


def chain(randomness: Randomness, layers: int) -> tuple[bytes, ...]:
    """Return (c_{L+1}, …, c₁), 32 bytes each: in the order in which shares hold them, the self mask's first."""
    seeds = [randomness.bytes(shamir.SECRET_BYTES)]
    for _ in range(layers):
        seeds.append(following(seeds[-1]))
    return tuple(reversed(seeds))


def following(seed: bytes) -> bytes:
    """Return the seed after this one: nobody can go back."""
    return derive(seed, shamir.SECRET_BYTES, separated(Use.SEED_CHAIN))


def layer_keys(scheme: Bonawitz, session: bytes, participant: int, seeds: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the keys of the last layers in this session, from the seeds c_k … c_L that they follow from."""
    first = scheme.layers - len(seeds) + 1
    return tuple(
        derive(seed, scheme.suite.mask_key_bytes, separated(Use.NOISE_LAYER, session, id_field(participant), layer))
        for layer, seed in enumerate(seeds, first)
    )


def walked(seed: bytes, steps: int) -> tuple[bytes, ...]:
    """Return a seed and those that follow it, so many steps further."""
    seeds = [seed]
    for _ in range(steps):
        seeds.append(following(seeds[-1]))
    return tuple(seeds)


def take_off(scheme: Bonawitz, output: Output, keys: Mapping[int, Sequence[bytes]]) -> None:
    """The server: take the layers that are too much off the sum, in place. keys: survivor → of its last layers."""
    share = scheme.noise_share
    if share is None:
        return
    for layers in keys.values():
        share.take_off(output.words.view(np.int64), layers)
