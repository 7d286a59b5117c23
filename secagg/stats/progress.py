"""How far a query has come: pure stepping, the same at the aggregator and (but for the results) at every site.

One step is one secure sum over the vectors of all statistics that are not done, end to end. Each value is offset by its
public low, so that it is an unsigned integer and the sum tells the sum alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.core.wire import Message, decode, encode
from secagg_protocols.errors import ParameterError, ProtocolViolation, WireError

from .query import LIMIT, Query
from .results import Result
from .rows import Rows
from .spans import Spans
from .statistic import State

MOST_STEPS = 256
PROGRESS_LIMIT = 1 << 24
"""Longest encoding with results, in bytes."""
TERMS_LIMIT = (1 << 16) - (1 << 12)
"""Longest encoding that a site is sent: a proposal has room for it and for the scheme."""


class _Encoded(Message, frozen=True):
    """query: canonical JSON. step: sums so far. states: encoded, one for each statistic; empty for one that is done,
    where sites are asked. sites: how many survived the last sum of each."""

    query: bytes
    step: int
    states: tuple[bytes, ...]
    sites: tuple[int, ...]


@dataclass(frozen=True)
class Progress:
    """states: by statistic; at a site, None for one that is done. step: sums so far. sites: survivors of the last sum
    of each."""

    query: Query
    states: tuple[State | None, ...]
    step: int
    sites: tuple[int, ...]

    @classmethod
    def begin(cls, query: Query) -> Progress:
        """Return where a query begins."""
        states = tuple(statistic.begin(query) for statistic in query.statistics)
        return cls(query, states, 0, (0,) * len(states))

    @property
    def done(self) -> bool:
        """Whether all results are there."""
        return not self._open

    @property
    def length(self) -> int:
        """Values in one site's vector of this step."""
        return self.spans.length

    @property
    def value_bits(self) -> int:
        """Bits of each of them."""
        return self.spans.bits

    @cached_property
    def spans(self) -> Spans:
        """The range of each integer of this step, before it is offset."""
        return Spans.joined(self._spans)

    @cached_property
    def _open(self) -> tuple[int, ...]:
        return tuple(place for place, state in enumerate(self.states) if state is not None and not state.done)

    @cached_property
    def _spans(self) -> tuple[Spans, ...]:
        return tuple(self.query.statistics[place].spans(self.states[place], self.query) for place in self._open)

    def check(self, participants: int) -> None:
        """Raise `ParameterError` where the sum of this step over so many sites would not fit."""
        self.spans.check(participants)

    def check_states(self) -> None:
        """Raise `ProtocolViolation` where a site should not answer, whatever else its policy allows."""
        if not 0 <= self.step < MOST_STEPS:
            raise ProtocolViolation(f"step {self.step} of a query; {MOST_STEPS} are the most, and this is not answered")
        if self.done:
            raise ProtocolViolation("the query is done, and nothing is asked for: not answered")
        for place in self._open:
            self.query.statistics[place].check_state(self.states[place], self.query)

    def vector(self, rows: Rows) -> NDArray[np.uint64]:
        """Return what a site contributes to this step, shape (length,)."""
        parts = []
        for place, spans in zip(self._open, self._spans, strict=True):
            part = self.query.statistics[place].local(rows, self.states[place], self.query)
            assert spans.holds(part), self.query.statistics[place]
            parts.append(part)
        return (np.concatenate(parts) - self.spans.low).astype(np.uint64)

    def combined(self, total: NDArray[Any], survivors: int) -> Progress:
        """Return where the query is after the sum of this step over so many survivors.

        Raises: ProtocolViolation for a sum that no such vectors have.
        """
        self.check(survivors)
        sums = total.astype(np.int64) + survivors * self.spans.low
        if not self.spans.holds(sums, survivors):
            raise ProtocolViolation(f"the sum of step {self.step} is none of {survivors} sites' vectors: not used")
        states = list(self.states)
        sites = list(self.sites)
        start = 0
        for place, spans in zip(self._open, self._spans, strict=True):
            part = sums[start : start + spans.length]
            states[place] = self.query.statistics[place].combine(part, self.states[place], self.query)
            sites[place] = survivors
            start += spans.length
        return replace(self, states=tuple(states), step=self.step + 1, sites=tuple(sites))

    @property
    def results(self) -> tuple[Result, ...]:
        """The results, in the order of the statistics. Only where the query is done."""
        assert self.done
        pairs = zip(self.query.statistics, self.states, strict=True)
        return tuple(statistic.finish(state, self.query) for statistic, state in pairs)

    # --- bytes

    def to_bytes(self) -> bytes:
        """Return all of it, for the aggregator's own disk."""
        return self._encoded(tuple(b"" if state is None else encode(state) for state in self.states))

    def asked(self) -> bytes:
        """Return what sites are sent, without what is done. Raises `ParameterError` if it is too long."""
        states = tuple(
            encode(state) if state is not None and place in self._open else b""
            for place, state in enumerate(self.states)
        )
        data = self._encoded(states)
        if len(data) > TERMS_LIMIT:
            raise ParameterError(
                f"step {self.step} of the query takes {len(data)} bytes, and a proposal has room for {TERMS_LIMIT}: "
                "ask for fewer statistics, groups or bins at once"
            )
        return data

    def _encoded(self, states: tuple[bytes, ...]) -> bytes:
        return encode(_Encoded(self.query.to_json(), self.step, states, self.sites))

    @classmethod
    def from_bytes(cls, data: bytes | memoryview) -> Progress:
        """Decode either. Raises `WireError`, `InputError` and `ParameterError` for what is no progress of a query."""
        read = decode(_Encoded, data, PROGRESS_LIMIT)
        query = _read(read.query)
        if not len(read.states) == len(read.sites) == len(query.statistics):
            raise WireError(f"{len(read.states)} states for {len(query.statistics)} statistics")
        states = tuple(
            decode(statistic.state_type(), state, PROGRESS_LIMIT) if state else None
            for statistic, state in zip(query.statistics, read.states, strict=True)
        )
        return cls(query, states, read.step, read.sites)


@lru_cache(maxsize=8)
def _read(data: bytes) -> Query:
    """Read the canonical JSON of a query: the same in every request of a step. Raises what `Query.from_json` does."""
    query = Query.from_json(data)
    if query.to_json() != data:
        raise WireError("the query is not in canonical form")
    return query


assert LIMIT < TERMS_LIMIT
