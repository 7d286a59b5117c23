"""How fast noise is drawn, put on and taken off; and whether it is what it is called."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from secagg.codec import Layout
from secagg.privacy.measured import standard_errors
from secagg.privacy.mechanism import Mechanism
from secagg_protocols.core.noise import ROUNDING, NoiseShare
from secagg_protocols.packing.masks import Keystream
from secagg_protocols.primitives.gaussian import gaussian
from secagg_protocols.primitives.randomness import SYSTEM
from secagg_protocols.primitives.rounding import GRID, rounder

from .exactness import discrete
from .rows import STANDARD_ERRORS, Row

WIDTHS = ("16", "152", "608")
MILLION = 1_000_000
BITS = 12
REPEATED = 5
FASTEST = 20e6
"""Samples a second, at least."""

ENCODING_S = {0: 0.15, 3: 0.25}
"""Layers → seconds for a million values, at most."""

TAKING_OFF_S = 0.8
_FEWEST = 20
"""Values expected less often are counted together."""


def speeds() -> Iterator[Row]:
    """Yield samples a second, and seconds for a million values, of one core's time."""
    for width in WIDTHS:
        source = Keystream(_key())
        taken = _cpu_s(partial(gaussian(width).sample, MILLION, source))
        yield Row("speed", f"samples a second, {width} wide", MILLION / taken, least=FASTEST)
    values = np.random.default_rng(1).normal(size=MILLION)
    for layers, most in ENCODING_S.items():
        taken = _cpu_s(partial(_encode, _mechanism(layers), values))
        yield Row("speed", f"seconds to encode 1M values, {layers} layers", taken, most=most)
    taken = _cpu_s(partial(_take_off, _mechanism(3).share, np.zeros(MILLION, dtype=np.int64)))
    yield Row("speed", "seconds to take 3 layers of ten off 1M values", taken, most=TAKING_OFF_S)


def _mechanism(layers: int) -> Mechanism:
    return Mechanism(10, MILLION, 1.0, 1.0, BITS, tolerated=layers)


def _encode(mechanism: Mechanism, values: NDArray[np.float64]) -> None:
    encoded = mechanism.codec(Layout.of([values])).encode([values]).vector
    keys = [_key() for _ in mechanism.share.layers]
    mechanism.share.add_to(encoded, (1 << BITS) - 1, _key(), keys)


def _take_off(share: NoiseShare, total: NDArray[np.int64]) -> None:
    for _ in range(10):
        share.take_off(total, [_key() for _ in share.layers])


def samples(count: int) -> Iterator[Row]:
    """Yield chi-square tests of so many samples against exact probabilities."""
    for width in WIDTHS:
        drawn = gaussian(width).sample(count, Keystream(_key()))
        what = f"chi-square of {count:,} samples {width} wide, in standard errors"
        yield Row("samples", what, chi_square(drawn, 0.0, float(width)), -STANDARD_ERRORS, STANDARD_ERRORS)
    centre = 77 / GRID
    drawn = rounder(ROUNDING).round(np.full(count, centre), Keystream(_key()))
    what = f"chi-square of {count:,} roundings of {centre:.4f}, in standard errors"
    yield Row("samples", what, chi_square(drawn, centre, float(ROUNDING)), -STANDARD_ERRORS, STANDARD_ERRORS)


def chi_square(drawn: NDArray[np.integer], centre: float, sigma: float) -> float:
    """Return by how many standard errors the counts of values are off those of D(centre, σ)."""
    reach = math.ceil(12 * sigma)
    values = np.arange(-reach, reach + 1)
    expected = discrete(values, centre, sigma) * drawn.size
    counts = np.bincount(drawn.astype(np.int64) + reach, minlength=values.size)
    often = expected >= _FEWEST
    squares = float(((counts[often] - expected[often]) ** 2 / expected[often]).sum())
    seldom = float(expected[~often].sum())
    squares += (float(counts[~often].sum()) - seldom) ** 2 / seldom
    freedom = int(often.sum())
    return standard_errors(squares / freedom, freedom)


def _key() -> bytes:
    return SYSTEM.bytes(16)


def _cpu_s(work: Callable[[], object]) -> float:
    """Return the CPU seconds of the fastest of several runs: what is else on the machine only slows."""
    work()  # tables are made once
    taken = []
    for _ in range(REPEATED):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)
