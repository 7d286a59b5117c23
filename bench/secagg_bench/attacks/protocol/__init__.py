"""Attacks on the protocol, through the real machines."""

from __future__ import annotations

from ..attack import Attack
from .both_shares import BothShares
from .ckks_key import CkksKey
from .corrupt_shares import CorruptShares
from .dropouts import Dropouts
from .equal_sums import EqualSums
from .exhaustion import Exhaustion
from .framing import Framing
from .hostile_proposal import HostileProposal
from .isolated_neighbour import IsolatedNeighbour
from .key_substitution import KeySubstitution
from .late_input import LateInput
from .overflow import Overflow
from .replay import Replay
from .reused_masks import ReusedMasks
from .small_cohort import SmallCohort
from .split_view import SplitView
from .suppression import Suppression
from .sybils import Sybils
from .tampering import Tampering
from .weak_masks import WeakMasks
from .wrong_sum import WrongSum

PROTOCOL: tuple[type[Attack], ...] = (
    BothShares,
    CkksKey,
    CorruptShares,
    Dropouts,
    EqualSums,
    Exhaustion,
    Framing,
    HostileProposal,
    IsolatedNeighbour,
    KeySubstitution,
    LateInput,
    Overflow,
    Replay,
    ReusedMasks,
    SmallCohort,
    SplitView,
    Suppression,
    Sybils,
    Tampering,
    WeakMasks,
    WrongSum,
)
