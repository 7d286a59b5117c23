"""ε of a site's releases, by Google's dp-accounting: privacy loss distributions (PLD) and Rényi divergence (RDP).

Adjacency is add-or-remove of one training row, or of all of one patient's, at one site. One round is `steps`
Poisson-sampled Gaussians; rounds compose. GDP accountants are not offered: they under-report sampled mechanisms.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import dp_accounting
from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant
from scipy.stats import binom

from secagg_protocols.errors import ParameterError

VIEWS = ("released model", "server", "server with colluders", "fellow participant")
"""Who may look. Under local noise every site's own update is already private, so what each of them sees is a
function of private values, and one ε holds for all."""

LARGEST_NOISE = 1e4
COARSE_UP_TO = 200
"""Up to this many compositions a PLD grid of 10⁻³ agrees with the usual 10⁻⁴ to four digits, at a tenth of the time.
Both round the loss up, so neither under-reports."""


@dataclass(frozen=True)
class Mechanism:
    """What one round costs a site: `steps` releases of noise `noise_multiplier` on lots sampled at `sampling_rate`."""

    noise_multiplier: float
    sampling_rate: float
    steps: int


@lru_cache(maxsize=256)
def epsilon(mechanism: Mechanism, rounds: int, delta: float, accountant: str = "pld") -> float:
    """Return ε of one row, or patient, at `delta` after so many rounds, by "pld" (tight: the one to quote) or "rdp"."""
    if rounds == 0:
        return 0.0
    event: Any = dp_accounting.GaussianDpEvent(mechanism.noise_multiplier)
    if mechanism.sampling_rate < 1:
        event = dp_accounting.PoissonSampledDpEvent(mechanism.sampling_rate, event)
    count = rounds * mechanism.steps
    if accountant == "pld":
        grid = 1e-3 if count <= COARSE_UP_TO else 1e-4
        return float(PLDAccountant(value_discretization_interval=grid).compose(event, count).get_epsilon(delta))
    with _unused_orders_unmentioned():
        return float(RdpAccountant().compose(event, count).get_epsilon(delta))


def epsilon_together(units: int, mechanism: Mechanism, rounds: int, delta: float) -> float:
    """Return ε of so many units together: all rows of one patient, or one patient at so many institutions.

    Each joins a lot by itself, so the sum moves by 0 … units clipped gradients, with binomial chances: a mixture of
    Gaussians (Ganesh, 2024); without sampling, noise ÷ units. Spread over sites, they move several sums by less each,
    which ε also bounds.
    """
    if rounds == 0 or units == 0:
        return 0.0
    if mechanism.sampling_rate == 1:
        return epsilon(replace(mechanism, noise_multiplier=mechanism.noise_multiplier / units), rounds, delta)
    moved = range(units + 1)
    chances = binom.pmf(moved, units, mechanism.sampling_rate)
    event = dp_event.MixtureOfGaussiansDpEvent(mechanism.noise_multiplier, tuple(moved), tuple(chances))
    # The loss grows with the square of the units, and so may the grid: it is rounded up in any case.
    accountant = PLDAccountant(value_discretization_interval=1e-3 * units**2)
    return float(accountant.compose(event, rounds * mechanism.steps).get_epsilon(delta))


@contextmanager
def _unused_orders_unmentioned() -> Iterator[None]:
    """Silence absl's note on each fractional order that it leaves out; leaving one out only raises ε."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def noise_for(target: float, delta: float, sampling_rate: float, steps: int, rounds: int) -> float:
    """Return the least noise multiplier, to 0.1 %, whose PLD ε after `rounds` rounds is at most `target`.

    Raises: ParameterError when no noise up to LARGEST_NOISE reaches it.
    """

    def spent(noise: float) -> float:
        return epsilon(Mechanism(noise, sampling_rate, steps), rounds, delta)

    low = 0.0
    high = 1.0
    while spent(high) > target:
        low = high
        high = 2 * high
        if high > LARGEST_NOISE:
            raise ParameterError(
                f"epsilon = {target:g} at delta = {delta:g} over {rounds} rounds needs noise beyond {LARGEST_NOISE:g}; "
                "raise epsilon or train fewer rounds"
            )
    while high - low > 1e-3 * high and high > 1e-2:
        middle = (low + high) / 2
        low, high = (low, middle) if spent(middle) <= target else (middle, high)
    return high


class Ledger:
    """Rounds charged to each site. A round is charged when the site trains for it, whether or not it succeeds."""

    def __init__(self, mechanism: Mechanism | None, delta: float | None) -> None:
        self._mechanism = mechanism
        self._delta = delta
        self._rounds: Counter[int] = Counter()

    def charge(self, sites: Collection[int]) -> None:
        """Charge one round to each of these sites, before anything leaves them."""
        self._rounds.update(sites)

    def settle(self, dropouts: int) -> None:
        """Hear how many were not in the sum of the round charged last; where all noise is local, that saves nothing."""

    def views(self) -> Mapping[str, float | None]:
        """Return view → ε spent, by PLD; None where there is no guarantee."""
        return dict.fromkeys(VIEWS, self.epsilon())

    def views_by_rdp(self) -> Mapping[str, float | None]:
        """Return view → ε spent, by RDP; empty where that has no figure."""
        return dict.fromkeys(VIEWS, self.epsilon(accountant="rdp"))

    def spent(self) -> float | None:
        """Return ε that counts against the budget; None without differential privacy."""
        return self.epsilon()

    def spent_after(self, sites: Collection[int]) -> float | None:
        """Return what `spent` would be after one more round of these sites."""
        return self.epsilon(self.worst_after(sites))

    @property
    def multiplier(self) -> float | None:
        """z of the round charged last, as `spent` counts it; None without differential privacy."""
        return None if self._mechanism is None else self._mechanism.noise_multiplier

    def rounds_of(self, site: int) -> int:
        """Rounds charged to this site."""
        return self._rounds[site]

    @property
    def worst(self) -> int:
        """Rounds charged to the site that was charged most."""
        return max(self._rounds.values(), default=0)

    def worst_after(self, sites: Collection[int]) -> int:
        """Return what `worst` would be after one more round of these sites."""
        return max([self.worst, *(self._rounds[site] + 1 for site in sites)])

    def epsilon(self, rounds: int | None = None, accountant: str = "pld") -> float | None:
        """Return ε of the worst site (or of `rounds` rounds); None without differential privacy."""
        if self._mechanism is None or self._delta is None:
            return None
        return epsilon(self._mechanism, self.worst if rounds is None else rounds, self._delta, accountant)

    def epsilon_together(self, units: int) -> float | None:
        """Return ε of so many rows of one patient, or of one at so many sites; None without differential privacy."""
        if self._mechanism is None or self._delta is None:
            return None
        return epsilon_together(units, self._mechanism, self.worst, self._delta)
