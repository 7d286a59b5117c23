"""Attacks on the protocol, through the real machines."""

from __future__ import annotations

from ..attack import Attack
from .both_shares import BothShares
from .ckks_key import CkksKey
from .exhaustion import Exhaustion
from .hostile_proposal import HostileProposal
from .overflow import Overflow
from .reused_masks import ReusedMasks
from .suppression import Suppression
from .tampering import Tampering
from .weak_masks import WeakMasks
from .wrong_sum import WrongSum

PROTOCOL: tuple[type[Attack], ...] = (
    BothShares,
    CkksKey,
    Exhaustion,
    HostileProposal,
    Overflow,
    ReusedMasks,
    Suppression,
    Tampering,
    WeakMasks,
    WrongSum,
)
