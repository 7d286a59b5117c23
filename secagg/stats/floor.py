"""What a site answers queries by, read from its own file and from nothing else. A query can only be refused by it.

These keys stand beside those of `secagg.round.SitePolicy`, in the same file:

| key | meaning | default |
|---|---|---|
| stats-statistics | kinds of statistics that it takes part in, separated by commas | all that it knows |
| stats-columns | columns that may be read, separated by commas | all of its table |
| stats-minimum-patients | fewest patients that its own table must hold | 10 |
| stats-patient-column | column that tells patients apart | none: each row is one |
| stats-minimum-cell | the least count that a query may publish must be so large | 5 |
| stats-least-bin | the finest bins, time steps and bounds of columns, none as categories: `time:30, age:5` | any |
| stats-out-of-bounds | what becomes of values beyond a column's bounds: clip or refuse | clip |
| stats-apart | fewest sites that sums may tell apart; `colluders` count on top; 1 allows any | 3 |
| stats-related | which sums are compared for that: all, or those with a common column (columns) | all |
| stats-queries-per-cohort | most queries that the same sites answer | any number |
| stats-queries-per-day | most queries in 24 hours | 100 |
| stats-coordinators | names of the servers that may ask, as the roster has them; needs adversary=active | any |
| stats-until | time after which no query is answered, with its offset | none |
| stats-ledger | file: what it was asked and whose sums it was in, signed with its identity | needed |
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from secagg.listing import listed
from secagg.round import SitePolicy
from secagg.round.keys import PREFIX, WHERE, Keys, Value, its_own
from secagg_protocols import SERVER, Adversary, InputError, ParameterError
from secagg_protocols.errors import Declined

from .columns import Category
from .kinds import KINDS
from .ledger import ALL, COLUMNS, Limits, QueryLedger
from .noise import RowPrivacy
from .query import Query, tag_of
from .rows import Rows
from .spans import MOST_BITS

STATS = "stats-"
MINIMUM_PATIENTS = 10
MINIMUM_CELL = 5
APART = 3
PER_DAY = 100
CLIP, REFUSE = "clip", "refuse"
NAMES = frozenset(str(kind.__struct_config__.tag) for kind in KINDS)


@dataclass(frozen=True, kw_only=True)
class Floor:
    """What a site asks of a query and of its own table; fields are the keys of this module's table. None: any."""

    statistics: frozenset[str] = NAMES
    columns: frozenset[str] | None = None
    minimum_patients: int = MINIMUM_PATIENTS
    patient_column: str = ""
    minimum_cell: int = MINIMUM_CELL
    least_bin: Mapping[str, float] = field(default_factory=dict)
    out_of_bounds: str = CLIP
    apart: int = APART
    related: str = ALL
    queries_per_cohort: int | None = None
    queries_per_day: int | None = PER_DAY
    coordinators: frozenset[str] | None = None
    until: datetime | None = None
    prefix: str = PREFIX + STATS

    def __post_init__(self) -> None:
        if strange := sorted(self.statistics - NAMES):
            raise ParameterError(
                f"{self.prefix}statistics: {strange[0]!r} is unknown; choose from {', '.join(sorted(NAMES))}"
            )
        if self.out_of_bounds not in (CLIP, REFUSE):
            raise ParameterError(f"{self.prefix}out-of-bounds={self.out_of_bounds!r} is neither {CLIP} nor {REFUSE}")
        if self.related not in (ALL, COLUMNS):
            raise ParameterError(f"{self.prefix}related={self.related!r} is neither {ALL} nor {COLUMNS}")
        for name in ("minimum_patients", "minimum_cell", "apart", "queries_per_cohort", "queries_per_day"):
            value = getattr(self, name)
            least = 0 if name.startswith("minimum") else 1
            if value is not None and value < least:
                raise ParameterError(f"{self.prefix}{name.replace('_', '-')}={value} is not at least {least}")

    @classmethod
    def read(cls, keys: Keys) -> Floor:
        """Read the keys, but for the ledger. Raises `ParameterError`."""
        return cls(
            statistics=keys.names("statistics") or NAMES,
            columns=keys.names("columns"),
            minimum_patients=keys.number("minimum-patients", MINIMUM_PATIENTS),
            patient_column=keys.text("patient-column", ""),
            minimum_cell=keys.number("minimum-cell", MINIMUM_CELL),
            least_bin=_bins(keys),
            out_of_bounds=keys.text("out-of-bounds", CLIP),
            apart=keys.number("apart", APART),
            related=keys.text("related", ALL),
            queries_per_cohort=keys.number("queries-per-cohort", 0) or None,
            queries_per_day=keys.number("queries-per-day", PER_DAY),
            coordinators=keys.names("coordinators"),
            until=_time(keys),
            prefix=keys.called(""),
        )

    def check_query(self, query: Query, now: datetime) -> None:
        """Raise `ParameterError`, or `Declined` where it is too late, for a query that this site does not answer."""
        for statistic in query.statistics:
            if tag_of(statistic) not in self.statistics:
                raise self._refused("statistics", listed(sorted(self.statistics)), f"{tag_of(statistic)} is asked for")
            for column, width in statistic.widths(query).items():
                self._check_width(column, width, f"in bins of {width:g}")
        for name, asked in query.columns.items():
            if isinstance(asked, Category):  # each of its values is a bin
                self._check_width(name, 0.0, "as categories")
            else:  # whoever is beyond the bounds counts as the bound
                self._check_width(name, asked.high - asked.low, f"between {asked.low:g} and {asked.high:g}")
        if self.columns is not None and (strange := sorted(query.columns.keys() - self.columns)):
            raise self._refused("columns", listed(sorted(self.columns)), f"column {strange[0]!r} is asked for")
        if query.minimum_cell < self.minimum_cell:
            raise self._refused("minimum-cell", self.minimum_cell, f"minimum_cell={query.minimum_cell} is proposed")
        if query.expired(now):
            raise Declined(f"the query has expired at {query.expires} (expires): ask anew")
        if self.until is not None and now > self.until:
            raise Declined(f"this site answers queries until {self.until.isoformat()} only ({self.prefix}until)")

    def _check_width(self, column: str, width: float, proposed: str) -> None:
        least = self.least_bin.get(column, 0.0)
        if width < least:
            raise self._refused("least-bin", f"{column}:{least:g}", f"{column!r} {proposed} is proposed")

    def check_rows(self, rows: Rows, patients: int) -> None:
        """Raise `InputError`, for this site alone to read, for a table of its own that no query is answered from."""
        if patients < self.minimum_patients:
            raise InputError(
                f"the table has {patients} patients, fewer than {self.prefix}minimum-patients={self.minimum_patients}"
            )
        if rows.beyond and self.out_of_bounds == REFUSE:
            raise InputError(
                f"values beyond the query's bounds in {listed(rows.beyond)}: {self.prefix}out-of-bounds={REFUSE}"
            )

    def _refused(self, key: str, value: object, asked: str) -> ParameterError:
        return ParameterError(f"{asked}; this site's {self.prefix}{key} is {value}")


