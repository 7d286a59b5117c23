"""Attacks that rebuild records from what is released."""

from __future__ import annotations

from ..attack import Attack
from .cosine import CosineInversion
from .dlg import Dlg
from .imprint import Imprint
from .traps import TrapWeights

RECORDS: tuple[type[Attack], ...] = (Imprint, Dlg, CosineInversion, TrapWeights)
