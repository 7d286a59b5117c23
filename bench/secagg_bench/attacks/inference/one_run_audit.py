"""One-run audit: a thousand canary rows join by coins, and from the coins guessed right follows an ε that must be."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from secagg.extras import needed
from secagg_protocols import InsecureDeterministicRandomness

from ..attack import Effort, Finding
from ..defence import Defence, Noise
from ..released import Floats, released
from .audit import Audit, found

GUESSES = 600
"""Of a thousand coins. All of them right show ε = 4.8: fewer could not show more than what z = 1 claims."""
TOO_LITTLE = 10
"""By so much the noise is divided where it is broken."""


class OneRunAudit(Audit):
    """Whether a row has less protection than is claimed."""

    name: ClassVar[str] = "one-run-audit"
    title: ClassVar[str] = "Whether rows have less protection than the ε claimed"
    source: ClassVar[str] = "Steinke, Nasr, Jagielski, Privacy auditing with one (1) training run, NeurIPS 2023"
    adversary: ClassVar[str] = "an auditor: adds canary rows, each with a weight of its own, and sees what is released"

    def no_view(self, defence: Defence) -> str:
        if defence.noise is None:
            return "no ε is claimed"
        if defence.noise.unit == "institution":
            return "the ε claimed is an institution's (see canary-clients)"
        if not defence.protects(defence.noise.unit):
            return "so large an ε is claimed that no coins could show more"
        return ""

    def weak(self) -> Defence:
        noise = Noise("distributed", "row", 1.0)
        return Defence("noise-missing", "noise under the sum", "bonawitz", noise=noise, broken=f"noise ÷ {TOO_LITTLE}")

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        with needed("train"):
            from ...privacy.row_audit import HONEST, audit, coins, least_epsilon, right_guesses
        noise = defence.noise
        assert noise is not None
        claimed = noise.epsilon
        assert claimed is not None
        if noise.mode == "local":  # what one site sends, by the code that trains
            steps = replace(HONEST, multiplier=noise.multiplier, noise=1 / TOO_LITTLE if defence.broken else 1.0)
            least = audit(steps, seed, InsecureDeterministicRandomness(seed), GUESSES).epsilon
        else:
            joined = coins(seed)
            (shown,) = released(_as_it_is(defence, noise), _canaries(joined, defence.sites), seed)
            least = least_epsilon(right_guesses(shown, joined, GUESSES), GUESSES)
        return found(least, claimed)


def _as_it_is(defence: Defence, noise: Noise) -> Defence:
    if not defence.broken:
        return defence
    return replace(defence, noise=replace(noise, multiplier=noise.multiplier / TOO_LITTLE))


def _canaries(joined: np.ndarray, sites: int) -> list[Floats]:
    """Return the gradients of those who joined, each at one site: a large step along a coordinate of its own."""
    whose = np.flatnonzero(joined)
    return [np.eye(len(joined))[whose[site::sites]] * 1e3 for site in range(sites)]
