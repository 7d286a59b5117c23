"""`secagg train`: one model across institutions under secure sums, with a report."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from secagg.cli.choice import SchemeChoice
from secagg.cli.output import AsJson, console, print_json, progress_bar
from secagg.codec import Influence
from secagg.train import TrainConfig, TrainResult, run

DEFAULTS = TrainConfig()
DATA, TRAINING, PRIVACY, AGGREGATION = "Data", "Training", "Privacy", "Aggregation"


def train(
    csv: Annotated[
        Path | None, typer.Option(rich_help_panel=DATA, help="Your table; without one, a breast-cancer data set.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", rich_help_panel=DATA, help="Its column with two classes.")
    ] = None,
    site_column: Annotated[
        str | None, typer.Option(metavar="COLUMN", rich_help_panel=DATA, help="Its column that names the institution.")
    ] = None,
    schema: Annotated[
        Path | None, typer.Option(rich_help_panel=DATA, help="JSON file with each column's agreed range or categories.")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", rich_help_panel=DATA, help="Leave this out; repeatable.")
    ] = None,
    institutions: Annotated[
        int | None, typer.Option(min=3, rich_help_panel=DATA, help="How many, without a site column; by default 10.")
    ] = None,
    test_fraction: Annotated[
        float, typer.Option(rich_help_panel=DATA, help="Share of each institution's rows held out for testing.")
    ] = DEFAULTS.test_fraction,
    model: Annotated[Literal["logistic", "mlp"], typer.Option(rich_help_panel=TRAINING, help="Model.")] = "logistic",
    rounds: Annotated[
        int, typer.Option(min=1, rich_help_panel=TRAINING, help="Communication rounds.")
    ] = DEFAULTS.rounds,
    local_steps: Annotated[
        int, typer.Option(min=1, rich_help_panel=TRAINING, help="Gradient steps of each site per round.")
    ] = DEFAULTS.local_steps,
    learning_rate: Annotated[
        float, typer.Option(rich_help_panel=TRAINING, help="Step length.")
    ] = DEFAULTS.learning_rate,
    algorithm: Annotated[
        Literal["fedavg", "fedprox"], typer.Option(rich_help_panel=TRAINING, help="How sites train between sums.")
    ] = "fedavg",
    fedprox_mu: Annotated[
        float, typer.Option(min=0, rich_help_panel=TRAINING, help="FedProx's proximal weight; FedAvg ignores it.")
    ] = 0.1,
    epsilon: Annotated[
        float | None,
        typer.Option(rich_help_panel=PRIVACY, help=f"Budget of the whole run; by default {DEFAULTS.epsilon:g}."),
    ] = None,
    no_dp: Annotated[
        bool, typer.Option("--no-dp", rich_help_panel=PRIVACY, help="No noise: the sums show what sums show.")
    ] = False,
    delta: Annotated[
        float, typer.Option(rich_help_panel=PRIVACY, help="Failure probability of that guarantee.")
    ] = DEFAULTS.delta,
    public_size: Annotated[
        int | None,
        typer.Option(min=1, rich_help_panel=PRIVACY, help="Agreed nominal number of training rows per institution."),
    ] = None,
    update_clip: Annotated[
        float | None,
        typer.Option(rich_help_panel=AGGREGATION, help="Bound on each number of an update; by default derived."),
    ] = None,
    scheme: Annotated[
        str,
        typer.Option(
            click_type=SchemeChoice(), rich_help_panel=AGGREGATION, help="The protocol: see `secagg schemes`."
        ),
    ] = "bonawitz",
    adversary: Annotated[
        Literal["strongest", "active", "semi-honest"],
        typer.Option(rich_help_panel=AGGREGATION, help="The server the rounds must withstand."),
    ] = "strongest",
    colluders: Annotated[
        int | None,
        typer.Option(
            min=0,
            rich_help_panel=AGGREGATION,
            help="Institutions that may help the server; by default 1, under bfv and ckks 0.",
        ),
    ] = None,
    reruns: Annotated[
        int,
        typer.Option(
            min=0,
            rich_help_panel=AGGREGATION,
            help="With --no-dp: answers for one model beyond the first; two sums may then show an update.",
        ),
    ] = DEFAULTS.reruns,
    drop_per_round: Annotated[
        int, typer.Option(min=0, rich_help_panel=AGGREGATION, help="Institutions that vanish in every round.")
    ] = DEFAULTS.dropouts,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of splits, dropouts and the first model; not of keys or noise.")
    ] = DEFAULTS.seed,
    report: Annotated[Path, typer.Option(help="The HTML report to write.")] = Path("secagg-train.html"),
    audit: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="A new folder: each party's signed log of every round, and their roster."),
    ] = None,
    insecure_deterministic: Annotated[
        bool, typer.Option("--insecure-deterministic", help="Keys and noise follow --seed too. Never with real data.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train one model across institutions; their updates leave them noised and masked. Writes an HTML report."""
    if no_dp and epsilon is not None:
        raise typer.BadParameter(f"--epsilon {epsilon:g} and --no-dp contradict each other; give one of the two")
    config = TrainConfig(
        csv=csv,
        target=target,
        site_column=site_column,
        schema=schema,
        ignore=tuple(ignore or ()),
        institutions=institutions,
        test_fraction=test_fraction,
        model=model,
        rounds=rounds,
        local_steps=local_steps,
        learning_rate=learning_rate,
        fedprox_mu=fedprox_mu if algorithm == "fedprox" else 0.0,
        epsilon=None if no_dp else DEFAULTS.epsilon if epsilon is None else epsilon,
        delta=delta,
        public_size=public_size,
        update_clip=update_clip,
        scheme=scheme,
        adversary=adversary,
        colluders=colluders,
        reruns=reruns,
        dropouts=drop_per_round,
        seed=seed,
        report=report,
        audit=audit,
        insecure_deterministic=insecure_deterministic,
    )
    with progress_bar() as progress:
        result = run(config, progress=progress)
    _print_result(console(as_json), result)
    if as_json:
        print_json(result.as_json())
    if all(record.failed is not None for record in result.rounds):
        print("secagg: no round succeeded; the report says why", file=sys.stderr)
        raise typer.Exit(1)


def _print_result(target: Console, result: TrainResult) -> None:
    """Show a person how good the model is beside its alternatives, what it cost in privacy, and where to read on."""
    rows = result.table()
    table = Table(title=f"{result.dataset}: {len(result.sites)} institutions, {len(result.rounds)} rounds")
    for heading in rows[0]:
        words = [word for row in rows for word in row[heading].split()]
        justify: Literal["left", "right"] = "left" if heading == "training" else "right"
        table.add_column(heading, justify=justify, min_width=max(map(len, words)))
    for row in rows:
        table.add_row(*row.values())
    target.print(table)
    if moved := [record.influence for record in result.rounds if record.influence is not None]:
        target.print(f"in every round, {Influence(max(moved), result.derived['update_clip'])}", soft_wrap=True)
    for warning in result.warnings:
        target.print(f"warning: {warning}", soft_wrap=True)
    if result.report is not None:
        target.print(f"report: {result.report}", soft_wrap=True)
