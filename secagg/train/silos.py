"""Silos: who holds which rows, and which of them are held out for testing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.errors import InputError

from .data import DEFAULT_INSTITUTIONS, Data, Dataset

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
    labels: NDArray[np.int64], count: int, label_alpha: float, size_alpha: float, rng: np.random.Generator
) -> list[Rows]:
    """Deal rows to `count` silos whose sizes and whose label shares are both Dirichlet draws.

    Raises: InputError when there are not enough rows for LEAST_ROWS each.
    """
    if len(labels) < count * LEAST_ROWS:
        raise InputError(
            f"{len(labels)} rows are too few for {count} institutions ({LEAST_ROWS} rows each at least); "
            f"use at most {len(labels) // LEAST_ROWS} institutions or bring more rows"
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


def split(
    name: str, rows: Rows, labels: NDArray[np.int64], fraction: float, rng: np.random.Generator
) -> tuple[Rows, Rows]:
    """Split one silo's rows into training and test rows, each class in proportion, at least one row in each part."""
    if len(rows) < 2:
        raise InputError(
            f"site {name!r} has {len(rows)} row(s): not enough for one to train and one to test on; "
            "merge it with another site or remove it"
        )
    test: list[int] = []
    for label in (0, 1):
        of_class = rng.permutation(rows[labels[rows] == label])
        test.extend(of_class[: round(fraction * len(of_class))].tolist())
    if not test:
        test = [int(rng.choice(rows))]
    if len(test) == len(rows):
        test.pop()
    held_out = np.array(sorted(test), dtype=np.int64)
    return np.setdiff1d(rows, held_out), held_out


def make_silos(data: Dataset, asked: Data, rng: np.random.Generator) -> tuple[Silo, ...]:
    """Return the silos: those the data names, or Dirichlet ones; each split into training and test rows.

    Raises: InputError for a silo without enough rows, or held-out rows that all have one class.
    """
    if data.sites is None:
        count = asked.institutions or DEFAULT_INSTITUTIONS
        names = [f"hospital {number}" for number in range(1, count + 1)]
        parts = dirichlet(data.y, count, asked.label_alpha, asked.size_alpha, rng)
    else:
        names = sorted(set(data.sites))
        if len(names) < 3:
            raise InputError(f"the site column names {len(names)} site(s); at least 3 are needed to hide one in a sum")
        column = np.array(data.sites)
        parts = [np.flatnonzero(column == name) for name in names]
    silos = []
    for number, (name, rows) in enumerate(zip(names, parts, strict=True), start=1):
        train, test = split(name, rows, data.y, asked.test_fraction, rng)
        silos.append(Silo(number, name, train, test))
    _check_classes(data, silos, asked.test_fraction)
    return tuple(silos)


def _check_classes(data: Dataset, silos: list[Silo], test_fraction: float) -> None:
    """Raise InputError unless both classes are among the held-out rows."""
    held_out = data.y[np.concatenate([silo.test for silo in silos])]
    for label in (0, 1):
        if label not in held_out:
            raise InputError(
                f"no held-out row has class {data.classes[label]!r}, so AUC is undefined; "
                f"raise test_fraction = {test_fraction:g} or bring more rows of that class"
            )
