"""What a round of LightSecAgg cannot avoid.

One mask with its T uniform pieces, and one channel to every peer. Coding and decoding are matrix products, which are
not counted; the server expands no mask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.step import Step
from ..core.work import MeasuredRound, Work

if TYPE_CHECKING:
    from .params import LightSecAgg


def work(scheme: LightSecAgg, run: MeasuredRound) -> tuple[Work, Work]:
    """Return the work of one surviving client and of the server, counted from what happened."""
    elements = scheme.quorum * scheme.piece_length
    peers = len(run.answered.get(Step.ADVERTISE_KEYS, ())) - 1
    return Work(peers, elements * scheme.packing.word_bytes), Work()
