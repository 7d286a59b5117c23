"""How cost grows: one figure per axis, each scheme a line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import cycle

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from secagg.pages import PLAIN, POOLED, SECURE, drawing

from .cases import Axis, Case, Sweep
from .overhead import Cost

LINES = {
    ("bonawitz", "semi-honest"): (SECURE, "o"),
    ("bonawitz", "active"): (POOLED, "s"),
    ("secagg-plus", "semi-honest"): (PLAIN, "^"),
    ("lightsecagg", "semi-honest"): ("#9c4f96", "D"),
}
OTHERS = (("#b8860b", "v"), ("#2f7f7f", "P"), ("#7a5230", "X"), ("#666666", "*"))
"""Of schemes that have no line of their own, in turn."""
AXES: Mapping[Axis, str] = {"clients": "participants", "length": "values", "drop": "dropouts"}
STYLES = ("-", "--", "-.", ":", (0, (1, 4)), (0, (6, 4)))
"""Of the lines of one scheme, by how many drop out."""
PANELS: tuple[tuple[str, Callable[[Cost], float]], ...] = (
    ("client, CPU ms", lambda cost: cost.client_ms["total"]),
    ("server, CPU ms", lambda cost: cost.server_ms["total"]),
    ("upload of one client, kB", lambda cost: cost.upload_bytes / 1000),
)


def growth(sweep: Sweep, costs: Mapping[Case, Cost]) -> str:
    """Draw CPU time of a client and of the server, and the upload, along the sweep's axis."""
    with drawing(f"growth-{sweep.axis}", 3.1, panels=3) as drawn:
        for axes, (label, figure_of) in zip(drawn.panels, PANELS, strict=True):
            for (scheme, adversary), (colour, marker) in lines_of(sweep).items():
                name = f"{scheme}, active" if adversary == "active" else scheme
                for style, (drop, line) in zip(STYLES, by_drop(sweep, scheme, adversary).items(), strict=False):
                    places = [_place(case, sweep) for case in line]
                    heights = [figure_of(costs[case]) for case in line]
                    which = name if drop is None else f"{name}, {drop:.0%} drop out"
                    axes.plot(places, heights, style, color=colour, marker=marker, ms=4, lw=1.6, label=which)
            _scale(axes, sweep)
            axes.set_title(label, fontsize=10, loc="left")
            axes.set_xlabel(AXES[sweep.axis])
        drawn.legend_above(drawn.axes)
    return drawn.svg


def by_drop(sweep: Sweep, scheme: str, adversary: str) -> dict[float | None, list[Case]]:
    """Return the lines of one scheme along the axis, in its order: one for each fraction of dropouts, where several."""
    cases = [case for case in sweep.cases if (case.scheme, case.adversary) == (scheme, adversary)]
    cases.sort(key=lambda case: _place(case, sweep))
    drops = sorted({case.drop for case in cases})
    if sweep.axis == "drop" or len(drops) < 2:
        return {None: cases} if cases else {}
    return {drop: [case for case in cases if case.drop == drop] for drop in drops}


def lines_of(sweep: Sweep) -> dict[tuple[str, str], tuple[str, str]]:
    """Return how each scheme of a sweep is drawn: (scheme, adversary) → (colour, marker)."""
    drawn = dict(LINES)
    others = cycle(OTHERS)
    for case in sweep.cases:
        if (case.scheme, case.adversary) not in drawn:
            drawn[case.scheme, case.adversary] = next(others)
    return drawn


def _place(case: Case, sweep: Sweep) -> float:
    place: float = getattr(case, sweep.axis)
    return place


def _scale(axes: Axes, sweep: Sweep) -> None:
    """Logarithmic axes, on which a power law is a straight line, with the measured places as ticks."""
    places = sorted({_place(case, sweep) for case in sweep.cases})
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    if sweep.axis == "drop":
        axes.set_xticks(places, [f"{place:.0%}" for place in places])
        return
    axes.set_xscale("log")
    axes.set_xticks(places, [short(int(place)) for place in places])
    axes.xaxis.set_minor_locator(NullLocator())


def logarithmic(axes: Axes, places: Iterable[float]) -> None:
    """Make the axis to the right logarithmic, with the measured places as ticks."""
    ticks = sorted(set(places))
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{place:g}" for place in ticks])
    axes.xaxis.set_minor_locator(NullLocator())


def short(count: int) -> str:
    """Return a count as people write it: 100k, 1M."""
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if count >= unit and count % unit == 0:
            return f"{count // unit}{name}"
    return str(count)
