"""What a site was asked and whose sums it was in, as the site keeps it: a signed line each, on disk before it answers.

    ledger.begin(asked, per_day)               # before it makes keys for a query
    ledger.join(asked, survivors, limits)      # before it signs or opens anything for these survivors

Two sums of one column over cohorts that differ by one site tell what that site added, whatever else protects them; of
two columns, they tell how many rows it has. So a
site compares the survivors of each sum with those of all that it was in before: every group of sites that the sums
tell apart must be large enough. That covers all that can be made of the sums by adding and subtracting, since whatever
is left of it is the sum of whole groups.

Survivors are compared as the site itself was told them, and no sum is opened without enough sites that were told the
same (`adversary="active"`: two sums always have an honest one in common that sees both). The steps of one query are
sums like any others: whoever leaves between two of them is told apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Protocol

import msgspec

from secagg.chained import Form, SignedLog, held
from secagg_protocols import Identity, InputError
from secagg_protocols.errors import Declined
from secagg_protocols.primitives.domain import Use, separated

VERSION = 1
ALL, COLUMNS = "all", "columns"
"""Which sums are related, so that one less another tells something: every one has the number of rows in it."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A line. time: UTC, ISO 8601. job: of one query, as it was asked once. query: the digest of what is asked. round:
    of the job. step, state: of the query, and the digest of the state that the step goes out from. said: the digest of
    it in words, noise and number of sites included. declined: why a person said no; empty where the query was accepted.
    survivors: whose vectors are in the sum of this round, by their
    keys or, without a roster, by the server's numbers; empty where it is only accepted.
    """

    version: int = VERSION
    time: str
    job: str
    round: int
    query: str
    step: int
    state: str
    statistics: tuple[str, ...]
    columns: tuple[str, ...]
    said: str = ""
    declined: str = ""
    survivors: tuple[str, ...] = ()

    def is_related(self, other: Asked) -> bool:
        """Whether both read a common column. Counts of rows read none, and are related to everything."""
        return not (self.columns and other.columns) or bool(set(self.columns) & set(other.columns))


@dataclass(frozen=True)
class Limits:
    """apart: fewest sites that sums may tell apart. per_cohort: most queries of one cohort; None: any number. prefix:
    how the keys are written, for errors. related: whether all sums are compared, or those that read a common column."""

    apart: int
    per_cohort: int | None
    prefix: str
    related: str = ALL


def _check(plain: object) -> None:
    try:
        msgspec.convert(plain, Asked)
    except msgspec.ValidationError as error:
        raise ValueError(f"its record cannot be: {error}") from None


def _signed(line: str) -> bytes:
    return separated(Use.QUERY_SIGNATURE, line)


class Lines(Protocol):
    """The lines of a ledger while they are held. asked: all of them."""

    asked: list[Asked]

    def append(self, record: Asked) -> object:
        """Add a line, durably."""


class QueryLog(SignedLog):
    """The file."""

    form: ClassVar[Form] = Form("a ledger of queries", _signed, _check)

    def __init__(self, path: Path, identity: Identity) -> None:
        self.asked: list[Asked] = []
        super().__init__(path, identity)

    def took(self, record: Mapping[str, Any]) -> None:
        """Keep a line. Raises `InputError` for one that a newer version wrote."""
        super().took(record)
        if record["version"] > VERSION:
            raise InputError(f"{self._path}: written by a newer version of secagg: update it, and keep the file")
        self.asked.append(msgspec.convert(record, Asked))


@dataclass
class InMemory:
    """Lines that end with the process: for sites that are simulated in one, and for nobody else."""

    asked: list[Asked] = field(default_factory=list)

    def append(self, record: Asked) -> None:
        """Add a line."""
        self.asked.append(record)


@dataclass(frozen=True)
class QueryLedger:
    """One site's ledger. path: None: in memory. Raises what `QueryLog` raises, whenever it is read."""

    path: Path | None = None
    identity: Identity | None = field(default=None, repr=False)
    memory: InMemory = field(default_factory=InMemory, repr=False)

    @contextmanager
    def opened(self) -> Iterator[Lines]:
        """Yield the lines, checked, while nobody else writes to the file."""
        if self.path is None or self.identity is None:
            yield self.memory
            return
        with held(self.path, QueryLog.form):
            yield QueryLog(self.path, self.identity)

    def knows(self, asked: Asked) -> bool:
        """Whether a query was accepted before, in these words. Raises `Declined` where a person said no to it."""
        with self.opened() as lines:
            return _agreed(asked, lines)

    def begin(self, asked: Asked, per_day: int | None, prefix: str) -> None:
        """Write down that a query is accepted, or declined. Raises `Declined` where there were too many in a day."""
        with self.opened() as lines:
            if _agreed(asked, lines):
                return
            since = datetime.fromisoformat(asked.time) - timedelta(days=1)
            today = {line.job for line in lines.asked if datetime.fromisoformat(line.time) > since} - {asked.job}
            if per_day is not None and len(today) >= per_day:
                raise Declined(
                    f"{len(today)} queries were asked within a day, and this site answers "
                    f"{prefix}queries-per-day={per_day}: ask again later"
                )
            lines.append(asked)

    def join(self, asked: Asked, limits: Limits) -> None:
        """Write down whose sum a site is about to help to open. Raises `Declined` where it would tell too few apart."""
        with self.opened() as lines:
            sums = [line for line in lines.asked if line.survivors]
            if any(replace(asked, time=line.time) == line for line in sums):
                return
            _check_state(asked, sums)
            related = [line for line in sums if limits.related == ALL or asked.is_related(line)]
            _check_apart(asked, related, limits)
            _check_cohort(asked, sums, limits)
            lines.append(asked)


