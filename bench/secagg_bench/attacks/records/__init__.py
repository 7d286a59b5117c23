"""Attacks that rebuild records from what is released."""

from __future__ import annotations

from ..attack import Attack
from .imprint import Imprint

RECORDS: tuple[type[Attack], ...] = (Imprint,)
