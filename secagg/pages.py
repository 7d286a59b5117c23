"""How our HTML pages look: one style for figures, one for text. Each page is one file that needs no network."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jinja2
import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK = "#1f2933"
FAINT = "#7b8794"
GRID = "#e4e7eb"
SECURE = "#0b6e4f"
PLAIN = "#e09f3e"
ALONE = "#9aa5b1"
POOLED = "#3e4c9a"
ALARM = "#b42318"
DASHED: Any = {"lw": 1.2, "ls": (0, (4, 3))}
DOTTED: Any = {"lw": 1.4, "ls": (0, (1, 2))}

STYLE: Any = {
    # Text stays text, so that the page's own font is used and words can be found and copied.
    "svg.fonttype": "none",
    # Names come from the data: a $ in one is a $.
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": FAINT,
    "axes.edgecolor": GRID,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": GRID,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "legend.frameon": False,
}


_LEGEND_LETTERS = 110
"""How many fit beside each other above a figure; the sample of a line takes five."""


class Drawing:
    """A figure being drawn, panels side by side; `svg` holds it when the block ends."""

    def __init__(self, width: float, height: float, panels: int) -> None:
        self.figure = Figure(figsize=(width, height), layout="constrained")
        self.panels: list[Axes] = [self.figure.add_subplot(1, panels, i + 1) for i in range(panels)]
        self.axes = self.panels[0]
        self.svg = ""

    def legend_above(self, axes: Axes) -> None:
        """Put the legend of these axes above the figure, where it covers nothing."""
        handles, labels = axes.get_legend_handles_labels()
        columns = max(1, min(5, _LEGEND_LETTERS // max(len(label) + 5 for label in labels))) if labels else 1
        self.figure.legend(handles, labels, loc="outside upper center", ncols=columns, fontsize=9)


@contextmanager
def drawing(name: str, height: float, width: float = 8.6, panels: int = 1) -> Iterator[Drawing]:
    """Draw on a figure of this size in inches; a page column is 8.6 wide, half of it 4.2."""
    # The salt makes element ids differ between the figures of one page, and agree between two runs.
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": name}):
        drawn = Drawing(width, height, panels)
        yield drawn
        FigureCanvasSVG(drawn.figure)
        buffer = io.StringIO()
        drawn.figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    drawn.svg = text[text.index("<svg") :]


def environment(package: str) -> jinja2.Environment:
    """Return the environment of the templates of `package`; they may include `page.css`, the common style."""
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package), jinja2.PackageLoader("secagg")]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
