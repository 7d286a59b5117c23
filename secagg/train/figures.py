"""The report's figures, each as one inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from math import nan

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from secagg.pages import ALARM, ALONE, DASHED, DOTTED, FAINT, PLAIN, POOLED, SECURE, Drawing, drawing

from .result import Range, Sweep, TrainResult

LINE_HEIGHT = 0.3
"""Inches that one line of names takes."""


def scores(result: TrainResult) -> str:
    """AUC and accuracy of the four models as dots with their ranges, on an axis that shows where they differ."""
    models = result.scored
    with drawing("scores", 2.0, panels=2) as drawn:
        first, second = drawn.panels
        colours = (SECURE, PLAIN, ALONE, POOLED)[-len(models) :]
        _dots(first, colours, [model.auc for model in models], [model.auc_range for model in models])
        _dots(second, colours, [model.accuracy for model in models], [model.accuracy_range for model in models])
        _name_lines(first, [model.label.replace(", ", ",\n") for model in models])
        _name_lines(second, [""] * len(models))
        first.set_xlabel("AUC")
        second.set_xlabel("accuracy")
        second.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return drawn.svg


def _dots(axes: Axes, colours: Sequence[str], values: Sequence[float], ranges: Sequence[Range]) -> None:
    """Draw one line for each model, from top to bottom; the last but one is that of the sites alone."""
    for place, colour in enumerate(colours):
        axes.plot(ranges[place], (place, place), color=colour, lw=2.2, solid_capstyle="round")
        axes.plot(values[place], place, "o", color=colour, ms=7, clip_on=False)
    # The worst of many sites may be far off; shown, it would press together what is to be compared.
    alone = len(values) - 2
    left = min(*values, *(low for place, (low, _) in enumerate(ranges) if place != alone)) - 0.01
    axes.set_xlim(left, min(axes.get_xlim()[1], 1.0))
    if ranges[alone][0] < left:
        axes.annotate("←", (left, alone), (2, 4), textcoords="offset points", color=FAINT)
    axes.xaxis.set_major_locator(MaxNLocator(5))


def _name_lines(axes: Axes, names: Sequence[str]) -> None:
    """Name lines from top to bottom, with a grid along the values."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")


def learning_curves(result: TrainResult) -> str:
    """AUC and accuracy after each round, secure and plain, beside what is trained without the others."""
    with drawing("learning", 3.2, panels=2) as drawn:
        first, second = drawn.panels
        _learning(first, "AUC", result, [(r.auc, r.plain_auc) for r in result.rounds])
        first.axhline(result.centralised.auc, color=POOLED, **DASHED, label=result.centralised.label)
        first.axhline(result.alone.auc, color=ALONE, **DOTTED, label=result.alone.label)
        _learning(second, "accuracy", result, [(r.accuracy, r.plain_accuracy) for r in result.rounds])
        second.axhline(result.centralised.accuracy, color=POOLED, **DASHED)
        second.axhline(result.alone.accuracy, color=ALONE, **DOTTED)
        drawn.legend_above(first)
    return drawn.svg


def _learning(
    axes: Axes, metric: str, result: TrainResult, scores: Sequence[tuple[float | None, float | None]]
) -> None:
    rounds = [record.round for record in result.rounds]
    secure, plain = ([nan if one is None else one for one in scored] for scored in zip(*scores, strict=True))
    axes.plot(rounds, plain, color=PLAIN, lw=5, alpha=0.55, label="plain FedAvg")
    axes.plot(rounds, secure, color=SECURE, lw=1.8, marker="o", ms=3.5, label="secure federated")
    failed = [i for i, record in enumerate(result.rounds) if record.failed is not None]
    if failed:
        places = [rounds[i] for i in failed]
        heights = [secure[i] for i in failed]
        axes.plot(places, heights, "x", color=ALARM, ms=8, label="failed round")
    axes.set_xlabel("round")
    axes.set_ylabel(f"{metric} on held-out rows")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def epsilon_curve(result: TrainResult, budget: float | None) -> str:
    """ε spent by the worst site after each round."""
    with drawing("epsilon", 2.3) as drawn:
        axes = drawn.axes
        spent = [record.epsilon or 0.0 for record in result.rounds]
        axes.step([record.round for record in result.rounds], spent, where="mid", color=SECURE, lw=1.8)
        if budget is not None:
            axes.axhline(budget, color=ALARM, **DASHED)
            axes.annotate("budget", (1, budget), xytext=(0, -12), textcoords="offset points", color=ALARM)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("round")
        axes.set_ylabel("ε spent, worst site")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return drawn.svg


