"""Weight differencing: total weights of sums whose sites differ are equations in the sites' numbers of rows."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from secagg.codec import Layout, MeanCodec

from ..attack import Attack, Curve, Effort, Finding, Line, Metric
from ..defence import Defence

ROUNDS = 20
MOST_ROWS = 1000
OUT_OF = 5
"""In each round one of so many sites drops out."""
ROUNDS_TRIED = (5, 10, 20, 40, 80)


class WeightDifferencing(Attack):
    """How many rows each site has, from the totals that ride in the sums."""

    name: ClassVar[str] = "weight-differencing"
    title: ClassVar[str] = "How many rows each site has, from total weights of rounds with dropouts"
    source: ClassVar[str] = "So et al., Securing Secure Aggregation (MultiRoundSecAgg), AAAI 2023"
    adversary: ClassVar[str] = (
        f"the server, curious: sees the total weight of {ROUNDS} rounds and who was in each sum; "
        f"one in {OUT_OF} sites drops out"
    )
    metric: ClassVar[Metric] = Metric("share of sites whose number of rows is known", success=0.5)

    def no_view(self, defence: Defence) -> str:
        return "under noise all sites weigh the same: no number of rows is sent" if defence.noise else ""

    def view(self, defence: Defence) -> str:
        return "each weight" if defence.scheme is None else f"total weights of {defence.sites}"

    def weak(self) -> Defence:
        return Defence("weights-in-the-clear", "sums, with each weight beside them", broken="weights are not summed")

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        return self._after(ROUNDS, defence, seed)

    def _after(self, rounds: int, defence: Defence, seed: int) -> Finding:
        rng = np.random.default_rng(seed)
        rows = rng.integers(20, MOST_ROWS, defence.sites, endpoint=True)
        if defence.scheme is None:
            guess = np.array([_total(rows[[site]]) for site in range(defence.sites)])
        else:
            present = np.array([_survivors(defence.sites, rng) for _ in range(rounds)])
            totals = np.array([_total(rows[who]) for who in present])
            guess = np.rint(np.linalg.lstsq(present.astype(np.float64), totals, rcond=None)[0])
        middle = (20 + MOST_ROWS) // 2
        return Finding(float(np.mean(guess == rows)), float(np.mean(rows == middle)))

    def curves(self, effort: Effort) -> tuple[Curve, ...]:
        lines = []
        for sites in (16, 64):
            defence = Defence("", "", "bonawitz", sites=sites)
            shares = [
                float(np.mean([self._after(rounds, defence, seed).value for seed in effort.seeds]))
                for rounds in ROUNDS_TRIED
            ]
            lines.append(Line(f"sums of {sites}", list(ROUNDS_TRIED), shares))
        return (Curve("Numbers of rows known, by rounds", "rounds", "share of sites", lines, logarithmic=True),)


def _survivors(sites: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    present = np.ones(sites, dtype=np.bool_)
    present[rng.choice(sites, sites // OUT_OF, replace=False)] = False
    return present


def _total(rows: NDArray[np.int64]) -> int:
    """Return what the codec tells of these sites' weights."""
    update = [np.zeros(1, dtype=np.float32)]
    codec = MeanCodec(Layout.of(update), clip=1.0, weight_max=MOST_ROWS)
    vectors = [codec.encode(update, weight=int(count)).vector.astype(np.uint64) for count in rows]
    weight = codec.decode(np.sum(vectors, axis=0), len(rows)).weight
    assert weight is not None
    return weight
