"""What a proposed round is worth to a participant, from what is said of it and nothing that it would have to believe.

A participant does not see a plan: it sees a scheme, with the noise in it, and a codec, with clip and scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from secagg.codec.norm import NormTerms
from secagg_protocols.core.noise import Noise
from secagg_protocols.core.parameters import Parameters
from secagg_protocols.errors import ParameterError

from .mechanism import Mechanism, opened_with
from .views import COLLUDING, worst


@dataclass(frozen=True)
class Proposed(Mechanism):
    """A mechanism whose scale and noise are as somebody else says, and not the best ones."""

    said_scale: float = field(kw_only=True)
    said_noise: Noise = field(kw_only=True)

    @classmethod
    def of(cls, scheme: Parameters, terms: object, colluders: int = 0) -> Proposed:
        """Read a proposal. colluders: whose noise the participant does not count, whatever the scheme says.

        Raises `ParameterError` where the round is none with noise under the sum.
        """
        if scheme.noise is None or not isinstance(terms, NormTerms):
            raise ParameterError(
                "the proposed round has no noise under its sum: the server must plan it with differential privacy "
                "(secagg-dp-epsilon)"
            )
        terms.check()
        noise = Noise.of(scheme.noise)
        reach = float(terms.clip) * float(terms.scale)
        if reach == 0:
            raise ParameterError(f"clip={terms.clip} times scale={terms.scale} is nothing at all: scale is too small")
        return cls(
            scheme.participants,
            scheme.length,
            float(terms.clip),
            float(noise.variance) ** 0.5 / reach,
            terms.value_bits,
            noise.tolerated,
            max(noise.colluders, colluders),
            scheme.removes_noise,
            opened_with=opened_with(scheme),
            statistical_bits=scheme.guarantee.statistical_bits,
            said_scale=float(terms.scale),
            said_noise=noise,
        )

    @cached_property
    def scale(self) -> float:
        return self.said_scale

    @cached_property
    def noise(self) -> Noise:
        return self.said_noise

    @cached_property
    def least(self) -> float:
        """The noise multiplier in the view of the server with its colluders, at the worst number of dropouts."""
        return worst(self)[COLLUDING]


@dataclass(frozen=True)
class Cost:
    """What one round is charged before it is known how many drop out.

    noise: the scheme's, as text. multiplier: the least that is tolerated, in the view of the server with its colluders.
    others: the same in the other views. sampling_rate: of Poisson sampling of what is protected. epsilon_charged,
    delta_charged: what one round adds to ε and, times 1 + e^ε, to δ.
    """

    scheme: str
    scheme_id: str
    noise: str
    multiplier: float
    others: Mapping[str, float]
    sampling_rate: float
    epsilon_charged: float
    delta_charged: float

    @classmethod
    def of(cls, scheme: Parameters, mechanism: Mechanism, sampling_rate: float = 1.0) -> Cost:
        """Return what the round costs."""
        others = worst(mechanism)
        multiplier = others.pop(COLLUDING)
        return cls(
            scheme.name,
            scheme.id.hex(),
            str(mechanism.noise),
            multiplier,
            others,
            sampling_rate,
            mechanism.epsilon_charged,
            mechanism.delta_charged,
        )
