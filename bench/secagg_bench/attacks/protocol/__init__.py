"""Attacks on the protocol, through the real machines."""

from __future__ import annotations

from ..attack import Attack
from .both_shares import BothShares
from .suppression import Suppression

PROTOCOL: tuple[type[Attack], ...] = (
    BothShares,
    Suppression,
)
