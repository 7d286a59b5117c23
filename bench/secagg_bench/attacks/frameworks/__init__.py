"""Attacks on frameworks as they ship, through their own code."""

from __future__ import annotations

from ..attack import Attack

FRAMEWORKS: tuple[type[Attack], ...] = ()
