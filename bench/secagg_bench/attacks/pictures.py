"""How findings are drawn."""

from __future__ import annotations

import numpy as np

from secagg.pages import DASHED, FAINT, PLAIN, POOLED, SECURE, drawing

from ..figures import logarithmic
from .attack import Curve, Pictures

COLOURS = (SECURE, POOLED, PLAIN)
GAP = 1
"""Pixels between pictures."""


def side_by_side(shown: Pictures) -> str:
    """Draw the originals in a row, and below each what the attack made of it."""
    rows, columns = shown.shape
    canvas = np.full((2 * (rows + GAP), len(shown.originals) * (columns + GAP)), np.nan)
    for line, pictures in enumerate((shown.originals, shown.rebuilt)):
        for place, picture in enumerate(pictures):
            top, left = line * (rows + GAP), place * (columns + GAP)
            canvas[top : top + rows, left : left + columns] = np.reshape(picture, shown.shape)
    with drawing(shown.title, 2.0, width=6.4) as drawn:
        drawn.axes.imshow(canvas, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        drawn.axes.grid(visible=False)
        drawn.axes.set_xticks([])
        drawn.axes.set_yticks([rows / 2, rows + GAP + rows / 2], ["original", "rebuilt"])
        for spine in drawn.axes.spines.values():
            spine.set_visible(False)
    return drawn.svg


def curve(shown: Curve) -> str:
    """Draw the lines of one curve."""
    with drawing(shown.title, 3.0, width=4.2) as drawn:
        for number, line in enumerate(shown.lines):
            colour = FAINT if line.dashed else COLOURS[number % len(COLOURS)]
            style = DASHED if line.dashed else {"lw": 1.6, "marker": "o", "ms": 4}
            drawn.axes.plot(line.x, line.y, color=colour, label=line.name, **style)
        if shown.logarithmic:
            logarithmic(drawn.axes, (place for line in shown.lines for place in line.x))
        drawn.axes.set_ylim(bottom=min(0, *(value for line in shown.lines for value in line.y)))
        drawn.axes.set_xlabel(shown.x)
        drawn.axes.set_ylabel(shown.y)
        drawn.axes.legend(fontsize=8)
    return drawn.svg
