"""The report's figures, each as one inline SVG."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from secagg.pages import ALARM, ALONE, DASHED, DOTTED, PLAIN, POOLED, SECURE, drawing

from .result import TrainResult


def learning_curves(result: TrainResult) -> str:
    """AUC and accuracy after each round, secure and plain, between training alone and training on pooled rows."""
    rounds = [record.round for record in result.rounds]
    with drawing("learning", 3.2, panels=2) as drawn:
        _learning(drawn.panels[0], "AUC", result, rounds, [(r.auc, r.plain_auc) for r in result.rounds])
        drawn.panels[0].axhline(result.centralised.auc, color=POOLED, **DASHED, label="centralised")
        drawn.panels[0].axhline(result.alone.auc, color=ALONE, **DOTTED, label="each site alone (mean)")
        accuracies = [(r.accuracy, r.plain_accuracy) for r in result.rounds]
        _learning(drawn.panels[1], "accuracy", result, rounds, accuracies)
        drawn.panels[1].axhline(result.centralised.accuracy, color=POOLED, **DASHED)
        drawn.panels[1].axhline(result.alone.accuracy, color=ALONE, **DOTTED)
        drawn.legend_above(drawn.panels[0])
    return drawn.svg


def _learning(
    axes: Axes, metric: str, result: TrainResult, rounds: list[int], scores: list[tuple[float, float]]
) -> None:
    secure = [score[0] for score in scores]
    plain = [score[1] for score in scores]
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
    with drawing("silos", 2.7, 4.2) as drawn:
        axes = drawn.axes
        places = range(len(result.sites))
        positives = [site.positives for site in result.sites]
        axes.bar(places, positives, color=SECURE, width=0.65, label=result.classes[1])
        rest = [site.rows - site.positives for site in result.sites]
        axes.bar(places, rest, bottom=positives, color="#b7d8cc", width=0.65, label=result.classes[0])
        axes.set_ylabel("rows")
        _name_sites(axes, result)
        drawn.legend_above(axes)
    return drawn.svg


def alone_against_together(result: TrainResult) -> str:
    """AUC of each site training alone, against the federated model on the same held-out rows."""
    with drawing("alone", 2.7, 4.2) as drawn:
        axes = drawn.axes
        places = range(len(result.sites))
        scores = [site.alone_auc for site in result.sites]
        axes.bar(places, scores, color=ALONE, width=0.65, label="alone")
        axes.axhline(result.secure.auc, color=SECURE, lw=1.8, label="secure federated")
        axes.set_ylim(max(0.0, min(0.5, result.secure.auc - 0.05, min(scores) - 0.05)), 1.0)
        axes.set_ylabel("AUC on held-out rows")
        _name_sites(axes, result)
        drawn.legend_above(axes)
    return drawn.svg


def _name_sites(axes: Axes, result: TrainResult) -> None:
    """Label the bars with the sites' names, turned when they would run into each other."""
    names = [site.name if len(site.name) <= 14 else site.name[:13] + "…" for site in result.sites]
    axes.set_xticks(range(len(names)), names)
    axes.grid(visible=False, axis="x")
    if sum(map(len, names)) > 40:
        axes.tick_params(axis="x", labelrotation=60 if len(names) <= 24 else 90, labelsize=8)
