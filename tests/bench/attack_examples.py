"""The attack and the defence that docs/attacks.md shows."""

from typing import ClassVar

import numpy as np

from secagg_bench.attacks.attack import Effort, Finding, Metric
from secagg_bench.attacks.defence import Defence
from secagg_bench.attacks.released import OnReleased, released


class LargestSite(OnReleased):
    """Which of the sites sent the largest update?"""

    name: ClassVar[str] = "largest-site"
    title: ClassVar[str] = "Which site sent the largest update"
    source: ClassVar[str] = "an example"
    adversary: ClassVar[str] = "the server, curious: sees what is released"
    metric: ClassVar[Metric] = Metric("right guesses", success=1.0, leeway=0.7)

    def weak(self) -> Defence:
        return Defence("in-the-clear", "updates in the clear", broken="nothing is summed")

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        rng = np.random.default_rng(seed)
        rows = [rng.normal(size=(4, 10)) for _ in range(defence.sites)]
        largest = int(np.argmax([np.linalg.norm(site.sum(axis=0)) for site in rows]))
        seen = released(defence, rows, seed)
        guess = (
            int(np.argmax([np.linalg.norm(update) for update in seen]))
            if len(seen) > 1
            else int(rng.integers(defence.sites))
        )
        return Finding(float(guess == largest), 1 / defence.sites)


FEW = Defence("few", "secure sum of 4, bonawitz", "bonawitz", sites=4, claims=frozenset({"largest-site"}))
