"""Attacks that infer something of sites or patients from what is released."""

from __future__ import annotations

from ..attack import Attack
from .weights import WeightDifferencing

INFERENCE: tuple[type[Attack], ...] = (WeightDifferencing,)
