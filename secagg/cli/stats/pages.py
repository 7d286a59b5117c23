"""The page that a command writes beside its tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from secagg.extras import needed

from .running import Run


@dataclass(frozen=True, kw_only=True)
class Page:
    """Whether a page is written, and where."""

    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with pictures, as one HTML file.")
    ] = None

    def __post_init__(self) -> None:
        if self.report is not None and self.report.is_dir():
            raise typer.BadParameter(f"{str(self.report)!r} is a folder; name a file", param_hint="--report")

    def write(self, title: str, ended: Run) -> None:
        """Write it, if it is asked for. Raises: InputError."""
        if self.report is None:
            return
        with needed("stats"):
            from secagg.stats.report import Page as Contents
            from secagg.stats.report import write_page
        write_page(self.report, Contents(title, ended.query, ended.results, ended.sites, ended.warnings))
