"""The rounds to measure: the papers' grids, a quick stand-in for them, and how cost grows in n, d and dropouts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal, TypeAlias

import msgspec

import secagg
from secagg.schemes import SCHEMES, WITHSTAND_ACTIVE, parameters_of

Adversary = Literal["semi-honest", "active"]
Axis = Literal["clients", "length", "drop"]
Line: TypeAlias = tuple[str, Adversary, float]
"""A scheme, the server, the fraction of colluders."""

EXPECTED_LOSS = 0.05
"""SecAggPlus' graph is made for at least this fraction of dropouts, whether or not anyone drops out."""


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One round to measure.

    scheme: any registered one. clients: n. length: d. drop: fraction that drops out before its masked input. corrupt:
    fraction that may collude with the server, from which the scheme derives its threshold (and SecAggPlus its graph).
    bits: of each value.
    """

    scheme: str
    adversary: Adversary
    clients: int
    length: int
    drop: float
    corrupt: float
    bits: int = 16

    def build(self) -> secagg.Scheme:
        """Return the scheme of this round. Raises `secagg.ParameterError` when there is none."""
        if self.scheme not in SCHEMES:
            raise secagg.ParameterError(f"scheme {self.scheme!r} is unknown; choose from {', '.join(SCHEMES)}")
        stated = {
            "colluders": round(self.corrupt * self.clients),
            "corrupt_rate": self.corrupt,
            "dropouts": self.clients // 2,
            "dropout_rate": max(self.drop, EXPECTED_LOSS),
            "adversary": self.adversary,
            "value_bits": self.bits,
        }
        known = parameters_of(self.scheme)
        if "corrupt_rate" in known:
            del stated["colluders"]  # it follows from the rate
        taken: dict[str, Any] = {name: value for name, value in stated.items() if name in known}
        return SCHEMES[self.scheme](self.clients, self.length, **taken)


class Published(msgspec.Struct, frozen=True):
    """What a paper reports for a case, in seconds, and where that is stated."""

    client_s: float
    server_s: float
    source: str


class Table(msgspec.Struct, frozen=True):
    """Cases that are read together. note: where the grid comes from and what it may be compared with."""

    title: str
    note: str
    cases: tuple[Case, ...]


class Sweep(msgspec.Struct, frozen=True):
    """Cases that differ in `axis` only, for each scheme. fixed: the rest, in words."""

    axis: Axis
    fixed: str
    cases: tuple[Case, ...]


@dataclass(frozen=True, kw_only=True)
class Axes:
    """Rounds that somebody chose. clients, length, drop: the values of each axis, one or more."""

    clients: tuple[int, ...]
    length: tuple[int, ...]
    drop: tuple[float, ...]
    bits: int

    @property
    def first(self) -> Axes:
        """The one round in which every axis has its first value."""
        return replace(self, clients=self.clients[:1], length=self.length[:1], drop=self.drop[:1])


CCS17_AXES = Axes(
    clients=(500, 100, 200, 300, 400),
    length=(100_000, 200_000, 300_000, 400_000, 500_000),
    drop=(0.0, 0.1, 0.2, 0.3),
    bits=16,
)
"""Those of the figures of Bonawitz et al. (CCS'17): n at 100,000 values, d at 500 participants, dropouts as lines."""


class Grid(msgspec.Struct, frozen=True):
    """Everything one run measures."""

    name: str
    tables: tuple[Table, ...]
    sweeps: tuple[Sweep, ...]

    @property
    def cases(self) -> tuple[Case, ...]:
        """Every case once, in reading order."""
        shown: tuple[Table | Sweep, ...] = (*self.tables, *self.sweeps)
        return tuple(dict.fromkeys(case for each in shown for case in each.cases))


MEASURED: tuple[Line, ...] = (
    ("bonawitz", "semi-honest", 0.1),
    ("bonawitz", "active", 0.1),
    ("secagg-plus", "semi-honest", 0.05),
    ("lightsecagg", "semi-honest", 0.1),
)
"""The papers' schemes, with the colluders that the tables and sweeps assume, unless they say otherwise."""

WARM_UP = Case("bonawitz", "active", 10, 100_000, 0.1, 0.1)
"""A round whose cost is thrown away: the first one in a process also pays for what is loaded once."""

CCS17_SOURCE = "Bonawitz et al., CCS'17, their table as commonly cited"
_CCS17_CLIENT_S = {500: 0.85, 1000: 1.7}
_CCS17_SERVER_S = {
    (500, 0.0): 2.0,
    (500, 0.1): 62.0,
    (500, 0.3): 143.0,
    (1000, 0.0): 4.9,
    (1000, 0.1): 181.0,
    (1000, 0.3): 414.0,
}


_PUBLISHED = {
    ("bonawitz", "semi-honest", clients, 100_000, drop): Published(_CCS17_CLIENT_S[clients], server_s, CCS17_SOURCE)
    for (clients, drop), server_s in _CCS17_SERVER_S.items()
}


def published(case: Case) -> Published | None:
    """Return the paper's own figure for a case; None where we know of none that is sure enough to print."""
    if case.bits != 16:
        return None
    return _PUBLISHED.get((case.scheme, case.adversary, case.clients, case.length, case.drop))


def _bonawitz(clients: Iterable[int]) -> tuple[Case, ...]:
    adversaries: tuple[Adversary, ...] = ("semi-honest", "active")
    return tuple(
        Case("bonawitz", adversary, n, 100_000, drop, 0.1)
        for adversary, n, drop in product(adversaries, clients, (0.0, 0.1, 0.3))
    )


def _lightsecagg(clients: int, length: int) -> tuple[Case, ...]:
    return tuple(Case("lightsecagg", "semi-honest", clients, length, drop, 0.1) for drop in (0.1, 0.3, 0.5))


def _sweeps(lines: Iterable[Line], quick: bool) -> tuple[Sweep, ...]:
    """How cost grows in n, d and dropouts, each scheme a line."""
    if quick:
        return (
            _sweep(lines, "clients", "10,000 values, 10 % drop out", (20, 50, 100), (10_000,), (0.1,)),
            _sweep(lines, "length", "20 participants, 10 % drop out", (20,), (1_000, 10_000, 100_000), (0.1,)),
            _sweep(lines, "drop", "50 participants, 10,000 values", (50,), (10_000,), (0.0, 0.1, 0.2, 0.3, 0.4)),
        )
    return (
        _sweep(lines, "clients", "10,000 values, 10 % drop out", (20, 50, 100, 200, 500), (10_000,), (0.1,)),
        _sweep(lines, "length", "20 participants, 10 % drop out", (20,), (1_000, 10_000, 100_000, 1_000_000), (0.1,)),
        _sweep(lines, "drop", "100 participants, 100,000 values", (100,), (100_000,), (0.0, 0.1, 0.2, 0.3, 0.4)),
    )


def _sweep(
    lines: Iterable[Line],
    axis: Axis,
    fixed: str,
    clients: Iterable[int],
    lengths: Iterable[int],
    drops: Iterable[float],
    bits: int = 16,
) -> Sweep:
    workloads = tuple(product(clients, lengths, drops))
    cases = tuple(
        Case(scheme, adversary, n, d, drop, corrupt, bits)
        for scheme, adversary, corrupt in lines
        for n, d, drop in workloads
    )
    return Sweep(axis, fixed, cases)


def _institutions(lines: Iterable[Line]) -> Table:
    return Table(
        "Ten institutions, a million values",
        "No paper's grid: the size that institutions rather than phones have.",
        tuple(
            Case(scheme, adversary, 10, 1_000_000, 0.1, corrupt)
            for scheme, adversary, corrupt in lines
            if "neighbours" not in parameters_of(scheme)  # among ten there is no sparse graph to speak of
        ),
    )


def grid_of(names: Iterable[str], *, quick: bool) -> Grid:
    """Return the grid of any schemes, whatever package they are from: sizes that are no paper's."""
    lines = tuple(line for name in names for line in _lines_of(name))
    tables = tuple(table for table in (_institutions(lines),) if table.cases)
    return Grid("quick" if quick else "full", tables, _sweeps(lines, quick))


def grid_of_axes(names: Iterable[str], axes: Axes) -> Grid:
    """Return the grid of rounds that somebody chose: each axis alone, the others at their first value.

    Along participants and values, every fraction of dropouts is a line.
    """
    lines = tuple(line for name in names for line in _lines_of(name))
    first = axes.first
    chosen: list[tuple[Axis, str, Axes]] = []
    if len(axes.clients) > 1:
        chosen.append(("clients", f"{first.length[0]:,} values", replace(axes, length=first.length)))
    if len(axes.length) > 1:
        chosen.append(("length", f"{first.clients[0]:,} participants", replace(axes, clients=first.clients)))
    if len(axes.drop) > 1:
        shape = f"{first.clients[0]:,} participants, {first.length[0]:,} values"
        chosen.append(("drop", shape, replace(first, drop=axes.drop)))
    sweeps = tuple(
        _sweep(lines, axis, f"{fixed}, {axes.bits} bits", along.clients, along.length, along.drop, axes.bits)
        for axis, fixed, along in chosen
    )
    alone = _sweep(lines, "drop", "", first.clients, first.length, first.drop, axes.bits)
    cases = dict.fromkeys(case for sweep in (*sweeps, alone) for case in sweep.cases)
    note = "Sizes of your own: each axis alone, the others at the first value that was given."
    return Grid("own", (Table("Your rounds", note, tuple(cases)),), sweeps)


def _lines_of(name: str) -> Iterator[Line]:
    known = parameters_of(name)
    corrupt = 0.05 if "corrupt_rate" in known else 0.1 if "colluders" in known else 0.0
    yield name, "semi-honest", corrupt
    if name in WITHSTAND_ACTIVE:
        yield name, "active", corrupt


_CCS17_NOTE = (
    "The paper's seconds are the table of Bonawitz et al. (CCS'17) as commonly cited: one series, printed beside the "
    "semi-honest rows only, with one time of a client for each n, whatever the dropouts. It was taken years ago with "
    "other code on other hardware: it says what the protocol used to cost, not who is faster."
)
_CCS20_NOTE = (
    "Bell et al. (CCS'20): 5 % may drop out, and 5 % or a third may be corrupt. No figure of the paper's own is "
    "printed, because none is at hand that we are sure of."
)
_LIGHTSECAGG_NOTE = (
    "So et al. (MLSys'22): n = 200 at 10, 30 and 50 % dropouts. Our parameters: a tenth may collude, half may drop "
    "out. No figure of the paper's own is printed, because none is at hand that we are sure of."
)
_QUICK_NOTE = "A small stand-in: the papers' sizes are in the full grid (leave out --quick), and so are their figures."

QUICK = Grid(
    "quick",
    (
        _institutions(MEASURED),
        Table("Bonawitz", _QUICK_NOTE, _bonawitz([100])),
        Table(
            "SecAggPlus",
            _QUICK_NOTE,
            tuple(Case("secagg-plus", "semi-honest", 100, 100_000, drop, 0.05) for drop in (0.0, 0.05)),
        ),
        Table("LightSecAgg", _QUICK_NOTE, _lightsecagg(50, 100_000)),
    ),
    _sweeps(MEASURED, quick=True),
)
FULL = Grid(
    "full",
    (
        _institutions(MEASURED),
        Table("CCS'17: Bonawitz", _CCS17_NOTE, _bonawitz([500, 1000])),
        Table(
            "CCS'20: SecAggPlus",
            _CCS20_NOTE,
            (
                *(
                    Case("secagg-plus", "semi-honest", 1000, 100_000, drop, corrupt)
                    for corrupt, drop in product((0.05, 1 / 3), (0.0, 0.05))
                ),
                *(Case("secagg-plus", "semi-honest", 10_000, 100_000, 0.05, corrupt) for corrupt in (0.05, 1 / 3)),
            ),
        ),
        Table("MLSys'22: LightSecAgg", _LIGHTSECAGG_NOTE, _lightsecagg(200, 100_000)),
    ),
    _sweeps(MEASURED, quick=False),
)
