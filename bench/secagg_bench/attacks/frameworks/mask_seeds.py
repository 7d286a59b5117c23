"""Flower's SecAgg+: how many bits of a pairwise mask's seed are left to try, of the 256 that two nodes agreed on."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import reduce
from operator import or_, xor
from typing import ClassVar

from secagg.extras import needed
from secagg.schemes import SCHEMES
from secagg_protocols import InsecureDeterministicRandomness
from secagg_protocols.core.channels import PairwiseKeys
from secagg_protocols.primitives.domain import Use

from ..attack import Effort, Finding, Metric
from ..defence import Defence
from ..protocol.schemes import scheme_of
from .shipped import FLOWER, OnFramework

ENOUGH = 128
PAIRS = 40
"""Of seeds looked at: a bit that is the same in all of them by chance is one in 2³⁹."""
WORD = 4
"""Bytes of the numbers that Flower folds a key into."""
PARTICIPANTS = 5
VALUES = 20
SESSION = bytes(32)


class FlowerMaskSeeds(OnFramework):
    """Bits that no two pairs of nodes have different, and so nobody has to try."""

    name: ClassVar[str] = "flower-mask-seeds"
    title: ClassVar[str] = "Bits of a mask's seed that are known beforehand, in Flower's SecAgg+"
    source: ClassVar[str] = "Flower's public issue 7522 (github.com/flwrlabs/flower)"
    adversary: ClassVar[str] = "the server, curious: knows some values of a vector, and tries seeds until a mask fits"
    metric: ClassVar[Metric] = Metric(f"bits that need not be tried, of {ENOUGH}", success=64, unit="bits", most=ENOUGH)
    framework: ClassVar[tuple[str, str]] = FLOWER
    part: ClassVar[str] = "masks of SecAgg+"

    def no_view(self, defence: Defence) -> str:
        if defence.scheme is None:
            return "nothing is masked: the server sees the vector"
        if "mask_keys" not in SCHEMES[defence.scheme].traits.opens:
            return "no two participants agree on a mask"
        return ""

    def view(self, defence: Defence) -> str:
        return defence.title if defence.broken else f"masks, {defence.scheme}, {defence.adversary}"

    def held_by(self, defence: Defence) -> bool:
        return defence.scheme is not None

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        seeds = as_shipped() if defence.broken else ours(defence, seed)
        left = bits_that_differ(seeds)
        return Finding(max(0, ENOUGH - left), 0.0, note=f"{left} bits are left to try, in {len(seeds)} seeds")


def bits_that_differ(seeds: Sequence[int]) -> int:
    """Return how many bits are not the same in all of them."""
    return reduce(or_, (seed ^ seeds[0] for seed in seeds)).bit_count()


def as_shipped() -> list[int]:
    """Return what Flower's masks follow from: each key's words folded into one, or the whole key if that is not all."""
    with needed("flower"):
        from flwr.common.secure_aggregation.crypto.symmetric_encryption import generate_shared_key
        from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen
        from flwr.supercore.primitives.asymmetric import generate_key_pairs

    def mask(seed: bytes) -> list[int]:
        (values,) = pseudo_rand_gen(seed, 1 << 32, [(VALUES,)])
        return [int(value) for value in values]

    private, _ = generate_key_pairs()
    keys = [generate_shared_key(private, generate_key_pairs()[1]) for _ in range(PAIRS)]
    folded = [reduce(xor, struct.unpack(f"<{len(key) // WORD}I", key)) for key in keys]
    if all(mask(key) == mask(word.to_bytes(WORD, "little")) for key, word in zip(keys, folded, strict=True)):
        return folded
    return [int.from_bytes(key, "little") for key in keys]


def ours(defence: Defence, seed: int) -> list[int]:
    """Return the keys of masks of one participant with others."""
    suite = scheme_of(defence, PARTICIPANTS, 1, {}).suite
    agreement = suite.agreement
    randomness = InsecureDeterministicRandomness(seed)
    own = PairwiseKeys(suite, Use.MASK_KEY, SESSION, 1, agreement.generate(randomness))
    others = (agreement.public_of(agreement.load_secret(agreement.generate(randomness))) for _ in range(PAIRS))
    return [int.from_bytes(own.with_peer(peer, public), "little") for peer, public in enumerate(others, start=2)]
