"""Attacks on frameworks as they ship, through their own code."""

from __future__ import annotations

from ..attack import Attack
from .both_shares import FlowerBothShares
from .client_dp import FlowerClientDp
from .fedavg import FlowerFedAvg
from .mask_seeds import FlowerMaskSeeds
from .published_sum import FlarePublishedSum
from .shared_key import FlareSharedKey
from .svt import FlareSvt

FRAMEWORKS: tuple[type[Attack], ...] = (
    FlowerFedAvg,
    FlowerBothShares,
    FlowerMaskSeeds,
    FlowerClientDp,
    FlareSharedKey,
    FlarePublishedSum,
    FlareSvt,
)