def _agreed(asked: Asked, lines: Lines) -> bool:
    before = [line for line in lines.asked if line.job == asked.job]
    for line in before:
        if line.declined:
            raise Declined(f"a person at this site has declined this query: {line.declined}")
    return any(line.said == asked.said for line in before)


def _check_state(asked: Asked, sums: Sequence[Asked]) -> None:
    before = {line.state for line in sums if (line.job, line.step) == (asked.job, asked.step)}
    if before - {asked.state}:
        raise Declined(
            f"step {asked.step} of this query was answered from another state: what would be summed did not come of "
            "the step before"
        )


def _check_apart(asked: Asked, related: Sequence[Asked], limits: Limits) -> None:
    cohorts = dict.fromkeys(frozenset(line.survivors) for line in (*related, asked))
    smallest = min(_groups(cohorts).values())
    if len(cohorts) > 1 and smallest < limits.apart:
        raise Declined(
            f"this sum over {len(asked.survivors)} sites and those that this site was in before would tell {smallest} "
            f"site(s) apart, and it asks for {limits.prefix}apart={limits.apart}: ask with the same sites as before"
        )


def _groups(cohorts: Iterable[frozenset[str]]) -> Counter[tuple[bool, ...]]:
    """Return how many sites there are of each kind, sites being of one kind if they are in the same cohorts."""
    listed = list(cohorts)
    everyone = frozenset[str]().union(*listed)
    return Counter(tuple(site in cohort for cohort in listed) for site in everyone)


def _check_cohort(asked: Asked, sums: Sequence[Asked], limits: Limits) -> None:
    cohort = frozenset(asked.survivors)
    jobs = {line.job for line in sums if frozenset(line.survivors) == cohort} | {asked.job}
    if limits.per_cohort is not None and len(jobs) > limits.per_cohort:
        raise Declined(
            f"these {len(cohort)} sites have answered {len(jobs) - 1} queries, and this site answers "
            f"{limits.prefix}queries-per-cohort={limits.per_cohort}"
        )
