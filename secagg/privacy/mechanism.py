"""What noise under the sum costs and gives: from what is asked for to the scheme's noise, and to ε in every view.

    x → clip to L2 norm `clip` → · scale → D(·, 2) on the grid of 1/256 → + D(0, s) in parts → the ring

The sum over participants is D(Σx, S) (S² the sum of all variances), and D(X, S) is a post-processed continuous
Gaussian of variance S² − 2.25. So ε is that of the ordinary Gaussian mechanism, by dp-accounting. docs/privacy.md has
the proof, and every constant below its place in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property

from secagg.codec import Layout, NormCodec
from secagg_protocols.core.noise import ROUNDING, TAIL, Noise, NoiseShare
from secagg_protocols.core.parameters import Parameters
from secagg_protocols.errors import ParameterError
from secagg_protocols.primitives.gaussian import distance_of
from secagg_protocols.primitives.rounding import DITHER_BITS, GRID

PROOF_VARIANCE = 2.25
"""r², r = 1.5: what the proof gives up to make a continuous Gaussian of a discrete one."""

POST_PROCESSING = 4 * math.exp(-2 * math.pi**2 * PROOF_VARIANCE)
"""A coordinate's factor for that: 1 ± 2·10⁻¹⁹."""

MERGING = 4 * math.exp(-2 * math.pi**2 * 2.0)
"""A coordinate's factor for two parts that become one, both at least 2 wide: 1 ± 2.8·10⁻¹⁷."""

LEAKAGE = 2.0**-50
"""β: the chance that rounding to the grid takes two vectors further apart than `sensitivity`."""

_GRID_SLACK = 2.0 ** (1 - DITHER_BITS)
"""Of a coordinate on the grid: what a dither of 16 bits, and a double at its largest, may be off."""


def opened_with(scheme: Parameters) -> int:
    """Return with how many participants a scheme's server opens every vector; 0: by itself."""
    return min(coalition.participants for coalition in scheme.guarantee.opened_by if not coalition.partly)


