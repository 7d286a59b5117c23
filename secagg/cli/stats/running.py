"""From statistics that were asked for to a query, and from a query to what its simulation gives."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from secagg.cli.choice import SchemeChoice
from secagg.cli.output import console, print_json
from secagg.cli.simulate import Adversary
from secagg.privacy.views import epsilon_text
from secagg.schemes import PROTECTING, SCHEMES
from secagg.stats import Answered, Number, Query, Result, Rows, Statistic, simulate
from secagg.stats.asking import Said, bounded
from secagg.stats.query import DEFAULT_ROWS
from secagg.train.setting import Called
from secagg_protocols.errors import InputError, ParameterError

from .shown import HIDDEN, print_result
from .sites import LEAST_SITES, Sites

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Asking:
    """What every query says, and where it goes."""

    minimum_cell: Annotated[int, typer.Option(min=0, help="Cells with fewer rows are not shown.")] = 5
    rows: Annotated[int, typer.Option(min=1, help="The most rows that one site has.")] = DEFAULT_ROWS
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="No site answers after it, as 2027-01-31T12:00:00+00:00.")
    ] = None
    query_out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the query as JSON, for `secagg serve`, and ask nobody.")
    ] = None

    def refuse_unanswered(self, option: str, path: Path | None) -> None:
        """Refuse an option that writes what is answered, where nobody is asked."""
        if path is not None and self.query_out is not None:
            raise typer.BadParameter(f"--query-out asks nobody, and {option} needs answers; give one of the two")


@dataclass(frozen=True, kw_only=True)
class Protection:
    """The protocol of the simulation."""

    scheme: Annotated[str, typer.Option(click_type=SchemeChoice(), help="The protocol. 'plain' protects nothing.")] = (
        "bonawitz"
    )
    adversary: Annotated[Adversary, typer.Option(help="The server the rounds must withstand.")] = "semi-honest"
    colluders: Annotated[int, typer.Option(min=0, help="Sites that may help the server.")] = 0
    drop: Annotated[int, typer.Option(min=0, help="Sites that drop out before they send."), Called(("dropouts",))] = 0

    epsilon: Annotated[
        float | None,
        typer.Option(min=0, help="Noise under counts and histograms, for one row; by default none: exact."),
        Called(("dp_epsilon",)),
    ] = None
    delta: Annotated[
        float, typer.Option(min=0, help="Failure probability of that guarantee."), Called(("dp_delta",))
    ] = 1e-5

    def __post_init__(self) -> None:
        if self.scheme not in PROTECTING and (self.colluders or self.adversary == "active"):
            raise typer.BadParameter("it withstands nobody; choose bonawitz", param_hint=f"--scheme {self.scheme}")
        if self.epsilon is None and self.delta != Protection.delta:
            raise typer.BadParameter("it is of the noise that --epsilon asks for; give that, too", param_hint="--delta")


@dataclass(frozen=True)
class Run:
    """A query and, unless it was written to a file, what came of it. sites: survivors of each result's last sum.

    disclosure: what the results tell beside what is true of all rows. epsilon: view → ε of one row, with noise.
    """

    query: Query
    warnings: tuple[str, ...]
    results: tuple[Result, ...] = ()
    sites: tuple[int, ...] = ()
    disclosure: str = ""
    epsilon: Mapping[str, float] = field(default_factory=dict)
    written: Path | None = None

    @property
    def hidden(self) -> str:
        """What is not shown."""
        least = self.query.minimum_cell
        return f"of fewer than {least} rows, or what would tell of such a cell (--minimum-cell)"

    @property
    def bounds(self) -> str:
        """Between which bounds, and with which decimals, the numbers were summed."""
        numbers = {name: column for name, column in self.query.columns.items() if isinstance(column, Number)}
        said = [
            f"{name} from {column.low:g} to {column.high:g} with {column.decimals} decimals"
            for name, column in numbers.items()
        ]
        return "; ".join(said) or "no numbers"

    def plain(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "digest": self.query.digest.hex(),
            "written": None if self.written is None else str(self.written),
            "query": msgspec.json.decode(self.query.to_json()),
            "results": [
                {"sites": sites, **result.plain()} for sites, result in zip(self.sites, self.results, strict=True)
            ],
            "disclosure": self.disclosure,
            "epsilon": dict(self.epsilon),
            "warnings": list(self.warnings),
        }


def run(statistics: Sequence[Statistic], said: Said, sites: Sites, asking: Asking, protection: Protection) -> Run:
    """Make the query, and write it to a file or simulate it over the tables' sites."""
    table = sites.read()
    if table is None and asking.query_out is None:
        raise typer.BadParameter("give a table (--csv), or write the query to a file (--query-out)")
    columns = bounded(said, sites.read_schema(), table, sites.decimal)
    query = Query(
        columns=columns.columns,
        rows=asking.rows,
        minimum_cell=asking.minimum_cell,
        statistics=tuple(statistics),
        expires=asking.expires or "",
    )
    if query.expired(datetime.now(UTC)):
        raise ParameterError(f"expires={query.expires} is over, and no site would answer: give a later time")
    if asking.query_out is not None:
        write_new(asking.query_out, query.to_json(), "--query-out")
        return Run(query, columns.warnings, written=asking.query_out)
    assert table is not None
    tables = sites.split(table, query)
    largest = max(tables, key=lambda name: len(tables[name]))
    if len(tables[largest]) > asking.rows:
        raise ParameterError(f"rows={asking.rows}, and site {largest!r} has {len(tables[largest])}: raise rows")
    warnings = (*columns.warnings, *_of_single_sites(query, sites.site_column), *_beyond(query, tables))
    ended = _simulated(query, tables, protection)
    return Run(query, warnings, ended.results, ended.sites, ended.disclosure, ended.epsilon)


