"""From statistics that were asked for to a query, and from a query to what its simulation gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from secagg.cli.choice import SchemeChoice
from secagg.cli.output import console, print_json
from secagg.cli.simulate import Adversary
from secagg.schemes import SCHEMES
from secagg.stats import Query, Result, Statistic
from secagg.stats.asking import Said, bounded
from secagg.stats.simulated import simulate
from secagg.train.setting import Called
from secagg_protocols.errors import InputError, ParameterError

from .shown import print_result
from .sites import Sites

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Asking:
    """What every query says, and where it goes."""

    minimum_cell: Annotated[int, typer.Option(min=0, help="Cells with fewer rows are not shown.")] = 5
    rows: Annotated[int, typer.Option(min=1, help="The most rows that one site has.")] = 100_000
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="No site answers after it, as 2027-01-31T12:00:00+00:00.")
    ] = None
    query_out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the query as JSON, for `secagg serve`, and ask nobody.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class Protection:
    """The protocol of the simulation."""

    scheme: Annotated[str, typer.Option(click_type=SchemeChoice(), help="The protocol. 'plain' protects nothing.")] = (
        "bonawitz"
    )
    adversary: Annotated[Adversary, typer.Option(help="The server the rounds must withstand.")] = "semi-honest"
    colluders: Annotated[int, typer.Option(min=0, help="Sites that may help the server.")] = 0
    drop: Annotated[int, typer.Option(min=0, help="Sites that drop out before they send."), Called(("dropouts",))] = 0


@dataclass(frozen=True)
class Run:
    """A query and, unless it was written to a file, what came of it. sites: survivors of each result's last sum."""

    query: Query
    warnings: tuple[str, ...]
    results: tuple[Result, ...] = ()
    sites: tuple[int, ...] = ()
    written: Path | None = None

    def plain(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "digest": self.query.digest.hex(),
            "query": None if self.written is None else str(self.written),
            "minimum_cell": self.query.minimum_cell,
            "results": [
                {"sites": sites, **result.plain()} for sites, result in zip(self.sites, self.results, strict=True)
            ],
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
    if asking.query_out is not None:
        _write(asking.query_out, query)
        return Run(query, columns.warnings, written=asking.query_out)
    assert table is not None
    results, survivors = _simulated(query, sites.split(table, query), protection)
    return Run(query, columns.warnings, results, survivors)


def _simulated(
    query: Query, tables: Mapping[str, pd.DataFrame], protection: Protection
) -> tuple[tuple[Result, ...], tuple[int, ...]]:
    names = list(tables)
    if protection.drop >= len(names):
        raise ParameterError(f"dropouts={protection.drop} of {len(names)} sites: let fewer drop out")
    ended = simulate(
        query,
        tables,
        protection.scheme,
        drop=dict.fromkeys(names[: protection.drop], SCHEMES[protection.scheme].upload_step.value),
        adversary=protection.adversary,
        colluders=protection.colluders,
    )
    return ended.results, ended.sites


def _write(path: Path, query: Query) -> None:
    try:
        with path.open("xb") as file:
            file.write(query.to_json() + b"\n")
    except FileExistsError as error:
        raise InputError(f"{str(path)!r} is there already; give --query-out another name") from error


def report(ended: Run, as_json: bool) -> None:
    """Tell a person, and a program where one listens."""
    target = console(as_json)
    for sites, result in zip(ended.sites, ended.results, strict=True):
        print_result(target, result, sites)
    if ended.written is not None:
        target.print(f"query: {ended.written}", soft_wrap=True)
    for warning in ended.warnings:
        target.print(f"warning: {warning}", soft_wrap=True)
    if as_json:
        print_json(ended.plain())
