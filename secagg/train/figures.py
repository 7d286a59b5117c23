"""The report's figures, each as one inline SVG."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .result import TrainResult

INK, FAINT, GRID = "#1f2933", "#7b8794", "#e4e7eb"
SECURE, PLAIN, ALONE, POOLED, ALARM = "#0b6e4f", "#e09f3e", "#9aa5b1", "#3e4c9a", "#b42318"
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
        self.figure.legend(handles, labels, loc="outside upper center", ncols=5, fontsize=9)


@contextmanager
def _drawing(name: str, height: float, width: float = 8.6, panels: int = 1) -> Iterator[Drawing]:
    """Draw on a figure of this size in inches; a page column is 8.6 wide, half of it 4.2."""
    # The salt makes element ids differ between the figures of one page, and agree between two runs.
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": name}):
        drawing = Drawing(width, height, panels)
        yield drawing
        FigureCanvasSVG(drawing.figure)
        buffer = io.StringIO()
        drawing.figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    drawing.svg = text[text.index("<svg") :]


def learning_curves(result: TrainResult) -> str:
    """AUC and accuracy after each round, secure and plain, between training alone and training on pooled rows."""
    rounds = [record.round for record in result.rounds]
    with _drawing("learning", 3.2, panels=2) as drawing:
        _learning(drawing.panels[0], "AUC", result, rounds, [(r.auc, r.plain_auc) for r in result.rounds])
        drawing.panels[0].axhline(result.centralised.auc, color=POOLED, **DASHED, label="centralised")
        drawing.panels[0].axhline(result.alone.auc, color=ALONE, **DOTTED, label="each site alone (mean)")
        accuracies = [(r.accuracy, r.plain_accuracy) for r in result.rounds]
        _learning(drawing.panels[1], "accuracy", result, rounds, accuracies)
        drawing.panels[1].axhline(result.centralised.accuracy, color=POOLED, **DASHED)
        drawing.panels[1].axhline(result.alone.accuracy, color=ALONE, **DOTTED)
        drawing.legend_above(drawing.panels[0])
    return drawing.svg


def _learning(
    axes: Axes, metric: str, result: TrainResult, rounds: list[int], scores: list[tuple[float, float]]
) -> None:
    secure, plain = [score[0] for score in scores], [score[1] for score in scores]
    axes.plot(rounds, plain, color=PLAIN, lw=5, alpha=0.55, label="plain FedAvg")
    axes.plot(rounds, secure, color=SECURE, lw=1.8, marker="o", ms=3.5, label="secure federated")
    failed = [i for i, record in enumerate(result.rounds) if record.failed is not None]
    if failed:
        places, heights = [rounds[i] for i in failed], [secure[i] for i in failed]
        axes.plot(places, heights, "x", color=ALARM, ms=8, label="failed round")
    axes.set_xlabel("round")
    axes.set_ylabel(f"{metric} on held-out rows")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def epsilon_curve(result: TrainResult, budget: float | None) -> str:
    """ε spent by the worst site after each round."""
    with _drawing("epsilon", 2.3) as drawing:
        axes = drawing.axes
        spent = [record.epsilon or 0.0 for record in result.rounds]
        axes.step([record.round for record in result.rounds], spent, where="mid", color=SECURE, lw=1.8)
        if budget is not None:
            axes.axhline(budget, color=ALARM, **DASHED)
            axes.annotate("budget", (1, budget), xytext=(0, -12), textcoords="offset points", color=ALARM)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("round")
        axes.set_ylabel("ε spent, worst site")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return drawing.svg


def silo_sizes(result: TrainResult) -> str:
    """Rows of each site, by class."""
    with _drawing("silos", 2.7, 4.2) as drawing:
        axes, places = drawing.axes, range(len(result.sites))
        positives = [site.positives for site in result.sites]
        axes.bar(places, positives, color=SECURE, width=0.65, label=result.classes[1])
        rest = [site.rows - site.positives for site in result.sites]
        axes.bar(places, rest, bottom=positives, color="#b7d8cc", width=0.65, label=result.classes[0])
        axes.set_ylabel("rows")
        _name_sites(axes, result)
        drawing.legend_above(axes)
    return drawing.svg


def alone_against_together(result: TrainResult) -> str:
    """AUC of each site training alone, against the federated model on the same held-out rows."""
    with _drawing("alone", 2.7, 4.2) as drawing:
        axes, places = drawing.axes, range(len(result.sites))
        scores = [site.alone_auc for site in result.sites]
        axes.bar(places, scores, color=ALONE, width=0.65, label="alone")
        axes.axhline(result.secure.auc, color=SECURE, lw=1.8, label="secure federated")
        axes.set_ylim(max(0.0, min(0.5, result.secure.auc - 0.05, min(scores) - 0.05)), 1.0)
        axes.set_ylabel("AUC on held-out rows")
        _name_sites(axes, result)
        drawing.legend_above(axes)
    return drawing.svg


def _name_sites(axes: Axes, result: TrainResult) -> None:
    """Label the bars with the sites' names, turned when they would run into each other."""
    names = [site.name if len(site.name) <= 14 else site.name[:13] + "…" for site in result.sites]
    axes.set_xticks(range(len(names)), names)
    axes.grid(visible=False, axis="x")
    if sum(map(len, names)) > 40:
        axes.tick_params(axis="x", labelrotation=60 if len(names) <= 24 else 90, labelsize=8)
