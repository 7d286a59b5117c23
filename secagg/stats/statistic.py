"""One statistic as pure functions around secure sums: what each does, and what it may rely on.

    state = statistic.begin(query)
    while not state.done:
        total = the secure sum over sites of statistic.local(rows, state, query)     # int64, within spans
        state = statistic.combine(total, state, query)
    result = statistic.finish(state, query)

Everything but `rows` is public. A site may answer one step and not the next, so that each sum must be whole in itself:
values travel with the counts that they are divided by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from secagg_protocols.core.wire import Message
from secagg_protocols.errors import ProtocolViolation

from .columns import Category, Number
from .domain import Domain
from .results import Result
from .rows import Rows
from .spans import Spans
from .suppression import Axis


class State(Message, frozen=True):
    """What is known after some sums, and all that the next step needs. The aggregator tells it to the sites."""

    @property
    def done(self) -> bool:
        """Whether no further sum is needed."""
        raise NotImplementedError


class Statistic(msgspec.Struct, frozen=True, tag_field="statistic", forbid_unknown_fields=True):
    """Base of statistics: the fields are what is asked. A kind says its own `tag`, and `state_type`."""

    sensitivity: ClassVar[float | None] = None
    """How far, in L2, one row can move a site's vector of the only step; None: no noise is allowed under it."""

    def over(self, **columns: Number | Category) -> Over:
        """Say the public bounds of its columns, by name, for `Query.of`."""
        return Over(self, columns)

    def state_type(self) -> type[State]:
        """Return the class of its states."""
        raise NotImplementedError

    def reads(self) -> tuple[str, ...]:
        """Return the columns that it reads."""
        raise NotImplementedError

    def check(self, query: Domain) -> None:
        """Raise `ParameterError` where it cannot be computed from such columns."""
        raise NotImplementedError

    def tables(self, query: Domain) -> tuple[tuple[Axis, ...], ...]:
        """Return each table of counts that it publishes, as the columns it cuts into cells (`suppression`)."""
        return ()

    def widths(self, query: Domain) -> dict[str, float]:
        """Return the columns of numbers whose distribution it shows, with the width of the finest bin."""
        return {}

    def begin(self, query: Domain) -> State:
        """Return the state before the first sum."""
        raise NotImplementedError

    def check_state(self, state: Any, query: Domain) -> None:
        """Raise `ProtocolViolation` for a state in which a site should not answer.

        An aggregator that cheats chooses the state: what is refused here is what would make the next sum tell more
        than the statistic does, such as a weight by which one row outweighs all others.
        """
        raise NotImplementedError

    def spans(self, state: Any, query: Domain) -> Spans:
        """Return the range of each integer of one site's vector in this state."""
        raise NotImplementedError

    def local(self, rows: Rows, state: Any, query: Domain) -> NDArray[np.int64]:
        """Return one site's integers, within `spans`, shape (length,)."""
        raise NotImplementedError

    def combine(self, total: NDArray[np.int64], state: Any, query: Domain) -> State:
        """Return the state after a sum over the survivors."""
        raise NotImplementedError

    def finish(self, state: Any, query: Domain) -> Result:
        """Return the result, with standard errors, of a state that is done."""
        raise NotImplementedError


@dataclass(frozen=True)
class Over:
    """A statistic with bounds of its columns, as it is asked for. In a query they stand apart, each column once."""

    statistic: Statistic
    columns: dict[str, Number | Category]


def refuse_state(statistic: Statistic, why: str) -> ProtocolViolation:
    """Return the error of a state that is not answered."""
    return ProtocolViolation(f"the state of {statistic.__struct_config__.tag} {why}: not answered")
