"""How near a record is that an attack made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..attack import Figure, Finding, Metric, Pictures
from ..defence import Defence
from ..released import Floats, view_of
from .material import Material

TOLERANCE = 0.05
"""Root mean square error, in units of the features' range, up to which a row counts as recovered."""
RARE = 0.0002
"""Rows that candidates hit by chance, were they spread over all values: so few that none is taken for recovered."""
SHOWN = 8
PSNR = Metric("likeness of pictures, as peak signal-to-noise ratio", success=20.0, unit="dB", most=60.0, leeway=0.5)
"""At 20 dB one sees at once what a picture was of; beyond 60 nobody sees a difference."""


def recovered(truth: Floats, candidates: Floats, tolerance: float = TOLERANCE) -> NDArray[np.bool_]:
    """Tell which rows one of the candidates is. Of few columns more must agree: candidates hit rows by chance."""
    tolerance = min(tolerance, (RARE / max(len(candidates), 1)) ** (1 / truth.shape[1]))
    return np.array([errors(row, candidates).min(initial=np.inf) < tolerance for row in truth])


def errors(row: Floats, candidates: Floats) -> Floats:
    """Return each candidate's root mean square error."""
    found: Floats = np.sqrt(np.mean((candidates - row) ** 2, axis=1))
    return found


def psnr(truth: Floats, candidates: Floats) -> float:
    """Return the peak signal-to-noise ratio of the candidate that is nearest, as a mean over the rows of truth."""
    least = 10 ** (-PSNR.most / 20)
    nearest = [max(errors(row, candidates).min(), least) for row in truth]
    return float(np.mean(-20 * np.log10(nearest)))


def likeness(defence: Defence, material: Material, truth: Floats, made: Floats) -> Finding:
    """Say how near the pictures come that an attack made, beside the nearest of as many others of the kind, or their
    mean."""
    made = np.clip(made, 0, 1)
    others = psnr(truth, material.public[: len(made)])
    mean = psnr(truth, material.public.mean(axis=0, keepdims=True))
    return Finding(psnr(truth, made), max(others, mean), pictures(defence, truth, made, material.shape))


def pictures(defence: Defence, truth: Floats, candidates: Floats, shape: tuple[int, int] | None) -> tuple[Figure, ...]:
    """Return the first rows, each beside the nearest candidate."""
    if shape is None or not len(candidates):
        return ()
    nearest = [candidates[errors(row, candidates).argmin()] for row in truth[:SHOWN]]
    title = f"Pictures, and the nearest that the attack made: {view_of(defence)}"
    return (Pictures(title, shape, _grey(truth[:SHOWN]), _grey(nearest)),)


def _grey(rows: Sequence[Floats] | Floats) -> list[list[float]]:
    return [[round(float(value), 3) for value in np.clip(row, 0, 1)] for row in rows]
