"""Attacks on the protocol, through the real machines."""

from __future__ import annotations

from ..attack import Attack
from .both_shares import BothShares
from .corrupt_shares import CorruptShares
from .dropouts import Dropouts
from .framing import Framing
from .isolated_neighbour import IsolatedNeighbour
from .key_substitution import KeySubstitution
from .late_input import LateInput
from .replay import Replay
from .small_cohort import SmallCohort
from .split_view import SplitView
from .suppression import Suppression
from .sybils import Sybils

PROTOCOL: tuple[type[Attack], ...] = (
    BothShares,
    CorruptShares,
    Dropouts,
    Framing,
    IsolatedNeighbour,
    KeySubstitution,
    LateInput,
    Replay,
    SmallCohort,
    SplitView,
    Suppression,
    Sybils,
)
