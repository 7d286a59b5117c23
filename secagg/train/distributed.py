"""Noise that the sites share under the sum (docs/privacy.md): how much of it a run needs, and what its rounds spend.

*institution*: a site trains as without noise, and its whole update is clipped. *row* and *patient*: a site sends one
gradient step, the sum of clipped gradients, of which one row or patient moves no more than its own clip; so the whole
is cut only beyond the largest lot that is foreseen.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from secagg.codec import Codec
from secagg.privacy.mechanism import Mechanism, opened_with
from secagg.privacy.plan import Wanted, plan
from secagg.privacy.views import COLLUDING, Release, epsilon_in, epsilons
from secagg_protocols import Scheme
from secagg_protocols.core.noise import Noise

from .accounting import Ledger, epsilon_together
from .accounting import Mechanism as SampledGaussian
from .config import TrainConfig

LARGEST_LOT = 4.0
"""Under differential privacy, the codec has room for lots up to this many times the agreed size; beyond, it clips."""

STEPS_OF_AN_UPDATE = 0.5
"""An update is clipped to the length of so many whole steps, however many there are: noise grows with the clip, and
what is learned soon does not."""

ADDED_UP = 1 + 2.0**-20
"""What adding up a lot in floating point puts between two sums, in clips: enough for 2¹⁶ rows or patients."""


@dataclass(frozen=True)
class Encoding:
    """How updates become vectors. mechanism: of the noise that sites share under the sum; None where they do not."""

    codec: Codec
    mechanism: Mechanism | None = None

    @property
    def noise(self) -> Noise | None:
        """The scheme's noise."""
        return None if self.mechanism is None else self.mechanism.noise


def planned(config: TrainConfig, scheme: Scheme, public_size: int, *, colluders: int, tolerated: int) -> Mechanism:
    """Return the least noise that meets the run's ε against the server with its colluders. Raises `ParameterError`.

    scheme: as it would be without noise.
    """
    training = config.training
    privacy = config.privacy
    assert privacy.epsilon is not None  # noise under the sum is planned from it
    assert privacy.delta is not None  # `with_delta` has filled it in
    if privacy.of_lots:
        clip = ADDED_UP * training.learning_rate * training.clip_norm / (training.sampling_rate * public_size)
        reach = clip * max(1.0, LARGEST_LOT * training.sampling_rate * public_size)
        sampling_rate = training.sampling_rate
    else:
        step = training.learning_rate * training.clip_norm
        clip = reach = privacy.update_norm or STEPS_OF_AN_UPDATE * step
        sampling_rate = 1.0
    wanted = Wanted(
        privacy.epsilon,
        privacy.delta,
        training.rounds,
        scheme.participants,
        scheme.length,
        clip=clip,
        tolerated=tolerated,
        colluders=colluders,
        value_bits=config.aggregation.value_bits,
        layered=scheme.removes_noise,
        reach=reach,
        sampling_rate=sampling_rate,
        opened_with=opened_with(scheme),
        statistical_bits=scheme.guarantee.statistical_bits,
    )
    return plan(wanted).mechanism


class SumLedger(Ledger):
    """What sums with noise in them have cost a row, a patient or an institution that is in all of them.

    sampling_rate: 1 where institutions are protected. statistical_bits: σ, where the scheme itself holds but for a
    chance of 2^−σ a round. A round is charged before anybody knows who drops out, as if all did whom the noise
    tolerates; one that succeeds is then charged for what dropped out. Each draws new lots, also after a failed one.
    """

    def __init__(self, mechanism: Mechanism, delta: float, sampling_rate: float, statistical_bits: int | None) -> None:
        super().__init__(None, delta)
        self._noise = replace(mechanism, statistical_bits=statistical_bits)
        self._at = delta
        self._sampling_rate = sampling_rate
        self._releases: list[Release] = []

    def charge(self, sites: Collection[int]) -> None:
        super().charge(sites)
        self._releases.append(self._worst)

    def settle(self, dropouts: int) -> None:
        self._releases[-1] = Release(self._noise, dropouts)

    def views(self) -> dict[str, float | None]:
        return epsilons(self._releases, self._at, self._sampling_rate)

    def views_by_rdp(self) -> dict[str, float | None]:
        return {}

    def spent(self) -> float | None:
        return epsilon_in(COLLUDING, self._releases, self._at, self._sampling_rate)

    def spent_after(self, sites: Collection[int]) -> float | None:
        return epsilon_in(COLLUDING, [*self._releases, self._worst], self._at, self._sampling_rate)

    @property
    def multiplier(self) -> float | None:
        return self._releases[-1].multipliers()[COLLUDING]

    def epsilon_together(self, units: int) -> float | None:
        least = min((release.multipliers()[COLLUDING] for release in self._releases), default=1.0)
        return epsilon_together(units, SampledGaussian(least, self._sampling_rate, 1), len(self._releases), self._at)

    @property
    def _worst(self) -> Release:
        return Release(self._noise, self._noise.tolerated)
