"""`secagg stats km`: Kaplan–Meier curves of several sites."""

from __future__ import annotations

from typing import Annotated

import typer

from secagg.cli.options import Panel, with_options
from secagg.cli.output import AsJson
from secagg.stats import KaplanMeier
from secagg.stats.asking import Said

from .pages import Page
from .running import Asking, Protection, report, run
from .sites import Sites
from .survival import Survival


@with_options
def km(
    survival: Annotated[Survival, Panel("Statistics")],
    sites: Annotated[Sites, Panel("Sites")],
    asking: Annotated[Asking, Panel("Query")],
    protection: Annotated[Protection, Panel("Simulation")],
    page: Page,
    by: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="A curve for each of its categories, and the log-rank test between them."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Estimate survival at several sites together: curves, median, log-rank test. Sites are simulated here."""
    asking.refuse_unanswered("--report", page.report)
    said = Said()
    follow_up = survival.follow_up(said, sites.read(), sites.decimal)
    if by is not None:
        said.category(by)
    ended = run((KaplanMeier(follow_up, by),), said, sites, asking, protection)
    page.write("Survival", ended)
    report(ended, as_json)
