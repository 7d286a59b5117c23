"""How findings are drawn."""

from __future__ import annotations

import base64
import io

import numpy as np
from matplotlib.image import imsave
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from secagg.pages import ALARM, DASHED, FAINT, PLAIN, POOLED, SECURE, drawing

from ..figures import logarithmic
from .attack import Curve, Pictures

COLOURS = (SECURE, POOLED, PLAIN, ALARM)
GAP = 1
"""Pixels between pictures."""
ACROSS = 8
"""Pictures that a row has room for: where there are fewer, they are no larger."""
FEW = 8
"""Places on a logarithmic axis up to which each is a tick."""


def strip(shown: Pictures) -> str:
    """Return the originals in a row, each above what was made of it, as the address of one image that holds itself."""
    rows, columns = shown.shape
    across = max(ACROSS, len(shown.originals))
    canvas = np.zeros((2 * rows + GAP, across * (columns + GAP) - GAP, 4))
    for line, pictures in enumerate((shown.originals, shown.rebuilt)):
        for place, picture in enumerate(pictures):
            top, left = line * (rows + GAP), place * (columns + GAP)
            cell = canvas[top : top + rows, left : left + columns]
            cell[..., :3] = np.clip(np.reshape(picture, (*shown.shape, 1)), 0, 1)
            cell[..., 3] = 1
    buffer = io.BytesIO()
    imsave(buffer, canvas, format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def curve(shown: Curve) -> str:
    """Draw the lines of one curve."""
    with drawing(shown.title, 3.0, width=4.2) as drawn:
        for number, line in enumerate(shown.lines):
            colour = FAINT if line.dashed else COLOURS[number % len(COLOURS)]
            style = DASHED if line.dashed else {"lw": 1.6, "marker": "o", "ms": 4 if len(line.x) <= FEW else 0}
            drawn.axes.plot(line.x, line.y, color=colour, label=line.name, **style)
        places = {place for line in shown.lines for place in line.x if place > 0}
        if shown.logarithmic and len(places) <= FEW:
            logarithmic(drawn.axes, places)
        elif shown.logarithmic:
            drawn.axes.set_xscale("log")
            drawn.axes.xaxis.set_major_locator(LogLocator())
            drawn.axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            drawn.axes.xaxis.set_minor_locator(NullLocator())
        drawn.axes.set_ylim(bottom=min(0, *(value for line in shown.lines for value in line.y)))
        drawn.axes.set_xlabel(shown.x)
        drawn.axes.set_ylabel(shown.y)
        drawn.axes.legend(fontsize=8)
    return drawn.svg