def silo_sizes(result: TrainResult) -> str:
    """Rows of each site, by class."""
    with _site_by_site("silos", result) as drawn:
        axes = drawn.axes
        places = range(len(result.sites))
        positives = [site.positives for site in result.sites]
        axes.barh(places, positives, color=SECURE, height=0.65, label=result.classes[1])
        rest = [site.rows - site.positives for site in result.sites]
        axes.barh(places, rest, left=positives, color="#b7d8cc", height=0.65, label=result.classes[0])
        axes.set_xlabel("rows")
        _name_lines(axes, _names(result))
        drawn.legend_above(axes)
    return drawn.svg


def alone_against_together(result: TrainResult) -> str:
    """AUC of each site training alone with its interval, against the federated model on the same held-out rows."""
    with _site_by_site("alone", result) as drawn:
        axes = drawn.axes
        able = [place for place, site in enumerate(result.sites) if site.alone_only is None]
        for place in able:
            site = result.sites[place]
            axes.plot(site.alone_auc_range, (place, place), color=ALONE, lw=2.2, solid_capstyle="round")
        axes.plot([result.sites[place].alone_auc for place in able], able, "o", color=ALONE, ms=7, label="alone")
        if result.secure is not None:
            axes.axvline(result.secure.auc, color=SECURE, lw=1.8, label="secure federated")
        # Their AUC is ½ by definition; drawn there, it would press all others together.
        left = axes.get_xlim()[0]
        for place, site in enumerate(result.sites):
            if site.alone_only is not None:
                axes.annotate("one class only: 0.5", (left, place), color=FAINT, fontsize=8, va="center")
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.set_xlabel("AUC on held-out rows")
        _name_lines(axes, _names(result))
        drawn.legend_above(axes)
    return drawn.svg


def sweep_curve(sweep: Sweep) -> str:
    """AUC and accuracy for each value of a setting: median and range of the draws."""
    with drawing(f"sweep-{sweep.setting}", 2.5, panels=2) as drawn:
        places = range(len(sweep.points))
        names = ["no noise" if point.value is None else f"{point.value:g}" for point in sweep.points]
        panels = (
            ("AUC", [point.auc for point in sweep.points], [point.auc_range for point in sweep.points]),
            ("accuracy", [point.accuracy for point in sweep.points], [point.accuracy_range for point in sweep.points]),
        )
        for axes, (metric, middles, ranges) in zip(drawn.panels, panels, strict=True):
            axes.vlines(places, *zip(*ranges, strict=True), color=SECURE, lw=2.2, alpha=0.5)
            axes.plot(places, middles, color=SECURE, lw=1.2, marker="o", ms=6)
            axes.set_xticks(places, names)
            axes.margins(x=0.1)
            axes.set_xlabel("ε" if sweep.setting == "epsilon" else "sites that take part")
            axes.set_ylabel(metric)
        drawn.panels[1].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return drawn.svg


def _site_by_site(name: str, result: TrainResult) -> AbstractContextManager[Drawing]:
    return drawing(name, 1.1 + LINE_HEIGHT * len(result.sites), 4.2)


def _names(result: TrainResult) -> list[str]:
    return [site.name if len(site.name) <= 20 else site.name[:19] + "…" for site in result.sites]
