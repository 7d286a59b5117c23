"""`secagg stats table`: counts, means, spreads and tables of several sites."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from secagg.cli.options import Panel, with_options
from secagg.cli.output import AsJson
from secagg.stats import (
    Compare,
    Count,
    Covariance,
    Crosstab,
    Histogram,
    Mean,
    Quantile,
    Statistic,
    Sum,
    Variance,
    schema_of,
)
from secagg.stats.asking import Said
from secagg.train.setting import Option

from .columns import binned, number, several
from .running import Asking, Protection, report, run, write_new
from .sites import Sites

RANGE = "COLUMN[:LOW:HIGH[:DECIMALS]]"
Numbers = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which statistics, each of which columns. A column's range and decimals are said once."""

    count: Annotated[bool, Option("Rows.")] = False
    sum: Annotated[Numbers, Option("Sum; repeatable.", RANGE)] = ()
    mean: Annotated[Numbers, Option("Mean, with its standard error; repeatable.", RANGE)] = ()
    variance: Annotated[Numbers, Option("Variance and standard deviation; repeatable.", RANGE)] = ()
    compare: Annotated[Numbers, Option("Means of the groups of --by: t-tests, ANOVA; repeatable.", RANGE)] = ()
    by: Annotated[str | None, Option("Count, sum and average in each category of this one.", metavar="COLUMN")] = None
    histogram: Annotated[Numbers, Option("Rows by bins of equal width; repeatable.", "COLUMN[:LOW:HIGH][:BINS]")] = ()
    quantile: Annotated[Numbers, Option("Quantiles, to a bin (--within); repeatable.", RANGE)] = ()
    at: Annotated[str, Option("Which quantiles.", metavar="P,P,…")] = "0.25,0.5,0.75"
    within: Annotated[
        float | None, Option("How wide a quantile's bin may be; by default 1/256 of the range.", metavar="WIDTH")
    ] = None
    covariance: Annotated[Numbers, Option("Covariances and correlations; repeatable.", "COLUMN,COLUMN,…")] = ()
    crosstab: Annotated[Numbers, Option("Rows by two columns, with χ²; repeatable.", "COLUMN,COLUMN")] = ()

    def statistics(self, said: Said) -> Iterator[Statistic]:
        """Yield what is asked for, and note in `said` what is said of its columns."""
        if self.by is not None:
            said.category(self.by)
        if self.count:
            yield Count(self.by)
        for option, kind in (("sum", Sum), ("mean", Mean), ("variance", Variance), ("compare", Compare)):
            for text in getattr(self, option):
                yield kind(number(text, said, f"--{option}"), self.by)
        for text in self.histogram:
            column, bins = binned(text, said, "--histogram")
            yield Histogram(column) if bins is None else Histogram(column, bins)
        for text in self.quantile:
            yield Quantile(number(text, said, "--quantile"), self._probabilities, self.within)
        for text in self.covariance:
            names = several(text, "--covariance")
            for name in names:
                said.number(name)
            yield Covariance(names)
        for text in self.crosstab:
            row, column = several(text, "--crosstab", most=2)
            said.category(row)
            said.category(column)
            yield Crosstab(row, column)

    @property
    def _probabilities(self) -> tuple[float, ...]:
        try:
            wanted = sorted(float(text) for text in self.at.split(","))
        except ValueError:
            wanted = []
        if not wanted or len(set(wanted)) < len(wanted) or not all(0 < p < 1 for p in wanted):
            raise typer.BadParameter(f"{self.at!r} are not different numbers between 0 and 1", param_hint="--at")
        return tuple(wanted)


@with_options
def table(
    asked: Annotated[Asked, Panel("Statistics")],
    sites: Annotated[Sites, Panel("Sites")],
    asking: Annotated[Asking, Panel("Query")],
    protection: Annotated[Protection, Panel("Simulation")],
    schema_out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a schema for `secagg train`: ranges by means, categories by counts."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Count, average and tabulate the rows of several sites, which are simulated in this process."""
    said = Said()
    statistics = tuple(asked.statistics(said))
    if not statistics:
        raise typer.BadParameter("nothing is asked for; give --count, --mean COLUMN or another statistic")
    asking.refuse_unanswered("--schema-out", schema_out)
    ended = run(statistics, said, sites, asking, protection)
    if schema_out is not None:
        write_new(schema_out, json.dumps(schema_of(ended.query, ended.results)).encode(), "--schema-out")
    report(ended, as_json)