@dataclass(frozen=True)
class StatPolicy:
    """All that a site decides for itself: its side of the round, its floor for queries, and where it remembers them."""

    site: SitePolicy
    floor: Floor = Floor()
    ledger: QueryLedger = field(default_factory=QueryLedger)

    def __post_init__(self) -> None:
        if self.site.privacy is not None:  # what the keys dp-… ask for is asked for each row
            object.__setattr__(self, "site", replace(self.site, privacy=RowPrivacy.of(self.site.privacy)))

    @classmethod
    def read(cls, given: Mapping[str, Value], prefix: str = PREFIX, where: str = WHERE) -> StatPolicy:
        """Read a configuration that holds both kinds of keys. Raises `ParameterError`, `InputError` for bad files."""
        own = prefix + STATS
        keys = Keys(given, own, where)
        floor = Floor.read(keys)
        path = keys.path("ledger")
        keys.check_all_read()
        others = {key: value for key, value in given.items() if not key.startswith(own)}
        site = SitePolicy.read({prefix + "maximum-bits": MOST_BITS, **others}, prefix, where)
        if path is None or site.identity is None:
            missing = f"{own}ledger" if path is None else f"{prefix}identity"
            raise ParameterError(
                f"{missing} is missing in {its_own(where)}: without a signed ledger this site would forget whose sums "
                "it was in, and answer for one site fewer"
            )
        policy = cls(site, floor, QueryLedger(path, site.identity))
        policy.check_coordinator()
        with policy.ledger.opened():  # one that is none, or was changed, is told now and not with the first query
            return policy

    @property
    def limits(self) -> Limits:
        """What the ledger keeps. Colluders know what they added, so they hide nobody."""
        apart = self.floor.apart + self.site.floor.colluders if self.floor.apart > 1 else 1
        return Limits(apart, self.floor.queries_per_cohort, self.floor.prefix, self.floor.related)

    def check_coordinator(self) -> None:
        """Raise `ParameterError` where the roster's server is none of those that may ask."""
        allowed = self.floor.coordinators
        if allowed is None:
            return
        key = f"{self.floor.prefix}coordinators={listed(sorted(allowed))}"
        if self.site.floor.adversary != Adversary.ACTIVE or self.site.roster is None:
            raise ParameterError(f"{key} needs {self.site.prefix}adversary=active: only then does the server sign")
        name = next((entry.name for entry in self.site.roster.entries if entry.id == SERVER), "nobody")
        if name not in allowed:
            raise ParameterError(f"{key} and the roster's server is {name!r}: give the roster of the one that may ask")


def _bins(keys: Keys) -> dict[str, float]:
    bins = {}
    for row in filter(None, map(str.strip, keys.text("least-bin", "").split(","))):
        column, _, width = row.rpartition(":")
        try:
            bins[column] = float(width)
        except ValueError:
            bins[column] = math.nan
        if not (column and bins[column] > 0):
            raise ParameterError(f"{keys.called('least-bin')}: {row!r} in {keys.where} is not column:width")
    return bins


def _time(keys: Keys) -> datetime | None:
    text = keys.text("until", "")
    if not text:
        return None
    try:
        until = datetime.fromisoformat(text)
    except ValueError:
        until = datetime.min
    if until.tzinfo is None:
        raise ParameterError(
            f"{keys.called('until')}={text!r} in {keys.where} is no time with its offset, such as "
            "2027-01-31T12:00:00+00:00"
        )
    return until