@dataclass(frozen=True)
class Mechanism:
    """Noise under the sum of `participants` vectors of `length`, each of L2 norm `clip` at most.

    multiplier: z, the standard deviation of the honest participants' noise over `clip`. tolerated, colluders: as in
    `Noise`. value_bits: of a coordinate with its noise. layered: whether the scheme takes off what is too much.
    reach: where less than a whole vector is protected, as one row of the many that a site adds up, `clip` bounds what
    that can move, and this is the norm that the vector is cut to, which moves no two apart. By default `clip`.
    opened_with: how many participants open every vector together with the server (`opened_with`); None: more than any
    view has.
    """

    participants: int
    length: int
    clip: float
    multiplier: float
    value_bits: int
    tolerated: int = 0
    colluders: int = 0
    layered: bool = True
    reach: float | None = None
    opened_with: int | None = None

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ParameterError(f"length={self.length} is not at least 1")
        for name in ("clip", "multiplier"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ParameterError(f"{name}={value} is not a positive number")
        if not (math.isfinite(self.radius) and self.radius >= self.clip):
            raise ParameterError(f"reach={self.reach} is not a number from clip={self.clip} up")
        if self.participants - self.colluders - self.tolerated < 2:
            raise ParameterError(
                f"tolerated={self.tolerated} and colluders={self.colluders} leave fewer than 2 of "
                f"participants={self.participants}: lower one of them"
            )
        if not 2 <= self.value_bits <= 32:
            raise ParameterError(f"value_bits={self.value_bits} is not between 2 and 32")

    # --- what is sent

    @property
    def radius(self) -> float:
        """The L2 norm that every vector is clipped to."""
        return self.clip if self.reach is None else self.reach

    @cached_property
    def scale(self) -> float:
        """Ring units to a unit of the arrays: the largest with which values and their noise fit `value_bits`."""
        alone = self.multiplier / math.sqrt(self.participants - self.colluders - self.tolerated)
        room = ((1 << self.value_bits) - 1) / 2 - 2
        return room / (self.radius + float(TAIL) * alone * self.clip)

    @property
    def deviation(self) -> float:
        """S, what the honest participants' noise adds up to, in ring units."""
        return self.multiplier * self.clip * self.scale

    @cached_property
    def noise(self) -> Noise:
        """The scheme's noise. Raises `ParameterError` where the bits are too few, with the fewest that are enough."""
        variance = f"{Decimal(self.deviation) ** 2:.6f}"
        try:
            noise = Noise(variance, self.tolerated, self.colluders, rounded=True)
            noise.share(self.participants, self.layered)
        except ParameterError as refused:
            fewest = self._fewest_bits()
            remedy = f"value_bits={fewest} is the least that works" if fewest else "lower the noise multiplier"
            raise ParameterError(
                f"value_bits={self.value_bits} does not hold this noise ({refused}): {remedy}"
            ) from None
        return noise

    def _fewest_bits(self) -> int | None:
        for bits in range(2, 33):
            other = replace(self, value_bits=bits)
            try:
                Noise(f"{other.deviation**2:.6f}", self.tolerated, self.colluders, rounded=True).share(
                    self.participants, self.layered
                )
            except ParameterError:
                continue
            return bits
        return None

    @cached_property
    def share(self) -> NoiseShare:
        """What one participant adds."""
        return self.noise.share(self.participants, self.layered)

    def codec(self, layout: Layout) -> NormCodec:
        """Return the codec that goes with the noise."""
        return NormCodec(
            layout,
            clip=self.radius,
            scale=self.scale,
            offset=((1 << self.value_bits) - 1 - 2 * self.share.bound) // 2,
            value_bits=self.value_bits,
            each=math.sqrt(self.variance_of(0 if not self.share.layers else self.tolerated)),
        )

    # --- what it gives

    @cached_property
    def sensitivity(self) -> float:
        """How far, in L2 and ring units, one vector can move the sum on the grid, but for a chance of `LEAKAGE`."""
        norm = GRID * self.clip * self.scale + math.sqrt(self.length) * _GRID_SLACK
        unlikely = math.sqrt(2 * math.log(1 / LEAKAGE))
        squared = norm**2 + self.length / 4 + unlikely * (norm + math.sqrt(self.length) / 2)
        return math.sqrt(squared) / GRID

    def variance_of(self, dropouts: int) -> float:
        """Return the variance that one survivor's noise keeps after so many dropouts, rounding included."""
        if dropouts < 0:
            raise ParameterError(f"dropouts={dropouts} is negative")
        return self.share.variance(dropouts)

    def against(self, unknown: int, dropouts: int) -> float:
        """Return the noise multiplier of the Gaussian mechanism that a view comes to.

        unknown: survivors whose noise the view does not know. dropouts: of all participants.
        """
        left = unknown * self.variance_of(dropouts) - PROOF_VARIANCE
        return math.sqrt(left) / self.sensitivity if left > 0 else 0.0

    def alone(self) -> float:
        """Return the same for one vector whose layers are all known: too many colluders."""
        left = float(self.share.base) ** 2 + float(ROUNDING) ** 2 - PROOF_VARIANCE
        return math.sqrt(left) / self.sensitivity

    # --- what is charged beside that

    @property
    def epsilon_charged(self) -> float:
        """What one round adds to ε: sums of parts and the continuous Gaussian are exact but for these factors."""
        parts = self.participants * (len(self.share.layers) + 2)
        return self.length * (POST_PROCESSING + parts * MERGING)

    @property
    def delta_charged(self) -> float:
        """What one round adds to δ, to be multiplied by 1 + e^ε: table errors, cut tails, the grid's unlikely case."""
        widths = (self.share.base, *self.share.layers, ROUNDING)
        tables = sum(distance_of(float(width)) for width in widths)
        cut = 2 * math.exp(-(float(TAIL) ** 2) / 2)
        return LEAKAGE + self.participants * self.length * (tables + cut)
