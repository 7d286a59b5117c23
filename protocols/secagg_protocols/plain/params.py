"""Plain: public parameters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from ..blocks import BLOCK_BYTES
from ..errors import ParameterError
from ..scheme import Policy, Scheme, Step

if TYPE_CHECKING:
    from .client import PlainClient
    from .server import PlainServer


@dataclass(frozen=True)
class Plain(Scheme):
    """The sum in the clear: no protection at all. For comparison and for tests.

    participants: n. length: coordinates per vector. value_bits: each coordinate is in [0, 2^value_bits).
    """

    name: ClassVar[str] = "plain"
    upload_step: ClassVar[Step] = Step.SUM

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.active:
            raise ParameterError('plain sums resist nobody: adversary="active" is refused; choose bonawitz')

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

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        return (Step.SUM,)

    @property
    def leakage(self) -> tuple[tuple[str, str], ...]:
        return (("the server", "every participant's vector"), ("other participants", "nothing"))

    @cached_property
    def payload_limit(self) -> int:
        return BLOCK_BYTES + 1024

    def _machines(self) -> tuple[type[PlainClient], type[PlainServer]]:
        from .client import PlainClient
        from .server import PlainServer

        return PlainClient, PlainServer
