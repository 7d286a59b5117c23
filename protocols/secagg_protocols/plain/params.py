"""Plain: public parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..core.exchange import Exchange
from ..core.guarantee import Coalition, Guarantee, Keys, Traits
from ..core.policy import Policy
from ..core.scheme import Scheme
from ..core.secrets import Secrets
from ..core.step import Step
from ..core.work import MeasuredRound, Work
from ..errors import ParameterError
from .messages import EXCHANGE


@dataclass(frozen=True)
class Plain(Scheme):
    """The sum in the clear: no protection at all. For comparison and for tests.

    participants: n. length: coordinates per vector. value_bits: each coordinate is in [0, 2^value_bits).
    """

    name: ClassVar[str] = "plain"
    traits: ClassVar[Traits] = Traits(
        protects=False, adversaries=frozenset(), keys=Keys.NONE, early_keys=False, opens=frozenset()
    )
    upload_step: ClassVar[Step] = EXCHANGE.upload_step
    exchange: ClassVar[Exchange] = EXCHANGE
    secrets: ClassVar[Secrets] = ()

    def __post_init__(self) -> None:
        if self.active:
            raise ParameterError('plain sums resist nobody: adversary="active" is refused; choose bonawitz')
        super().__post_init__()

    @property
    def quorum(self) -> int:
        return 1

    def minimum_threshold(self, colluders: int) -> int:
        return 1

    def check_policy(self, policy: Policy) -> None:
        super().check_policy(policy)
        nothing = Policy()
        if policy.colluders > nothing.colluders or policy.minimum_cohort > nothing.minimum_cohort:
            raise ParameterError(
                f"this participant's policy asks for minimum_cohort={policy.minimum_cohort} and "
                f"colluders={policy.colluders}; plain shows the server every vector: choose bonawitz"
            )

    @property
    def leakage(self) -> tuple[tuple[str, str], ...]:
        return (("the server", "every participant's vector"), ("other participants", "nothing"))

    @property
    def guarantee(self) -> Guarantee:
        return Guarantee(
            adversary=None,
            colluders=0,
            statistical_bits=None,
            opened_by=(Coalition(0, "every vector"),),
            sum_known_to="server",
        )

    def work(self, run: MeasuredRound) -> tuple[Work, Work]:
        return Work(), Work()
