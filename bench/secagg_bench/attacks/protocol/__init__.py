"""Attacks on the protocol, through the real machines."""

from __future__ import annotations

from ..attack import Attack
from .both_shares import BothShares
from .ckks_key import CkksKey
from .reused_masks import ReusedMasks
from .suppression import Suppression
from .weak_masks import WeakMasks

PROTOCOL: tuple[type[Attack], ...] = (
    BothShares,
    CkksKey,
    ReusedMasks,
    Suppression,
    WeakMasks,
)
