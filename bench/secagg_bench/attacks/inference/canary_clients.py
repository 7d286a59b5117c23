"""Canary clients: institutions send random directions, and from how they show in sums follows an ε that must be."""

from __future__ import annotations

from typing import ClassVar

from secagg.extras import needed
from secagg.privacy.mechanism import Mechanism
from secagg_protocols import InsecureDeterministicRandomness

from ..attack import Effort, Finding
from ..defence import Defence, Noise
from .audit import Audit, found

LENGTH = 1000
ROUNDS = 20
QUICK_ROUNDS = 5
TOLERATED = 3


class CanaryClients(Audit):
    """Whether an institution has less protection than is claimed."""

    name: ClassVar[str] = "canary-clients"
    title: ClassVar[str] = "Whether institutions have less protection than the ε claimed"
    source: ClassVar[str] = "Andrew et al., One-shot empirical privacy estimation for federated learning, ICLR 2024"
    adversary: ClassVar[str] = (
        "an auditor: every institution sends a random direction, beyond the clip; sees the sums of some rounds in "
        "which one drops out"
    )

    def no_view(self, defence: Defence) -> str:
        if defence.noise is None or defence.noise.unit != "institution":
            return "no ε of an institution is claimed"
        return ""

    def weak(self) -> Defence:
        noise = Noise("distributed", "institution", 1.0)
        return Defence("noise-missing", "noise under the sum", "bonawitz", noise=noise, broken="noise ÷ 10")

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        with needed("train"):
            from ...privacy.audits import canaries_epsilon
            from ...privacy.planted import HONEST, Subject, Tenth
        noise = defence.noise
        assert noise is not None
        claimed = noise.epsilon
        assert claimed is not None
        subject = Subject(defence.broken, Tenth) if defence.broken else HONEST
        mechanism = Mechanism(defence.sites, LENGTH, noise.clip, noise.multiplier, 16, tolerated=TOLERATED)
        rounds = QUICK_ROUNDS if effort.quick else ROUNDS
        least = canaries_epsilon(subject, mechanism, rounds, seed, InsecureDeterministicRandomness(seed))
        return found(least, claimed)
