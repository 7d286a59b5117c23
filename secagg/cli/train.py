"""`secagg train`: one model across institutions under secure sums, with a report."""

import sys
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from secagg.cli.options import Panel, with_options
from secagg.cli.output import AsJson, console, print_json, progress_bar
from secagg.codec import Influence
from secagg.privacy.views import epsilon_text
from secagg.train import (
    Aggregation,
    Data,
    Deployment,
    Privacy,
    Run,
    TrainConfig,
    Training,
    TrainResult,
    run,
)
from secagg.train.result import Sweep
from secagg.train.setting import AtLeast, Called, Option

DEFAULTS = TrainConfig()


@dataclass(frozen=True, kw_only=True)
class Method:
    """How sites train between sums."""

    algorithm: Annotated[Literal["fedavg", "fedprox"], Option("How sites train between sums.")] = "fedavg"
    fedprox_mu: Annotated[float, AtLeast(0), Option("FedProx's proximal weight; FedAvg ignores it.")] = 0.1


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The ε of the whole run, or none."""

    epsilon: Annotated[
        float | None, Option(f"Budget of the whole run, for what --unit says; by default {DEFAULTS.privacy.epsilon:g}.")
    ] = None
    no_dp: Annotated[
        bool, Option("The same as --dp none: the sums show what sums show."), Called(("epsilon to None",))
    ] = False

    def __post_init__(self) -> None:
        if self.no_dp and self.epsilon is not None:
            raise typer.BadParameter(
                f"--epsilon {self.epsilon:g} and --no-dp contradict each other; give one of the two"
            )

    def of(self, privacy: Privacy) -> Privacy:
        """Return the privacy asked for, with this ε or the default one."""
        if self.epsilon is not None and privacy.dp == "none":
            raise typer.BadParameter(
                f"--epsilon {self.epsilon:g} and --dp none contradict each other; give one of the two"
            )
        if self.no_dp and privacy.distributed:
            raise typer.BadParameter("--dp distributed and --no-dp contradict each other; give one of the two")
        if self.no_dp:
            return replace(privacy, dp="none")
        return privacy if self.epsilon is None else replace(privacy, epsilon=self.epsilon)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command line takes, panel by panel."""

    data: Annotated[Data, Panel("Data")]
    training: Annotated[Training, Panel("Training")]
    method: Annotated[Method, Panel("Training")]
    budget: Annotated[Budget, Panel("Privacy")]
    privacy: Annotated[Privacy, Panel("Privacy")]
    aggregation: Annotated[Aggregation, Panel("Aggregation")]
    deployment: Annotated[Deployment, Panel("Deployment")]
    run: Run

    @property
    def config(self) -> TrainConfig:
        """The run that this asks for."""
        pull = self.method.fedprox_mu if self.method.algorithm == "fedprox" else 0.0
        return TrainConfig(
            data=self.data,
            training=replace(self.training, fedprox_mu=pull),
            privacy=self.budget.of(self.privacy),
            aggregation=self.aggregation,
            deployment=self.deployment,
            run=self.run,
        )


@with_options
def train(asked: Asked, as_json: AsJson = False) -> None:
    """Train one model across institutions; their updates leave them noised and masked. Writes an HTML report."""
    with progress_bar() as progress:
        progress(0, 1, "loading torch")  # it takes longer than all that comes before
        result = run(asked.config, progress=progress)
    _print_result(console(as_json), result)
    if as_json:
        print_json(result.as_json())
    if all(record.failed is not None for record in result.rounds):
        print("secagg: no round succeeded; the report says why", file=sys.stderr)
        raise typer.Exit(1)


def _print_result(target: Console, result: TrainResult) -> None:
    """Show a person how good the model is beside its alternatives, what it cost in privacy, and where to read on."""
    rows = result.table()
    delta = "" if result.delta is None else f", δ = {result.delta:g}"
    rounds = f"{len(result.rounds)} round{'' if len(result.rounds) == 1 else 's'}"
    table = Table(title=f"{result.dataset}: {len(result.sites)} institutions, {rounds}{delta}")
    for heading in rows[0]:
        words = [word for row in rows for word in row[heading].split()]
        justify: Literal["left", "right"] = "left" if heading == "training" else "right"
        table.add_column(heading, justify=justify, min_width=max(map(len, words)))
    for row in rows:
        table.add_row(*row.values())
    target.print(table)
    target.print(result.scored_on, soft_wrap=True)
    for sentence in result.about_epsilon:
        target.print(sentence, soft_wrap=True)
    target.print(
        "in brackets: 95 % intervals; of sites alone, the worst and the best; of kB, how many times as many as in the "
        f"clear. Alone and in one place: {result.comparisons}.",
        soft_wrap=True,
    )
    for sweep in result.sweeps:
        target.print(_swept(sweep))
    if result.staged is not None:
        target.print(result.staged, soft_wrap=True)
    if moved := [record.influence for record in result.rounds if record.influence is not None]:
        target.print(f"in every round, {Influence(max(moved), result.derived['anywhere'])}", soft_wrap=True)
    for warning in result.warnings:
        target.print(f"warning: {warning}", soft_wrap=True)
    for what, path in (("model", result.model), ("report", result.report)):
        if path is not None:
            target.print(f"{what}: {path}", soft_wrap=True)


def _swept(sweep: Sweep) -> Table:
    """Return what other values of one setting gave."""
    cost = None if sweep.spends is None else f"on real sites all of these would cost ε = {epsilon_text(sweep.spends)}"
    table = Table(title=f"sweep over {sweep.setting}: median (range) of {sweep.draws} trainings", caption=cost)
    for heading in (sweep.setting, "AUC", "accuracy"):
        table.add_column(heading, justify="right")
    for point in sweep.points:
        table.add_row(
            "no noise" if point.value is None else f"{point.value:g}",
            f"{point.auc:.3f} ({point.auc_range[0]:.3f}–{point.auc_range[1]:.3f})",
            f"{point.accuracy:.1%} ({point.accuracy_range[0]:.1%}–{point.accuracy_range[1]:.1%})",
        )
    return table
