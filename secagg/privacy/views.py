"""ε by who looks: what each view of a round sees of the noise, and what that comes to over all rounds.

Every round is a Gaussian mechanism, of one multiplier in each view (`Mechanism.against`); rounds compose, equal or
not. The figures are dp-accounting's: of Gaussians exact, of sampled ones by their privacy loss distribution (PLD),
rounded up; and what the discrete mechanism charges is added.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from secagg.extras import needed
from secagg_protocols.errors import ParameterError

from .mechanism import Mechanism

RELEASED = "released model"
SERVER = "server"
COLLUDING = "server with colluders"
FELLOW = "fellow participant"
TOO_MANY = "too many colluders"
VIEWS = (RELEASED, SERVER, COLLUDING, FELLOW, TOO_MANY)

_FINE = 1e-4
_COARSE = 1e-3
_COARSE_UP_TO = 200
"""Up to so many compositions a grid of 10⁻³ agrees with that of 10⁻⁴ to four digits. Both round the loss up."""

_DIGITS = 6
"""Of a multiplier, the rest cut off, where an accountant takes its time: what is all but equal is then one event."""


def epsilon_text(spent: float | None) -> str:
    """Return ε for a person: three significant digits, so that a small one is never shown as none at all."""
    if spent is None:
        return "unbounded"
    return f"{spent:.3g}" if spent < 1000 else f"{spent:.0f}"


@dataclass(frozen=True, order=True)
class Event:
    """One Gaussian mechanism of this noise multiplier, on what was Poisson-sampled at this rate (1: on all)."""

    multiplier: float
    sampling_rate: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.sampling_rate <= 1:
            raise ParameterError(f"sampling_rate={self.sampling_rate} is not above 0 and at most 1")
        if not (math.isfinite(self.multiplier) and self.multiplier >= 0):
            raise ParameterError(f"noise multiplier {self.multiplier} is not a number of at least 0")

    def cut(self) -> Event:
        """Return the same, or with hardly less noise where an accountant takes its time over each."""
        if self.sampling_rate == 1 or self.multiplier == 0:
            return self
        places = 10.0 ** (_DIGITS - 1 - math.floor(math.log10(self.multiplier)))
        return Event(math.floor(self.multiplier * places) / places, self.sampling_rate)


@dataclass(frozen=True)
class Release:
    """What came of one lot, as an accountant sees it.

    dropouts: how many of all participants were not in the sum. sums: how many were released over the same lot (reruns):
    they are one mechanism of so much less noise, not several on lots of their own.
    """

    mechanism: Mechanism
    dropouts: int = 0
    sums: int = 1

    def multipliers(self) -> Mapping[str, float]:
        """Return view → the noise multiplier that it comes to. A view knows the noise of those who are in it.

        Colluders are counted as survivors, which is the worst case for the others. Layers that were taken off are known
        to all; that no view with fewer than the threshold knows the others' is the scheme's promise, and computational.
        Who opens every vector sees each alone, with its own noise.
        """
        mechanism = self.mechanism
        survivors = mechanism.participants - self.dropouts
        alone = mechanism.alone()
        opens = mechanism.opened_with
        seen = {
            RELEASED: mechanism.against(survivors, self.dropouts),
            SERVER: alone if opens == 0 else mechanism.against(survivors, self.dropouts),
            COLLUDING: alone
            if opens is not None and opens <= mechanism.colluders
            else mechanism.against(survivors - mechanism.colluders, self.dropouts),
            FELLOW: mechanism.against(survivors - 1, self.dropouts),
            TOO_MANY: alone,
        }
        return {view: multiplier / math.sqrt(self.sums) for view, multiplier in seen.items()}


def worst(mechanism: Mechanism) -> dict[str, float]:
    """Return view → the least noise multiplier that any tolerated number of dropouts leaves."""
    found = [Release(mechanism, dropouts).multipliers() for dropouts in range(mechanism.tolerated + 1)]
    return {view: min(multipliers[view] for multipliers in found) for view in VIEWS}


Releases: TypeAlias = Mapping[Release, int] | Iterable[Release]
"""One after another; or release → how many of it."""


def epsilons(releases: Releases, delta: float, sampling_rate: float = 1.0) -> dict[str, float | None]:
    """Return view → ε of all these releases together, as `epsilon_in` gives it."""
    counted = Counter(releases)
    return {view: epsilon_in(view, counted, delta, sampling_rate) for view in VIEWS}


def epsilon_in(view: str, releases: Releases, delta: float, sampling_rate: float = 1.0) -> float | None:
    """Return ε at `delta` of all these releases together in one view; None: unbounded.

    sampling_rate: of Poisson sampling of what is protected, by coins that no view sees (rows at a site; 1: none).
    """
    counted = Counter(releases)
    events: Counter[Event] = Counter()
    failing = 0.0
    charged = 0.0
    for release, count in counted.items():
        events[Event(release.multipliers()[view], sampling_rate)] += count
        failing += count * release.sums * release.mechanism.delta_charged
        charged += count * release.sums * release.mechanism.epsilon_charged
    spent = composed(events, delta, failing)
    return None if spent is None else spent + charged


def epsilon(
    multipliers: Iterable[float], delta: float, sampling_rate: float = 1.0, failing: float = 0.0
) -> float | None:
    """Return ε of Gaussian mechanisms of these noise multipliers, one after another; None: unbounded."""
    return composed((Event(multiplier, sampling_rate) for multiplier in multipliers), delta, failing)


def composed(events: Mapping[Event, int] | Iterable[Event], delta: float, failing: float = 0.0) -> float | None:
    """Return ε of these mechanisms, one after another; None: unbounded.

    failing: the chance, summed over all of them, that a mechanism is not what it is taken for. It costs (1 + e^ε) times
    itself of δ.
    """
    if not 0 < delta < 1:
        raise ParameterError(f"delta={delta} is not between 0 and 1")
    counted: Counter[Event] = Counter()
    for event, count in Counter(events).items():
        counted[event.cut()] += count
    if not counted:
        return 0.0
    if min(event.multiplier for event in counted) <= 0:
        return None
    spent = 0.0
    while True:
        left = delta - failing * (1 + math.exp(min(spent, 700)))
        if left <= 0:
            return None
        found = _composed(tuple(sorted(counted.items())), left)
        if found <= spent * (1 + 1e-12) or math.isinf(found):
            return None if math.isinf(found) else max(found, spent)
        spent = found


@lru_cache(maxsize=1024)
def _composed(events: tuple[tuple[Event, int], ...], delta: float) -> float:
    with needed("train"):
        import dp_accounting
        from dp_accounting.pld import PLDAccountant

    whole = sum(count / event.multiplier**2 for event, count in events if event.sampling_rate == 1)
    sampled = [(event, count) for event, count in events if event.sampling_rate < 1]
    if not sampled:  # Gaussians after Gaussians are one, exactly
        return float(dp_accounting.get_epsilon_gaussian(1 / math.sqrt(whole), delta))
    grid = _COARSE if sum(count for _, count in sampled) <= _COARSE_UP_TO else _FINE
    accountant = PLDAccountant(value_discretization_interval=grid)
    if whole:
        accountant = accountant.compose(dp_accounting.GaussianDpEvent(1 / math.sqrt(whole)))
    for event, count in sampled:
        gaussian = dp_accounting.GaussianDpEvent(event.multiplier)
        accountant = accountant.compose(dp_accounting.PoissonSampledDpEvent(event.sampling_rate, gaussian), count)
    return float(accountant.get_epsilon(delta))
