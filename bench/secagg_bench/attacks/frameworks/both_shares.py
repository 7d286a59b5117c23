"""Flower's SecAgg+: a client opens both secrets of a node that is listed twice, and so gives its update away."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from secagg.extras import needed

from ..attack import Effort, Finding
from ..defence import Defence
from ..protocol.base import VICTIM
from ..protocol.both_shares import BothShares
from .shipped import FLOWER, OnFramework, silent


class FlowerBothShares(OnFramework, BothShares):
    """One node's update, from shares that must never be opened together."""

    name: ClassVar[str] = "flower-both-shares"
    title: ClassVar[str] = "One node's update, by asking Flower's SecAgg+ for both of its secrets"
    framework: ClassVar[tuple[str, str]] = FLOWER
    part: ClassVar[str] = "SecAgg+"

    def view(self, defence: Defence) -> str:
        return defence.title if defence.broken else super().view(defence)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        if not defence.broken:
            return super().run(defence, seed, effort)
        with needed("flower"):
            from . import flower_secagg
        with silent(seed):
            learnt = flower_secagg.asked_for_both(VICTIM, seed)
        return Finding(_known(learnt.read, learnt), _known(learnt.guess, learnt))


def _known(said: Any, learnt: Any) -> float:
    """Return the share of values that are said within rounding."""
    return float(np.mean(np.abs(said - learnt.update) <= learnt.step))
