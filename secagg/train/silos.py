"""Silos: who holds which rows, and which of them are held out for testing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.errors import InputError

from .data import DEFAULT_INSTITUTIONS, Data, Dataset
from .table.names import few

LEAST_ROWS = 4
"""Every Dirichlet silo gets at least these many rows, so that each has some to train and some to test on."""

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Silo:
    """One institution's rows. `id` is its participant id, from 1; `train` and `test` index the data set's rows."""

    id: int
    name: str
    train: Rows
    test: Rows

    @property
    def size(self) -> int:
        """Number of rows, training and test together."""
        return len(self.train) + len(self.test)


def dirichlet(
    labels: NDArray[np.int64],
    count: int,
    label_alpha: float,
    size_alpha: float,
    rng: np.random.Generator,
    units: str = "rows",
) -> list[Rows]:
    """Deal rows to `count` silos whose sizes and whose label shares are both Dirichlet draws.

    units: what the labels are of, where whole patients are dealt.

    Raises: InputError when there are not enough rows for LEAST_ROWS each.
    """
    if len(labels) < count * LEAST_ROWS:
        raise InputError(
            f"{len(labels)} {units} are too few for {count} institutions ({LEAST_ROWS} {units} each at least); "
            f"use --institutions {len(labels) // LEAST_ROWS} or less, or bring more {units}"
        )
    sizes = rng.dirichlet([size_alpha] * count)
    shares = rng.dirichlet([label_alpha, label_alpha], size=count)
    dealt: list[list[int]] = [[] for _ in range(count)]
    for label in (0, 1):
        rows = rng.permutation(np.flatnonzero(labels == label))
        part = sizes * shares[:, label]
        cuts = np.round(np.cumsum(part / part.sum())[:-1] * len(rows)).astype(int)
        for silo, piece in zip(dealt, np.split(rows, cuts), strict=True):
            silo.extend(piece.tolist())
    _top_up(dealt)
    return [rng.permutation(np.array(silo, dtype=np.int64)) for silo in dealt]


def _top_up(dealt: list[list[int]]) -> None:
    """Move rows from the largest silo to any that got fewer than LEAST_ROWS."""
    for silo in dealt:
        while len(silo) < LEAST_ROWS:
            silo.append(max(dealt, key=len).pop())


def hold_out(units: Rows, labels: NDArray[np.int64], fraction: float, rng: np.random.Generator) -> Rows:
    """Choose the units of one silo to test on, each class in proportion, at least one in each part if there are two.

    A unit is what must not be both trained and tested on: a row, or all rows of a patient. labels: of all units.
    """
    test: list[int] = []
    for label in (0, 1):
        of_class = rng.permutation(units[labels[units] == label])
        test.extend(of_class[: round(fraction * len(of_class))].tolist())
    if not test and len(units) > 1:
        test = [int(rng.choice(units))]
    if test and len(test) == len(units):
        test.pop()
    return np.array(sorted(test), dtype=np.int64)


def make_silos(data: Dataset, asked: Data, rng: np.random.Generator) -> tuple[Silo, ...]:
    """Return the silos: those the data names, or Dirichlet ones; each split into training and test rows.

    Where the data says whose rows they are, a patient's are all trained on or all tested on, also those at other sites.
    Raises: InputError for silos without enough rows, or held-out rows that all have one class.
    """
    unit_of = np.arange(len(data.y)) if data.patients is None else data.patients
    labels = np.zeros(unit_of.max() + 1, dtype=np.int64)
    np.maximum.at(labels, unit_of, data.y)
    dealt = _deal(labels, unit_of, asked, rng) if data.sites is None else _named(data.name, data.sites, unit_of)
    tested = np.zeros(len(labels), dtype=bool)
    for part in dealt.parts:
        tested[hold_out(part, labels, asked.test_fraction, rng)] = True
    silos = []
    for number, name in enumerate(dealt.names, start=1):
        own = np.flatnonzero(dealt.site_of == number - 1)
        held_out = tested[unit_of[own]]
        silos.append(Silo(number, name, own[~held_out], own[held_out]))
    _check_rows(data, silos)
    _check_classes(data, silos, asked.test_fraction)
    return tuple(silos)


@dataclass(frozen=True)
class _Dealt:
    """names: of the silos; parts: the units that each splits; site_of: which silo holds a row, from 0."""

    names: list[str]
    parts: list[Rows]
    site_of: Rows


def _deal(labels: NDArray[np.int64], unit_of: Rows, asked: Data, rng: np.random.Generator) -> _Dealt:
    """Deal units to hospitals that are made up."""
    count = asked.institutions or DEFAULT_INSTITUTIONS
    units = "rows" if asked.patient_column is None else "patients"
    parts = dirichlet(labels, count, asked.label_alpha, asked.size_alpha, rng, units)
    silo_of = np.empty(len(labels), dtype=np.int64)
    for silo, part in enumerate(parts):
        silo_of[part] = silo
    return _Dealt([f"hospital {number}" for number in range(1, count + 1)], parts, silo_of[unit_of])


def _named(table: str, sites: tuple[str, ...], unit_of: Rows) -> _Dealt:
    """Give each row to the site that it names, and a unit with rows at several sites to the one of its first row."""
    names, site_of = np.unique(sites, return_inverse=True)
    if len(names) < 3:
        raise InputError(f"{table} names {len(names)} site(s); at least 3 are needed to hide one in a sum")
    _, first_row = np.unique(unit_of, return_index=True)
    parts = [np.flatnonzero(site_of[first_row] == site) for site in range(len(names))]
    return _Dealt(names.tolist(), parts, site_of)


def _check_rows(data: Dataset, silos: list[Silo]) -> None:
    """Raise InputError, naming every silo that has nothing to train on, or nothing to test on."""
    lacking = [f"{silo.name!r} ({silo.size})" for silo in silos if not (len(silo.train) and len(silo.test))]
    if lacking:
        kind = "row" if data.patients is None else "patient"
        raise InputError(
            f"{len(lacking)} site(s) of {data.name} have no {kind} for training beside one for testing, with their "
            f"rows: {few(lacking)}; merge them with others or remove their rows"
        )


def _check_classes(data: Dataset, silos: list[Silo], test_fraction: float) -> None:
    """Raise InputError unless both classes are among the held-out rows."""
    held_out = data.y[np.concatenate([silo.test for silo in silos])]
    for label in (0, 1):
        if label not in held_out:
            raise InputError(
                f"no held-out row has class {data.classes[label]!r}, so AUC is undefined; "
                f"raise test_fraction = {test_fraction:g} or bring more rows of that class"
            )
