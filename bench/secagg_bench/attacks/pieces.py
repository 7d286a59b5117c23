"""What is finished of a run, as the journal keeps it."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from .attack import Curve, Figure


class Run(msgspec.Struct, frozen=True, tag="run", forbid_unknown_fields=True):
    """One attack on one view with one seed. records: whose rows, "" for the attack's own. seconds: of CPU."""

    attack: str
    view: str
    seed: int
    quick: bool
    records: str
    version: str
    value: float
    baseline: float
    note: str
    figures: tuple[Figure, ...]
    seconds: float

    @property
    def key(self) -> tuple[object, ...]:
        """What makes a run the same one."""
        return "run", self.attack, self.view, self.seed, self.quick, self.records, self.version


class Axes(msgspec.Struct, frozen=True, tag="axes", forbid_unknown_fields=True):
    """One attack along the axes that it has. seconds: of CPU that it took."""

    attack: str
    seeds: tuple[int, ...]
    quick: bool
    records: str
    version: str
    curves: tuple[Curve, ...]
    seconds: float

    @property
    def key(self) -> tuple[object, ...]:
        """What makes it the same one."""
        return "axes", self.attack, self.seeds, self.quick, self.records, self.version


class Price(msgspec.Struct, frozen=True, tag="price", forbid_unknown_fields=True):
    """What one round of a defence costs, `values` coordinates long. CPU milliseconds; bytes that one site sends."""

    defence: str
    values: int
    version: str
    machine: str
    site_ms: float
    server_ms: float
    upload_bytes: float

    @property
    def key(self) -> tuple[object, ...]:
        """What makes it the same one: times are of one machine."""
        return "price", self.defence, self.values, self.version, self.machine


class Trained(msgspec.Struct, frozen=True, tag="trained", forbid_unknown_fields=True):
    """How well models do that were trained under one kind of noise. noise: "" for none. aucs: one for each seed."""

    noise: str
    seeds: int
    version: str
    aucs: tuple[float, ...]

    @property
    def key(self) -> tuple[object, ...]:
        """What makes it the same one."""
        return "trained", self.noise, self.seeds, self.version


Piece: TypeAlias = Run | Axes | Price | Trained
