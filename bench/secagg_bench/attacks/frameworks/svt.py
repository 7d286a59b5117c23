"""FLARE's SVTPrivacy at its defaults: its `epsilon` counts how values are chosen, and not that they are sent."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import numpy as np
from scipy.stats import beta

from secagg.extras import needed

from ..attack import Effort, Finding, Metric
from ..defence import Defence
from ..released import released, view_of
from .shipped import FLARE, OnFramework, silent

LENGTH = 50_000
"""Of an update under FLARE."""
OUR_LENGTH = 200
"""Of one under a defence of ours."""
TRIALS = 120
SURE = 0.95
"""Of a bound."""
NAME = "update"


class FlareSvt(OnFramework):
    """The ε that is spent at the least, as somebody guesses so often which of two updates a site had."""

    name: ClassVar[str] = "flare-svt"
    title: ClassVar[str] = "Which of two updates a site had, under the noise of FLARE's SVTPrivacy"
    source: ClassVar[str] = (
        "Lyu, Su, Li, Understanding the Sparse Vector Technique, VLDB 2017; FLARE accounts for what it sends since "
        "pull request 4470 (github.com/NVIDIA/NVFlare)"
    )
    adversary: ClassVar[str] = (
        "the server, curious: knows two updates, of which the site has one, and sees what is sent"
    )
    metric: ClassVar[Metric] = Metric("ε shown at the least ÷ the ε that is set", success=1.25, most=1000.0)
    framework: ClassVar[tuple[str, str]] = FLARE
    part: ClassVar[str] = "SVTPrivacy at its defaults"

    def no_view(self, defence: Defence) -> str:
        if defence.noise is None:
            return "no ε is promised"
        return "" if defence.noise.mode == "local" else "no site's noise is enough by itself: they add it together"

    def view(self, defence: Defence) -> str:
        return defence.title if defence.broken else view_of(defence)

    def held_by(self, defence: Defence) -> bool:
        return defence.noise is not None

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        if not defence.broken:
            assert defence.noise is not None
            assert defence.noise.epsilon is not None

            def seems(joined: bool, trial: int) -> bool:
                return seems_joined(defence, joined, seed * TRIALS + trial)

            return _found(defence.noise.epsilon, guesses(seems, seed))
        with needed("flare"):
            from nvflare.apis.dxo import DXO, DataKind
            from nvflare.apis.fl_context import FLContext
            from nvflare.app_common.filters.svt_privacy import SVTPrivacy

        svt = SVTPrivacy()
        update = svt.gamma * np.random.default_rng(seed).choice([-1.0, 1.0], LENGTH)

        def guess(first: bool, _: int) -> bool:
            dxo = DXO(DataKind.WEIGHT_DIFF, data={NAME: update if first else -update})
            sent = svt.process_dxo(dxo, dxo.to_shareable(), FLContext()).data[NAME]
            return float(sent @ update) > 0

        with silent(seed):
            right = guesses(guess, seed)
        whole = svt.get_privacy_ledger()[0]["epsilon_total"]
        return _found(svt.epsilon, right, f"; by its own account of one call, {whole:.1f}")


def guesses(guess: Callable[[bool, int], bool], seed: int) -> int:
    """Return how many guesses are right. guess: (which of two it is, number of the trial) → which it seems to be."""
    coins = np.random.default_rng([seed, 1]).integers(2, size=TRIALS).astype(bool)
    return sum(guess(bool(coin), trial) == coin for trial, coin in enumerate(coins))


def least_epsilon(right: int) -> float:
    """Return ε that so many right guesses show: under ε one is right with a chance of e^ε / (1 + e^ε) at most."""
    chance = float(beta.ppf(1 - SURE, right, TRIALS - right + 1)) if right else 0.0
    return max(0.0, math.log(chance / (1 - chance))) if chance else 0.0


def _found(stated: float, right: int, account: str = "") -> Finding:
    shown = least_epsilon(right)
    said = f"{right} of {TRIALS} guesses are right: ε is {shown:.2f} at the least, {stated:.2f} is set{account}"
    return Finding(shown / stated, 0.0, note=said)


def seems_joined(defence: Defence, joined: bool, seed: int) -> bool:
    """Tell whether somebody seems to have joined a sum under noise that each site adds for itself."""
    assert defence.noise is not None
    row = np.full((1, OUR_LENGTH), defence.noise.clip / math.sqrt(OUR_LENGTH))
    nobody = np.zeros_like(row)
    (seen,) = released(defence, [row if joined else nobody, *[nobody] * (defence.sites - 1)], seed)
    return float(seen @ row[0]) > defence.noise.clip**2 / 2
