"""What the server is shown of sites' updates under a defence: the codec's own sums, with the mechanism's own noise.

Every scheme releases the same integers (tests/bench/test_attacks.py compares them), so attacks on a sum share its view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

import secagg
from secagg.codec import Layout, MeanCodec
from secagg.codec.interface import PROBE
from secagg.privacy.mechanism import Mechanism
from secagg.schemes import make_scheme
from secagg_protocols import InsecureDeterministicRandomness, ParameterError

from .attack import Attack
from .defence import Defence, Noise

Floats = NDArray[np.float64]

VALUE_BITS = 16
NOISY_BITS = (16, 20, 24, 28)
"""Of a value with noise. The fewest whose grid is fine enough for the noise: too little noise needs a fine one."""


def view_of(defence: Defence) -> str:
    """Name what is released: the same words for defences that release the same."""
    if defence.scheme is None:
        return "each update"
    said = f"sum of {defence.sites}"
    if defence.clip is not None:
        said += f", values clipped at {defence.clip:g}"
    if (noise := defence.noise) is not None:
        said += f", {noise.mode} noise z = {noise.multiplier:g} over each {noise.unit} clipped at {noise.clip:g}"
    return said


class OnReleased(Attack):
    """An attack on what is released, under whatever defence."""

    def no_view(self, defence: Defence) -> str:
        return ""

    def view(self, defence: Defence) -> str:
        return view_of(defence)


def shown_by(defence: Defence) -> str:
    """Return what is released, in words for who is in it."""
    if defence.scheme is None:
        return "what each site sent"
    sites = "one site" if defence.sites == 1 else f"{defence.sites} sites"
    return f"the sum of {sites}{', with noise' if defence.noise else ''}"


def released(
    defence: Defence, rows: Sequence[Floats], seed: int, patients: Sequence[NDArray[np.int64]] | None = None
) -> list[Floats]:
    """Return the updates that the server learns: one for each site, or one that is their sum.

    rows: for each site, the gradient of each of its rows, (rows, values). An update is their sum; under noise over
    patients, the sum over patients of the mean over their rows. patients: for each site, whose each row is; None:
    each row is a patient's of its own.
    """
    if defence.scheme is None:
        return [decoded(defence, [site.sum(axis=0)], seed) for site in rows]
    noise = defence.noise
    if noise is None:
        return [decoded(defence, [site.sum(axis=0) for site in rows], seed)]
    if noise.unit == "patient" and patients is not None:
        rows = [_means(site, whose) for site, whose in zip(rows, patients, strict=True)]
    if noise.unit in ("row", "patient"):
        rows = [clipped(site, noise.clip) for site in rows]
    updates = [site.sum(axis=0) for site in rows]
    if noise.unit == "institution":
        updates = list(clipped(np.array(updates), noise.clip))
    if noise.mode == "local":
        rng = np.random.default_rng([seed, 1])
        updates = [update + rng.normal(0, noise.multiplier * noise.clip, update.shape) for update in updates]
        return [decoded(defence, updates, seed)]
    most = 1 if noise.unit == "institution" else max(len(site) for site in rows)
    return [_with_noise_under_the_sum(noise, updates, most, seed)]


def _means(rows: Floats, whose: NDArray[np.int64]) -> Floats:
    """Return the mean over each patient's rows, (patients, values)."""
    return np.array([rows[whose == patient].mean(axis=0) for patient in np.unique(whose)])


def clipped(vectors: Floats, clip: float) -> Floats:
    """Return vectors, each cut to this L2 norm."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    cut: Floats = vectors * np.minimum(1, clip / np.maximum(norms, 1e-30))
    return cut


def codec_for(defence: Defence, updates: Sequence[Floats]) -> MeanCodec:
    """Return the codec of a defence without noise under the sum. Without a clip of its own it cuts nothing."""
    widest = max(float(np.abs(update).max()) for update in updates) or 1.0
    return MeanCodec(Layout.of([updates[0]]), clip=defence.clip or widest, value_bits=VALUE_BITS)


def decoded(defence: Defence, updates: Sequence[Floats], seed: int) -> Floats:
    """Return the sum of updates as the codec brings it back."""
    codec = codec_for(defence, updates)
    randomness = InsecureDeterministicRandomness(seed)
    vectors = (codec.encode([update], randomness=randomness).vector.astype(np.uint64) for update in updates)
    return _sum_of(codec.decode(reduce(np.add, vectors), len(updates)), len(updates))


def mechanism_for(noise: Noise, sites: int, length: int, rows: int) -> Mechanism:
    """Return the mechanism of noise under the sum, with as few bits as it works with. rows: of a site, at most."""
    asked = Mechanism(sites, length, noise.clip, noise.multiplier, NOISY_BITS[0], reach=rows * noise.clip)
    return next(one for bits in NOISY_BITS if _fits(one := replace(asked, value_bits=bits)))


def _with_noise_under_the_sum(noise: Noise, updates: Sequence[Floats], rows: int, seed: int) -> Floats:
    """Return the sum, to which participants add the noise. rows: of a site, at most.

    Plain participants add what those of Bonawitz add under their masks, and 64 of them take a twentieth of the time.
    """
    mechanism = mechanism_for(noise, len(updates), updates[0].size, rows)
    codec = mechanism.codec(Layout.of([updates[0]]))
    randomness = InsecureDeterministicRandomness(seed)
    scheme = make_scheme(
        "plain", mechanism.participants, mechanism.length, value_bits=mechanism.value_bits, noise=mechanism.noise
    )
    vectors = [codec.encode([update], randomness=randomness).vector for update in updates]
    run = secagg.simulate(scheme, vectors, randomness=randomness)
    return _sum_of(codec.decode(run.total, len(updates)), len(updates))


def _fits(mechanism: Mechanism) -> bool:
    """Tell whether the mechanism has a codec: with too few bits, little noise is less than the grid's own."""
    try:
        mechanism.codec(PROBE)
    except ParameterError:
        return False
    return True


def _sum_of(mean: secagg.codec.Decoded, count: int) -> Floats:
    (array,) = mean.arrays
    return np.asarray(array, dtype=np.float64) * count
