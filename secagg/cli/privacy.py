"""`secagg privacy`: what noise under the sum gives and costs, and what of a budget is spent."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from secagg.cli.choice import SchemeChoice
from secagg.cli.command import Commands
from secagg.cli.options import with_options
from secagg.cli.output import AsJson, console, print_json, readable_bytes
from secagg.cli.signed import Signed, whose
from secagg.privacy.views import epsilon_text
from secagg.schemes import make_scheme
from secagg.train.setting import Called
from secagg_protocols import InputError

app = Commands(
    help="Noise under the sum, differential privacy that participants share: plan it, and check what is spent."
)


File = Annotated[Path, typer.Argument(help="A privacy ledger: a site's own, or the aggregator's.")]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the noise is to give, and to whom."""

    epsilon: Annotated[float, typer.Option(min=0, help="Budget of all rounds together.")]
    delta: Annotated[float, typer.Option(min=0, help="Failure probability of that guarantee; at most 0.001.")] = 1e-5
    rounds: Annotated[int, typer.Option(min=1, help="Rounds that are released.")] = 1
    clip: Annotated[float, typer.Option(min=0, help="L2 norm that each participant's vector is clipped to.")] = 1.0
    scheme: Annotated[str, typer.Option(click_type=SchemeChoice(), help="The protocol under the noise.")] = "bonawitz"
    clients: Annotated[int, typer.Option(min=2, help="Participants."), Called(("participants",))] = 10
    length: Annotated[int, typer.Option(min=1, help="Values in each participant's vector.")] = 1000
    tolerated: Annotated[int, typer.Option(min=0, help="Dropouts with which the noise is still enough.")] = 0
    colluders: Annotated[int, typer.Option(min=0, help="Participants whose noise is not counted.")] = 0
    bits: Annotated[
        int | None,
        typer.Option(min=2, max=32, help="Bits of each value; by default the fewest."),
        Called(("value_bits",)),
    ] = None


@app.command("plan")
@with_options
def plan(asked: Asked, as_json: AsJson = False) -> None:
    """Print the least noise that gives this ε, its bits and bytes, and ε by who looks and how many vanish."""
    from secagg.privacy.mechanism import opened_with
    from secagg.privacy.plan import Wanted
    from secagg.privacy.plan import plan as planned

    scheme = make_scheme(asked.scheme, asked.clients, asked.length, colluders=asked.colluders)
    made = planned(
        Wanted(
            asked.epsilon,
            asked.delta,
            asked.rounds,
            asked.clients,
            asked.length,
            asked.clip,
            asked.tolerated,
            asked.colluders,
            asked.bits,
            scheme.removes_noise,
            opened_with=opened_with(scheme),
            statistical_bits=scheme.guarantee.statistical_bits,
        )
    )
    replace(scheme, value_bits=made.mechanism.value_bits, noise=made.mechanism.noise)  # refuses what it cannot keep
    mechanism = made.mechanism
    result = {
        "scheme": asked.scheme,
        "clients": asked.clients,
        "length": asked.length,
        "rounds": asked.rounds,
        "clip": asked.clip,
        "delta": asked.delta,
        "tolerated": asked.tolerated,
        "colluders": asked.colluders,
        "noise_multiplier": mechanism.multiplier,
        "bits": mechanism.value_bits,
        "scale": mechanism.scale,
        "noise": str(mechanism.noise),
        "layers": len(mechanism.share.layers),
        "deviation_of_the_sum": mechanism.multiplier * asked.clip,
        "upload_bytes_per_value": made.bytes_per_value,
        "epsilon": {str(dropouts): views for dropouts, views in made.epsilons.items()},
    }
    if as_json:
        print_json(result)
    _print(console(as_json), result)


@app.command("ledger")
@with_options
def ledger(file: File, signed: Signed, as_json: AsJson = False) -> None:
    """Check a privacy ledger, then print what each answer or round cost, and ε of them all, worked out again."""
    from secagg.privacy.charges import FORM, check_spent, read_charge, spent_by_view, standing

    (log,) = signed.checked(FORM, file)
    charges = [read_charge(file, line.record) for line in log.lines]
    if not charges:
        raise InputError(f"{file} holds no record: nothing was answered yet, or it is another file")
    check_spent(file, charges)
    last = charges[-1]
    found = spent_by_view(charges, last.delta)
    result = {
        "file": str(file),
        "head": log.lines[-1].hash,
        "unit": last.unit,
        "counted": len(standing(charges)),
        "delta": last.delta,
        "epsilon": found,
        "records": [{**line.record, "hash": line.hash} for line in log.lines],
    }
    if as_json:
        print_json(result)
    target = console(as_json)
    table = Table("time", "job", "round", "stage", "noise multiplier", "sampling rate", "ε so far", title=str(file))
    for charge in charges:
        said = [charge.time, charge.job, charge.round, charge.stage, f"{charge.multiplier:.4g}", charge.sampling_rate]
        table.add_row(*map(str, said), epsilon_text(charge.epsilon))
    target.print(table)
    whole = f"{len(charges)} records, each signed by {whose(log)}, none changed, moved or missing"
    views = ", ".join(f"{view} {epsilon_text(epsilon)}" for view, epsilon in found.items()) or "unbounded"
    counted = f"ε of one {last.unit} at δ = {last.delta:g}, of the {result['counted']} that count: {views}"
    for line in (f"{file}: {whole}", counted, f"head {result['head']}"):
        target.print(line, soft_wrap=True)


def _print(target: Console, result: dict[str, object]) -> None:
    by_dropouts = result["epsilon"]
    assert isinstance(by_dropouts, dict)
    table = Table(title=f"ε of {result['rounds']} rounds at δ = {result['delta']}, by who looks")
    table.add_column("dropouts in each round")
    for view in by_dropouts["0"]:
        table.add_column(view, justify="right")
    for dropouts, views in by_dropouts.items():
        table.add_row(dropouts, *map(epsilon_text, views.values()))
    target.print(table)
    target.print(
        f"noise in the sum, each value: ±{result['deviation_of_the_sum']:.4g} (standard deviation, in the unit of clip "
        f"{result['clip']:g}); of a mean it is that over the number of survivors",
        soft_wrap=True,
    )
    upload = result["upload_bytes_per_value"]
    assert isinstance(upload, float)
    target.print(
        f"{result['bits']} bits a value, {upload:.2f} bytes of upload a value "
        f"({readable_bytes(upload * int(str(result['length'])))} in all); {result['layers']} layers can be taken off",
        soft_wrap=True,
    )
    target.print(f"scheme: noise={result['noise']!r}, value_bits={result['bits']}", soft_wrap=True)
