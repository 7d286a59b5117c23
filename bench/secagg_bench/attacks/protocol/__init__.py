"""Attacks on the protocol, through the real machines."""

from __future__ import annotations

from ..attack import Attack
from .both_shares import BothShares
from .ckks_key import CkksKey
from .overflow import Overflow
from .reused_masks import ReusedMasks
from .suppression import Suppression
from .tampering import Tampering
from .weak_masks import WeakMasks

PROTOCOL: tuple[type[Attack], ...] = (
    BothShares,
    CkksKey,
    Overflow,
    ReusedMasks,
    Suppression,
    Tampering,
    WeakMasks,
from .corrupt_shares import CorruptShares
from .dropouts import Dropouts
from .framing import Framing
from .isolated_neighbour import IsolatedNeighbour
from .key_substitution import KeySubstitution
from .late_input import LateInput
from .replay import Replay
from .small_cohort import SmallCohort
from .split_view import SplitView
from .sybils import Sybils
    CorruptShares,
    Dropouts,
    Framing,
    IsolatedNeighbour,
    KeySubstitution,
    LateInput,
    Replay,
    SmallCohort,
    SplitView,
    Sybils,
)
