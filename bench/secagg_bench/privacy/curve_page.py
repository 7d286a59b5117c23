"""The privacy–utility curve as one page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from statistics import fmean, stdev

from markupsafe import Markup

from secagg.pages import ALARM, ALONE, DASHED, PLAIN, POOLED, SECURE, drawing, environment

from ..figures import logarithmic
from .curve import NO_NOISE, Grid, Point

COLOURS = (PLAIN, SECURE, POOLED, ALARM, ALONE)


def render(grid: Grid, points: Sequence[Point]) -> str:
    """Return the page."""
    return (
        environment("secagg_bench")
        .get_template("utility.html.j2")
        .render(
            grid=grid,
            rows=[(point, _figure(point)) for point in points],
            figures={sites: Markup(_curve(grid, sites, points)) for sites in grid.sites},
            version=version("secagg"),
            made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        )
    )


def _figure(point: Point) -> str:
    return f"{fmean(point.aucs):.3f} ± {stdev(point.aucs):.3f}" if point.aucs else ""


def _curve(grid: Grid, sites: int, points: Sequence[Point]) -> str:
    """Draw AUC against ε, a line for each kind of noise, with its standard deviation over seeds."""
    with drawing(f"utility-{sites}", 3.2) as drawn:
        here = [point for point in points if point.sites == sites and point.aucs]
        noises = dict.fromkeys(point.noise for point in here)
        for noise, colour in zip(noises, (ALONE, *COLOURS), strict=False):
            line = sorted((point for point in here if point.noise == noise), key=lambda point: point.epsilon or 0)
            means = [fmean(point.aucs) for point in line]
            if noise == NO_NOISE:
                drawn.axes.axhline(means[0], color=colour, label=noise, **DASHED)
                continue
            spread = [stdev(point.aucs) for point in line]
            places = [point.epsilon or 0.0 for point in line]
            drawn.axes.errorbar(places, means, spread, color=colour, marker="o", ms=4, lw=1.6, capsize=3, label=noise)
        logarithmic(drawn.axes, grid.epsilons)
        drawn.axes.set_xlabel("ε of the whole training (smaller is more private)")
        drawn.axes.set_ylabel("AUC")
        drawn.legend_above(drawn.axes)
    return drawn.svg
