"""`secagg stats glm`: regression models of several sites."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from secagg.cli.options import Panel, with_options
from secagg.cli.output import AsJson
from secagg.stats import Glm
from secagg.stats.asking import Said
from secagg.stats.formula import read_formula

from .model import Covariates, note_exposure, note_outcome
from .pages import Page
from .running import Asking, Protection, report, run
from .sites import Sites


@with_options
def glm(
    columns: Annotated[Covariates, Panel("Statistics")],
    sites: Annotated[Sites, Panel("Sites")],
    asking: Annotated[Asking, Panel("Query")],
    protection: Annotated[Protection, Panel("Simulation")],
    page: Page,
    family: Annotated[
        Literal["linear", "logistic", "poisson"], typer.Option(help="Of numbers, of one of two, or of counts.")
    ],
    formula: Annotated[str, typer.Option(help="As 'readmitted ~ age + sex + age:sex'.")],
    exposure: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="What a poisson outcome is in proportion to, such as days.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fit a linear, logistic or Poisson model to the rows of several sites. Sites are simulated here."""
    asking.refuse_unanswered("--report", page.report)
    said = Said()
    table = sites.read()
    schema = sites.read_schema()
    asked = read_formula(formula)
    names = [name for term in asked.terms for name in term]
    columns.note_ranges([asked.outcome, *names, *([exposure] if exposure else [])], said)
    note_outcome(asked.outcome, family, said, schema, table, sites.decimal)
    if exposure:
        note_exposure(exposure, said, schema, table, sites.decimal)
    columns.note(names, said, schema, table, sites.decimal)
    ended = run((Glm(asked.outcome, asked.terms, family, exposure or ""),), said, sites, asking, protection)
    page.write("Regression", ended)
    report(ended, as_json)
