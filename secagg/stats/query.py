"""A query: what is asked of all sites, as data. Its canonical JSON is what people read, sign and keep.

    {"columns": {"age": {"column": "number", "decimals": 0, "high": 120.0, "low": 0.0}}, "dataset": "",
     "expires": "", "minimum_cell": 5, "rows": 10000,
     "statistics": [{"by": null, "column": "age", "statistic": "mean"}], "version": 1}

Nothing in it is ever evaluated: columns and categories are names, and each statistic reads its own fields.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Union

import msgspec

from secagg.listing import listed
from secagg.round.expiry import check_expiry, is_over
from secagg_protocols.errors import InputError, ParameterError

from .asking import Said
from .columns import Category, Column, Number
from .domain import Domain
from .kinds import KINDS
from .statistic import Over, Statistic
from .suppression import check_together

VERSION = 1
LIMIT = 1 << 15
"""Longest JSON of a query, in bytes."""
MAX_STATISTICS = 64
MAX_COLUMNS = 256
MAX_ROWS = 10**9
DEFAULT_ROWS = 100_000
"""Rows that a site may have where a query is made without saying it."""
MAX_NAME = 64
"""Characters in the name of a dataset."""


class Query(Domain, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked. statistics: what is computed, over one and the same sums. expires: ISO date and time with its
    offset, after which no site answers; empty: never. dataset: what sites that hold several tables call the one that is
    meant. Columns get the decimals that were left to be chosen.
    """

    statistics: tuple[Statistic, ...]
    expires: str = ""
    dataset: str = ""
    version: int = VERSION

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise ParameterError(f"a query of version {self.version}; this side reads version {VERSION}")
        if not 1 <= len(self.statistics) <= MAX_STATISTICS or len(self.columns) > MAX_COLUMNS:
            raise ParameterError(
                f"{len(self.statistics)} statistics of {len(self.columns)} columns: ask for 1 to {MAX_STATISTICS}, "
                f"of at most {MAX_COLUMNS} columns"
            )
        for name, least in (("rows", 1), ("minimum_cell", 0)):
            value = getattr(self, name)
            if not least <= value <= MAX_ROWS:
                raise ParameterError(f"{name}={value} is not between {least} and {MAX_ROWS}")
        settled = {name: _settled(name, self.columns[name], self.rows) for name in sorted(self.columns)}
        msgspec.structs.force_setattr(self, "columns", settled)
        check_expiry(self.expires)
        if len(self.dataset) > MAX_NAME or not self.dataset.isprintable():
            raise ParameterError(f"dataset={self.dataset[:20]!r}… is no name of at most {MAX_NAME} characters")
        read = {name for statistic in self.statistics for name in statistic.reads()}
        if unread := sorted(settled.keys() - read):
            raise ParameterError(f"no statistic reads column {listed(unread)}: leave it out of the query")
        for place, statistic in enumerate(self.statistics):
            if statistic in self.statistics[:place]:
                raise ParameterError(f"{tag_of(statistic)} is asked for twice with the same columns: once is enough")
            statistic.check(self)
            statistic.spans(statistic.begin(self), self).check()
        check_together([table for statistic in self.statistics for table in statistic.tables(self)])

    @classmethod
    def of(cls, compute: Iterable[Statistic | Over], *, rows: int = DEFAULT_ROWS, **fields: Any) -> Query:
        """Make a query of statistics that bring the bounds of their columns: `Mean("age").over(age=Number(0, 120))`.

        A column's bounds are said with one of those that read it, or more than once alike. fields: those of a query.
        Raises `ParameterError`.
        """
        said = Said()
        statistics = []
        for one in compute:
            if isinstance(one, Over):
                for name, bounds in one.columns.items():
                    said.column(name, bounds)
            statistics.append(one.statistic if isinstance(one, Over) else one)
        return cls(columns=said.columns, rows=rows, statistics=tuple(statistics), **fields)

    @classmethod
    def from_json(cls, data: bytes | str) -> Query:
        """Read the JSON of a query. Raises: InputError for what is no query, ParameterError for what cannot be one."""
        if len(data) > LIMIT:
            raise InputError(f"a query of {len(data)} bytes; at most {LIMIT} are read")
        try:
            read = _DECODER.decode(data)
        except ParameterError:
            raise
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise InputError(f"this is no query: {error}") from None
        return cls(**{name: getattr(read, name) for name in read.__struct_fields__})

    def to_json(self) -> bytes:
        """Return the canonical JSON: one line, names sorted."""
        return msgspec.json.encode(self, order="sorted")

    def expired(self, now: datetime) -> bool:
        """Tell whether no site answers any more."""
        return is_over(self.expires, now)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.to_json()).digest()


def tag_of(statistic: Statistic) -> str:
    """Return the name of a statistic's kind, as JSON and a site's policy have it."""
    return str(statistic.__struct_config__.tag)


class _Read(Domain, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A query as JSON has it, before it is checked: every kind of statistic is told apart by its tag."""

    statistics: tuple[Union[KINDS], ...]  # type: ignore[valid-type]  # noqa: UP007
    expires: str = ""
    dataset: str = ""
    version: int = VERSION


_DECODER = msgspec.json.Decoder(_Read)


def _settled(name: str, column: Number | Category, rows: int) -> Column:
    try:
        return column.settled(rows)
    except ParameterError as error:
        raise ParameterError(f"column {name!r}: {error}") from None