def _of_single_sites(query: Query, site_column: str | None) -> Iterator[str]:
    if site_column in query.columns:
        yield f"column {site_column!r} names the site: what is shown by it is a single site's, and no sum hides it."


def _beyond(query: Query, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Warn of values beyond the bounds. Real sites are told of their own alone."""
    counts: Counter[str] = Counter()
    said = {name for name, column in query.columns.items() if isinstance(column, Number)}
    for table in tables.values():
        counts.update(Rows.of(table, query).beyond)
    return [
        f"{count} value(s) of {name!r} are "
        + (
            "beyond its bounds and count as the bound"
            if name in said
            else "none of its categories and count as missing"
        )
        + "; a real site learns that of its own rows alone."
        for name, count in counts.items()
    ]


def _simulated(query: Query, tables: Mapping[str, pd.DataFrame], protection: Protection) -> Answered:
    names = list(tables)
    if len(names) - protection.drop < LEAST_SITES:
        raise ParameterError(
            f"dropouts={protection.drop} of {len(names)} sites leaves fewer than {LEAST_SITES}, and no site takes part "
            "in such a sum: let fewer drop out"
        )
    withstood = SCHEMES[protection.scheme].against(len(names), protection.colluders, protection.drop / len(names))
    if protection.adversary == "active":
        withstood |= {"adversary": "active"}
    if protection.epsilon is not None:
        withstood |= {
            "dp_epsilon": protection.epsilon,
            "dp_delta": protection.delta,
            "dp_tolerated": protection.drop,
            "dp_colluders": protection.colluders,
        }
    with _quiet_sites():
        return simulate(
            query,
            tables,
            protection.scheme,
            drop=dict.fromkeys(names[: protection.drop], SCHEMES[protection.scheme].upload_step.value),
            **withstood,
        )


@contextmanager
def _quiet_sites() -> Iterator[None]:
    """What each site would log of its own rows, or of a refusal, is said once, for all of them."""
    logs = [logging.getLogger(name) for name in ("secagg.stats", "secagg.round")]
    before = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for log, level in zip(logs, before, strict=True):
            log.setLevel(level)


def write_new(path: Path, data: bytes, option: str) -> None:
    """Write a file of one line. Raises: InputError where there is one already."""
    try:
        with path.open("xb") as file:
            file.write(data + b"\n")
    except FileExistsError as error:
        raise InputError(f"{str(path)!r} is there already; give {option} another name") from error


def report(ended: Run, as_json: bool) -> None:
    """Tell a person, and a program where one listens."""
    target = console(as_json)
    for sites, result in zip(ended.sites, ended.results, strict=True):
        print_result(target, result, sites)
    if ended.results:
        target.print(f"{HIDDEN}: not defined, or not shown: {ended.hidden}", soft_wrap=True)
        target.print(f"columns: {ended.bounds}", soft_wrap=True)
        target.print(ended.disclosure, soft_wrap=True)
        for view, epsilon in ended.epsilon.items():
            target.print(f"ε of one row: {epsilon_text(epsilon)} ({view})", soft_wrap=True)
    if ended.written is not None:
        target.print(f"query: {ended.written}", soft_wrap=True)
    for warning in ended.warnings:
        target.print(f"warning: {warning}", soft_wrap=True)
    if as_json:
        print_json(ended.plain())
