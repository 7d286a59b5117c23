"""What attacks on the protocol have in common: their view, and what of one participant's vector they learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg_protocols import RoundContext, Scheme

from ..attack import Attack, Metric
from ..defence import Defence
from .schemes import seen

LENGTH = 20
VICTIM = 1
CONTEXT = RoundContext("attack", 1, b"\x01" * 32)
KNOWN = Metric("share of the participant's values learnt", success=0.5)

Vector = NDArray[np.integer[Any]]


class ProtocolAttack(Attack):
    """An attack whose view is the scheme, and the server that it is made for."""

    def no_view(self, defence: Defence) -> str:
        return "nothing is sent but the vector, and the server sees it" if defence.scheme is None else ""

    def view(self, defence: Defence) -> str:
        return seen("messages", defence)


def known(vector: Vector, learnt: Vector | None) -> float:
    """Return the share of a vector's values that were learnt."""
    return 0.0 if learnt is None else float(np.mean(learnt == vector))


def by_guessing(scheme: Scheme) -> float:
    """Return the share that is right of values guessed at random."""
    return 1 / (1 + scheme.domain.largest)
