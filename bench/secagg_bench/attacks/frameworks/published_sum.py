"""FLARE's homomorphic encryption: a mean that is published tells the key that all sites hold."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from secagg.extras import needed

from ...peers.task import Task
from ..attack import Effort, Finding, Metric
from ..defence import Defence
from ..protocol.ckks_key import CkksKey, most_frequent
from .shipped import FLARE, OnFramework, silent

ROUND = Task(clients=3, length=4096, dropped=0, neighbours=2, threshold=2)
"""Four thousand values fill one ciphertext of FLARE's."""


class FlarePublishedSum(OnFramework, CkksKey):
    """The key, from two means and the ciphertexts that the server made of them itself."""

    name: ClassVar[str] = "flare-published-sum"
    title: ClassVar[str] = "The key of all sites, from two published means of FLARE's homomorphic encryption"
    adversary: ClassVar[str] = (
        "the server, curious: adds up the ciphertexts, and sees two means as FLARE decrypts them, not in float32"
    )
    metric: ClassVar[Metric] = Metric("share of the secret key known", success=0.9)
    framework: ClassVar[tuple[str, str]] = FLARE
    part: ClassVar[str] = "homomorphic encryption"

    def view(self, defence: Defence) -> str:
        return defence.title if defence.broken else super().view(defence)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        if not defence.broken:
            return super().run(defence, seed, effort)
        with needed("he"):
            import tenseal  # noqa: F401  (FLARE needs it, and does not bring it)
        with needed("flare"):
            from . import flare_he
        with silent(seed):
            found, key = flare_he.key_from((replace(ROUND, seed=2 * seed), replace(ROUND, seed=2 * seed + 1)))
        return Finding(float(np.mean(found == key)), most_frequent(key))
