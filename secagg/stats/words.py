"""A query in plain words: what a person at a site reads before anything is answered."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from secagg.listing import listed
from secagg_protocols.core.noise import Noise

from .columns import Category, Number
from .query import Query, tag_of
from .statistic import Statistic

EXACT = (
    "These are exact figures without noise: where a single row changes a count, a bin or a step of a curve, whoever "
    "knows the other rows learns that row."
)


def noisy(noise: Noise, gain: int) -> str:
    """Say what noise is under the figures. gain: what they are multiplied by before it is added."""
    deviation = float(noise.variance) ** 0.5 / gain
    return (
        f"Noise of standard deviation {deviation:.4g} is in every sum, even when {noise.tolerated} sites drop out; "
        f"that of {noise.colluders} sites is not counted."
    )


def in_words(query: Query, participants: int, noise: str = EXACT) -> str:
    """Return a query in words, a line for each thing. participants: of the sum. noise: in words."""
    return "\n".join(map(_printable, _lines(query, participants, noise)))


def _printable(line: str) -> str:
    """Return a line in which no name of the query's makes another line, or hides one."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in line)


def _lines(query: Query, participants: int, noise: str) -> Iterator[str]:
    count = len(query.statistics)
    yield f"Query {query.digest.hex()[:16]} asks {participants} sites for {count} statistic{'s' * (count != 1)}:"
    for statistic in query.statistics:
        yield f"  - {_statistic(statistic)}"
    yield f"It reads dataset {query.dataset!r}." if query.dataset else "It reads the table of each site."
    yield "It reads these columns of it:" if query.columns else "It reads no column, and counts rows only."
    for name, column in query.columns.items():
        yield f"  - {name}: {_column(column)}"
    yield f"A site may have up to {query.rows} rows. Only sums over all sites leave the secure sum."
    yield (
        f"Counts below {query.minimum_cell} are not published, and no values of such groups are asked for. The "
        "coordinator itself sees the counts of all sites together."
    )
    yield f"It expires at {query.expires}." if query.expires else "It does not expire."
    yield noise


def _statistic(statistic: Statistic) -> str:
    fields = [(name, getattr(statistic, name)) for name in statistic.__struct_fields__]
    said = ", ".join(f"{name.replace('_', ' ')} {_value(value)}" for name, value in fields if value not in (None, ()))
    first, _, _ = (inspect.getdoc(type(statistic)) or "").partition("\n\n")
    meaning = " ".join(first.split())
    return ": ".join(filter(None, (f"{tag_of(statistic)} ({said})" if said else tag_of(statistic), meaning)))


def _value(value: object) -> str:
    if not isinstance(value, tuple | list):
        return str(value)
    return listed([":".join(one) if isinstance(one, tuple) else one for one in value], str)


def _column(column: Number | Category) -> str:
    if isinstance(column, Category):
        return f"one of {listed(column.values, str)}; other values count as missing"
    return f"a number from {column.low:g} to {column.high:g} with {column.decimals} decimals; beyond, the bound counts"
