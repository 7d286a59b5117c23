"""`secagg stats cox`: hazard ratios of several sites."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from secagg.cli.options import Panel, with_options
from secagg.cli.output import AsJson
from secagg.stats import Cox
from secagg.stats.asking import Said
from secagg.stats.formula import read_terms

from .model import Covariates
from .pages import Page
from .running import Asking, Protection, report, run
from .sites import Sites
from .survival import Survival


@with_options
def cox(
    survival: Annotated[Survival, Panel("Statistics")],
    columns: Annotated[Covariates, Panel("Statistics")],
    sites: Annotated[Sites, Panel("Sites")],
    asking: Annotated[Asking, Panel("Query")],
    protection: Annotated[Protection, Panel("Simulation")],
    page: Page,
    covariates: Annotated[str, typer.Option(metavar="COLUMN,COLUMN,…", help="Also products, as age:sex.")],
    ties: Annotated[Literal["efron", "breslow"], typer.Option(help="How events at one time are taken.")] = "efron",
    as_json: AsJson = False,
) -> None:
    """Estimate hazard ratios at several sites together, by Cox's model. Sites are simulated here."""
    asking.refuse_unanswered("--report", page.report)
    said = Said()
    table = sites.read()
    follow_up = survival.follow_up(said, table, sites.decimal)
    terms = read_terms(covariates)
    names = [name for term in terms for name in term]
    columns.note_ranges(names, said)
    columns.note(names, said, sites.read_schema(), table, sites.decimal)
    ended = run((Cox(follow_up, terms, ties),), said, sites, asking, protection)
    page.write("Cox regression", ended)
    report(ended, as_json)
