"""Real rounds with noise: the error of what is decoded, what dropouts leave, and bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

import secagg
from secagg.codec import Layout
from secagg.privacy.mechanism import Mechanism
from secagg_protocols import RoundFailed, Scheme, Step
from secagg_protocols.core.noise import Noise

from .rows import Row, variance_row
from .shares import Telling, WithShare

PARTICIPANTS = 10
TOLERATED = 3
ERROR_BITS = (8, 10, 12)
BYTES = {8: 1.55, 10: 1.80}
"""Bits → bytes of upload a value, at most."""

WHOLE = "2560"
"""Variance where what dropouts leave is measured: parts down to 5 wide."""

VANISHING: Sequence[Mapping[int, str]] = (
    {},
    {4: "MaskedInput"},
    {4: "MaskedInput", 7: "ShareKeys"},
    {4: "MaskedInput", 7: "ShareKeys", 9: "AdvertiseKeys"},
    {4: "MaskedInput", 2: "Unmasking"},
    {4: "MaskedInput", 7: "ShareKeys", 2: "Unmasking"},
    {4: "MaskedInput", 7: "ShareKeys", 2: "Unmasking", 6: "Unmasking"},
    {4: "MaskedInput", 7: "ShareKeys", 9: "MaskedInput", 2: "Unmasking"},
)
"""Who vanishes before which step. Who vanishes before Unmasking is a survivor all the same."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured. length: values of a round; sparse: of one over a sparse graph. rounds: of each kind."""

    length: int
    rounds: int
    sparse: int


FULL = Sizes(length=200_000, rounds=10, sparse=100_000)
QUICK = Sizes(length=50_000, rounds=1, sparse=5_000)


def errors(sizes: Sizes) -> Iterator[Row]:
    """Yield the error of the decoded sum through the real protocol, over z² · clip²."""
    rng = np.random.default_rng(4)
    for bits in ERROR_BITS:
        mechanism = Mechanism(PARTICIPANTS, sizes.length, 1.0, 1.0, bits)
        scheme = secagg.Bonawitz(PARTICIPANTS, sizes.length, value_bits=bits, noise=mechanism.noise)
        squares = 0.0
        for _ in range(sizes.rounds):
            sites = rng.normal(size=(PARTICIPANTS, sizes.length))
            sites /= np.linalg.norm(sites, axis=1, keepdims=True)
            squares += float((_decoded(mechanism, scheme, sites) ** 2).mean())
        what = f"squared error of the decoded sum ÷ z²·clip², {bits} bits"
        yield variance_row("error", what, squares / sizes.rounds, sizes.rounds * sizes.length)


def _decoded(mechanism: Mechanism, scheme: Scheme, sites: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far the sum of vectors within the clip comes out from what it is."""
    codec = mechanism.codec(Layout.of([sites[0]]))
    run = secagg.simulate(scheme, [codec.encode([site]).vector for site in sites])
    (mean,) = codec.decode(run.total, len(run.survivors)).arrays
    error: NDArray[np.float64] = mean * len(run.survivors) - sites.sum(axis=0)
    return error


def dropouts(sizes: Sizes) -> Iterator[Row]:
    """Yield what is left of the survivors' noise, over what they promised together; none where too few are left."""
    honest = secagg.Bonawitz(PARTICIPANTS, sizes.length, noise=Noise(WHOLE, TOLERATED))
    noise = Noise(WHOLE, TOLERATED, colluders=1)
    hostile = WithShare(PARTICIPANTS, sizes.length, adversary="active", colluders=1, noise=noise, kind=Telling)
    for scheme in (honest, hostile):
        name = f"{scheme.adversary}, c = {scheme.colluders}"
        for vanishing in (those for those in VANISHING if len(those) <= PARTICIPANTS - scheme.quorum):
            said = ", ".join(f"{who} {step}" for who, step in vanishing.items()) or "nobody"
            ratios = [left_over(scheme, vanishing) for _ in range(sizes.rounds)]
            what = f"noise ÷ promised, {name}; vanish: {said}"
            yield variance_row("dropouts", what, float(np.mean(ratios)), sizes.rounds * sizes.length)
        what = f"openings after {TOLERATED + 1} dropouts of {TOLERATED}, {name}"
        yield Row("dropouts", what, _openings(scheme), 0, 0)


def sparse_dropouts(sizes: Sizes) -> Iterator[Row]:
    """Yield the same for a graph in which participants see their neighbours only."""
    sparse = secagg.SecAggPlus(100, sizes.sparse, value_bits=20, dropout_rate=0.1, noise=Noise("1000000", 10))
    for count in (0, 3, 10):
        ratio = left_over(sparse, dict.fromkeys(range(5, 5 + count), "MaskedInput"))
        what = f"noise ÷ promised, secagg-plus, n = 100; vanish: {count} of 10"
        yield variance_row("dropouts", what, ratio, sizes.sparse)


def left_over(scheme: Scheme, vanishing: Mapping[int, str]) -> float:
    """Return the variance of the honest survivors' noise over what the scheme promises.

    Colluders are the last participants. They tell what they added, and it is subtracted.
    """
    assert scheme.noise is not None
    noise = Noise.of(scheme.noise)
    scheme = replace(scheme)  # what it has been told before is forgotten
    run = secagg.simulate(scheme, lambda _: np.zeros(scheme.length, np.uint16), drop=dict(vanishing))
    total = run.total.astype(np.float64)
    if noise.colluders:
        assert isinstance(scheme.noise_share, Telling)
        total -= scheme.noise_share.known_of_last(noise.colluders)
    return float((total**2).mean()) / float(noise.variance)


def _openings(scheme: Scheme) -> int:
    """Return how many participants open anything, or are in a sum, when one more than tolerated vanishes."""
    vanishing = dict.fromkeys(range(1, TOLERATED + 2), "MaskedInput")
    simulation = secagg.Simulation(replace(scheme, length=100), lambda _: np.zeros(100, np.uint16), drop=vanishing)
    with suppress(RoundFailed):
        simulation.run()
    result = simulation.result()
    return len(result.survivors) + len(result.answered.get(Step.UNMASKING, ()))


def lengths() -> Iterator[Row]:
    """Yield bytes of upload a value, and how much longer an opening is than without noise."""
    for bits, most in BYTES.items():
        mechanism = Mechanism(PARTICIPANTS, FULL.length, 1.0, 1.0, bits)
        run = _sent(bits, FULL.length, mechanism.noise)
        upload = float(np.mean(list(run.bytes_sent.values()))) / FULL.length
        yield Row("bytes", f"of upload a value, {FULL.length:,} values, {bits} bits", upload, most=most)
    with_noise, without = (
        _sent(16, 1000, noise).sent_by_step[Step.UNMASKING] for noise in (Noise(WHOLE, TOLERATED), None)
    )
    yield Row("bytes", "of an Unmasking with 3 layers, beyond one without noise", with_noise - without, 0, 0)


def _sent(bits: int, length: int, noise: Noise | None) -> secagg.Run:
    scheme = secagg.Bonawitz(PARTICIPANTS, length, value_bits=bits, noise=noise)
    return secagg.simulate(scheme, lambda _: np.zeros(length, np.uint16))
