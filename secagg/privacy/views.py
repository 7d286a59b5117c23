"""ε by who looks: what each view of a round sees of the noise, and what that comes to over all rounds.

Every round is a Gaussian mechanism, of one multiplier in each view (`Mechanism.against`); rounds compose, equal or
not. The figures are dp-accounting's: of Gaussians exact, of sampled ones by their privacy loss distribution (PLD),
rounded up; and what the discrete mechanism charges is added.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

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


@dataclass(frozen=True, order=True)
class Event:
    """One Gaussian mechanism of this noise multiplier, on what was Poisson-sampled at this rate (1: on all)."""

    multiplier: float
    sampling_rate: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.sampling_rate <= 1:
            raise ParameterError(f"sampling_rate={self.sampling_rate} is not above 0 and at most 1")


@dataclass(frozen=True)
class Release:
    """One sum that came out, as an accountant sees it.

    dropouts: how many of all participants were not in it.
    """

    mechanism: Mechanism
    dropouts: int = 0

    def multipliers(self) -> Mapping[str, float]:
        """Return view → the noise multiplier that it comes to. A view knows the noise of those who are in it.

        Colluders are counted as survivors, which is the worst case for the others. Layers that were taken off are known
        to all; that no view with fewer than the threshold knows the others' is the scheme's promise, and computational.
        """
        mechanism = self.mechanism
        survivors = mechanism.participants - self.dropouts
        return {
            RELEASED: mechanism.against(survivors, self.dropouts),
            SERVER: mechanism.against(survivors, self.dropouts),
            COLLUDING: mechanism.against(survivors - mechanism.colluders, self.dropouts),
            FELLOW: mechanism.against(survivors - 1, self.dropouts),
            TOO_MANY: mechanism.alone(),
        }


def epsilons(releases: Sequence[Release], delta: float, sampling_rate: float = 1.0) -> dict[str, float | None]:
    """Return view → ε of all these releases together, as `epsilon_in` gives it."""
    return {view: epsilon_in(view, releases, delta, sampling_rate) for view in VIEWS}


def epsilon_in(view: str, releases: Sequence[Release], delta: float, sampling_rate: float = 1.0) -> float | None:
    """Return ε at `delta` of all these releases together in one view; None: unbounded.

    sampling_rate: of Poisson sampling of what is protected, by coins that no view sees (rows at a site; 1: none).
    """
    failing = sum(release.mechanism.delta_charged for release in releases)
    spent = epsilon((release.multipliers()[view] for release in releases), delta, sampling_rate, failing)
    return None if spent is None else spent + sum(release.mechanism.epsilon_charged for release in releases)


def epsilon(
    multipliers: Iterable[float], delta: float, sampling_rate: float = 1.0, failing: float = 0.0
) -> float | None:
    """Return ε of Gaussian mechanisms of these noise multipliers, one after another; None: unbounded."""
    return composed((Event(multiplier, sampling_rate) for multiplier in multipliers), delta, failing)


def composed(events: Iterable[Event], delta: float, failing: float = 0.0) -> float | None:
    """Return ε of these mechanisms, one after another; None: unbounded.

    failing: the chance, summed over all of them, that a mechanism is not what it is taken for. It costs (1 + e^ε) times
    itself of δ.
    """
    if not 0 < delta < 1:
        raise ParameterError(f"delta={delta} is not between 0 and 1")
    counted = tuple(sorted(Counter(events).items()))
    if not counted:
        return 0.0
    if counted[0][0].multiplier <= 0:
        return None
    spent = 0.0
    while True:
        left = delta - failing * (1 + math.exp(min(spent, 700)))
        if left <= 0:
            return None
        found = _composed(counted, left)
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
    accountant = PLDAccountant(value_discretization_interval=_FINE)
    if whole:
        accountant = accountant.compose(dp_accounting.GaussianDpEvent(1 / math.sqrt(whole)))
    for event, count in sampled:
        gaussian = dp_accounting.GaussianDpEvent(event.multiplier)
        accountant = accountant.compose(dp_accounting.PoissonSampledDpEvent(event.sampling_rate, gaussian), count)
    return float(accountant.get_epsilon(delta))
