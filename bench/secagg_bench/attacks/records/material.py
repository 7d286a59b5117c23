"""Rows that are attacked: whose half the attacker knows, and whose other half it wants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from secagg.extras import needed
from secagg_protocols import InputError

from ..attack import Effort
from ..released import Floats

CROP = 16
"""Pixels of a crop, in each direction."""
PLAIN = 0.1
"""A crop whose grey values spread less is of nothing but sky: any other such crop looks like it."""


@dataclass(frozen=True)
class Rows:
    """Rows in 0..1, each with its class. shape: of a picture, if they are pictures."""

    x: Floats
    y: NDArray[np.int64]
    shape: tuple[int, int] | None = None


def digits() -> Rows:
    """Return scikit-learn's handwritten digits, each with the digit that it is."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return Rows(found.data / 16, found.target.astype(np.int64), (8, 8))


def halves() -> Rows:
    """Return the digits in two classes: below five, or not."""
    found = digits()
    return Rows(found.x, (found.y >= 5).astype(np.int64), found.shape)


def crops() -> Rows:
    """Return grey crops of scikit-learn's two photographs, each with the photograph that it is of."""
    with needed("train"):
        from sklearn.datasets import load_sample_images

        photographs = load_sample_images().images
    tiles = [_tiles(photograph.mean(axis=2) / 255) for photograph in photographs]
    x = np.concatenate(tiles)
    y = np.repeat(np.arange(len(tiles)), [len(one) for one in tiles])
    seen = x.std(axis=1) > PLAIN
    return Rows(x[seen], y[seen].astype(np.int64), (CROP, CROP))


def _tiles(grey: Floats) -> Floats:
    """Return the crops of one photograph at half its resolution, (crops, pixels)."""
    down, across = (length // (2 * CROP) for length in grey.shape)
    cut = grey[: down * 2 * CROP, : across * 2 * CROP]
    tiles: Floats = cut.reshape(down, CROP, 2, across, CROP, 2).mean(axis=(2, 5))
    return tiles.transpose(0, 2, 1, 3).reshape(down * across, -1)


def biopsies() -> Rows:
    """Return scikit-learn's breast-cancer data: measurements of a biopsy, and whether it is benign."""
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    return Rows(_scaled(found.data), found.target.astype(np.int64))


def lung_patients() -> Rows:
    """Return lifelines' patients of the NCCTG lung study: age, sex, how they fare, and whether they died."""
    with needed("bench"):
        from lifelines.datasets import load_lung

        patients = load_lung()
    columns = patients.drop(columns=["inst", "time", "status"])
    x = columns.fillna(columns.median()).to_numpy(np.float64)
    return Rows(_scaled(x), patients["status"].to_numpy(np.int64))


def _scaled(x: Floats) -> Floats:
    least = x.min(axis=0)
    scaled: Floats = (x - least) / (x.max(axis=0) - least)
    return scaled


@dataclass(frozen=True)
class Material:
    """Rows in 0..1 of which the attacker knows half, and whose the other half is. shape: of a picture, if it is one."""

    public: Floats
    public_y: NDArray[np.int64]
    x: Floats
    y: NDArray[np.int64]
    shape: tuple[int, int] | None

    @classmethod
    def of(cls, effort: Effort, seed: int, own: Callable[[], Rows]) -> Material:
        """Return the user's rows, or else the attack's own. Raises `InputError` where they have one column alone."""
        brought = effort.records
        if brought is not None and brought.x.shape[1] < 2:
            raise InputError("the table is too small: it has one column beside its target, hit by chance")
        rows = own() if brought is None else Rows((brought.x + 1) / 2, brought.y)
        order = np.random.default_rng([seed, 0]).permutation(len(rows.x))
        half = len(rows.x) // 2
        known, wanted = order[:half], order[half:]
        return cls(rows.x[known], rows.y[known], rows.x[wanted], rows.y[wanted], rows.shape)

    def sites(self, count: int, rows: int) -> list[slice]:
        """Return whose rows are whose: so many for each site. Raises `InputError` where there are too few."""
        if count * rows > len(self.x):
            plural = "row" if rows == 1 else "rows"
            raise InputError(
                f"the table is too small: {count} sites of {rows} {plural} are attacked with as many rows again known, "
                f"{2 * count * rows} in all, and it has {len(self.public) + len(self.x)}"
            )
        return [slice(site * rows, (site + 1) * rows) for site in range(count)]
