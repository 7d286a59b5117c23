"""Results as one HTML page: figures, tables, and what they disclose. It needs no network."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from markupsafe import Markup

from secagg.pages import environment
from secagg_protocols.errors import InputError

from .figures import figure_of
from .query import Query
from .results import Cell, Result
from .words import EXACT

HIDDEN = "–"


@dataclass(frozen=True)
class Page:
    """What is shown. sites: survivors of the last sum of each result."""

    title: str
    query: Query
    results: tuple[Result, ...]
    sites: tuple[int, ...]
    warnings: tuple[str, ...]


def write_page(path: Path, page: Page) -> None:
    """Write a page. Raises: InputError when the file cannot be written."""
    try:
        path.write_text(render(page), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write the report to {str(path)!r}: {error.strerror}; choose another file") from error


def render(page: Page) -> str:
    """Return a page as HTML."""
    template = environment("secagg.stats").get_template("statistics.html.j2")
    return template.render(
        page=page,
        parts=[
            {"sites": sites, "tables": list(result.tables()), "figure": Markup(figure_of(result, place))}
            for place, (result, sites) in enumerate(zip(page.results, page.sites, strict=True))
        ],
        digest=page.query.digest.hex(),
        exact=EXACT,
        text=_text,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _text(cell: Cell) -> str:
    if cell is None:
        return HIDDEN
    return f"{cell:.5g}" if isinstance(cell, float) else str(cell)
