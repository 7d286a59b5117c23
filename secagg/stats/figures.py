"""Pictures of results, each as one inline SVG: curves with intervals and numbers at risk, and coefficients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator, PercentFormatter

from secagg.pages import ALARM, DASHED, FAINT, INK, PLAIN, POOLED, SECURE, drawing

from .kinds.coefficients import Coefficient
from .kinds.cox_result import CoxResult
from .kinds.glm_result import RATIOS, GlmResult
from .kinds.kaplan_meier import Curve, KaplanMeierResult
from .results import Result

COLOURS = (SECURE, PLAIN, POOLED, ALARM, FAINT, INK)
"""Of curves, in turn."""

LINE_HEIGHT = 0.3
"""Inches that a line of names or numbers takes."""

TICKS = 8

LONGEST_NAME = 14


def figure_of(result: Result, number: int) -> str:
    """Return the picture of a result, and nothing where it has none. number: its place on the page."""
    if isinstance(result, KaplanMeierResult) and result.curves:
        return survival(result, f"survival-{number}")
    if isinstance(result, CoxResult):
        return coefficients("hazard ratio", result.coefficients, f"coefficients-{number}")
    if isinstance(result, GlmResult):
        return coefficients(RATIOS.get(result.family, ""), result.coefficients[1:], f"coefficients-{number}")
    return ""


def survival(result: KaplanMeierResult, name: str) -> str:
    """Curves as steps with their intervals, and below them how many are at risk."""
    lines = len(result.curves)
    with drawing(name, 3.4 + LINE_HEIGHT * (lines + 1)) as drawn:
        axes = drawn.axes
        for place, curve in enumerate(result.curves):
            colour = COLOURS[place % len(COLOURS)]
            times = [0.0, *curve.times, result.horizon]
            last = curve.survival[-1] if curve.survival else 1.0
            axes.step(times, [1.0, *curve.survival, last], where="post", color=colour, lw=1.8, label=_name(curve))
            low, high = ([1.0, *side, side[-1] if side else 1.0] for side in (curve.low, curve.high))
            axes.fill_between(times, low, high, step="post", color=colour, alpha=0.15, lw=0)
        axes.axhline(0.5, color=FAINT, **DASHED)
        axes.set_ylim(0, 1.02)
        axes.set_xlim(0, result.horizon)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.xaxis.set_major_locator(MaxNLocator(TICKS))
        axes.set_ylabel("survival")
        axes.set_xlabel(result.time)
        if lines > 1:
            drawn.legend_above(axes)
        _numbers_at_risk(axes, result.curves)
    return drawn.svg


def _name(curve: Curve) -> str:
    return curve.group or "all rows"


def _numbers_at_risk(axes: Axes, curves: Sequence[Curve]) -> None:
    """Write below the axis how many are at risk, about as often as it has ticks."""
    below = axes.get_xaxis_transform()
    style: Any = {"textcoords": "offset points", "va": "center", "fontsize": 9, "annotation_clip": False}
    axes.annotate("at risk", (0, 0), (-20, -36), xycoords=below, ha="right", color=FAINT, **style)
    for line, curve in enumerate(curves, start=1):
        down = -36 - 72 * LINE_HEIGHT * 0.8 * line
        colour = COLOURS[(line - 1) % len(COLOURS)]
        axes.annotate(_short(_name(curve)), (0, 0), (-20, down), xycoords=below, ha="right", color=colour, **style)
        for time, at_risk in _spaced(curve, axes.get_xlim()[1] / TICKS):
            axes.annotate(str(at_risk), (time, 0), (0, down), xycoords=below, ha="center", color=colour, **style)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _spaced(curve: Curve, apart: float) -> Iterator[tuple[float, int]]:
    """Yield the times of a curve at which its number at risk is shown, so far apart that the numbers can be read."""
    last = 0.0
    yield last, curve.n
    for time, at_risk in zip(curve.times, curve.at_risk, strict=True):
        if time - last >= apart:
            yield time, at_risk
            last = time


def coefficients(ratio: str, shown: Sequence[Coefficient], name: str) -> str:
    """Estimates as dots with their intervals, as ratios on a logarithmic axis where there are such."""
    with drawing(name, 0.9 + LINE_HEIGHT * len(shown)) as drawn:
        axes = drawn.axes
        if ratio:
            axes.set_xscale("log")
        for place, one in enumerate(shown):
            middle, low, high = (
                (one.ratio, one.ratio_low, one.ratio_high) if ratio else (one.estimate, one.low, one.high)
            )
            if middle is None or low is None or high is None:
                continue
            axes.plot((low, high), (place, place), color=SECURE, lw=2.2, solid_capstyle="round")
            axes.plot(middle, place, "o", color=SECURE, ms=7)
        axes.margins(x=0.05)
        axes.axvline(1 if ratio else 0, color=FAINT, **DASHED)
        axes.set_yticks(range(len(shown)), [one.name for one in shown])
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.grid(visible=True, axis="x")
        if ratio:
            _logarithmic(axes)
        axes.set_xlabel(f"{ratio}, with 95 % intervals" if ratio else "coefficient, with 95 % intervals")
    return drawn.svg


def _logarithmic(axes: Axes) -> None:
    low, high = axes.get_xlim()
    steps = (1, 1.5, 2, 3, 5, 7) if high < 20 * low else (1, 2, 5)
    ticks = [step * 10.0**power for power in range(-6, 7) for step in steps]
    axes.set_xticks([tick for tick in ticks if low <= tick <= high])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(low, high)
