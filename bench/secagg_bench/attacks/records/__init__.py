"""Attacks that rebuild records from what is released."""

from __future__ import annotations

from ..attack import Attack
from .attributes import TabularInversion
from .cosine import CosineInversion
from .dlg import Dlg
from .imprint import Imprint
from .readout import TabularReadout
from .traps import TrapWeights

RECORDS: tuple[type[Attack], ...] = (Imprint, Dlg, CosineInversion, TrapWeights, TabularReadout, TabularInversion)
