"""`secagg simulate`: one round in memory, checked against the plain sum, with what it cost."""

import resource
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

import secagg
from secagg.cli.choice import SchemeChoice
from secagg.cli.memory import check_fits
from secagg.cli.options import with_options
from secagg.cli.output import AsJson, console, print_json, progress_bar, readable_bytes
from secagg.cli.simulated_noise import NoiseFound, UnderNoise
from secagg.cli.workload import Workload
from secagg.roofline import limits
from secagg.round.audit import SimulatedTrails, Stamp
from secagg.schemes import PROTECTING, make_scheme, parameters_of
from secagg.train.setting import Called
from secagg_protocols import Policy, Randomness, Scheme, Step
from secagg_protocols.primitives.randomness import SYSTEM, InsecureDeterministicRandomness

Adversary = Literal["semi-honest", "active"]
Ciphersuite = Literal["x25519", "p256"]

MOST_WORKERS = 256
"""More threads or processes than any one machine has use for."""


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """Who takes part, in which protocol, and who of them drops out."""

    scheme: Annotated[str, typer.Option(click_type=SchemeChoice(), help="The protocol. 'plain' protects nothing.")] = (
        "bonawitz"
    )
    clients: Annotated[int, typer.Option(min=1, help="Participants."), Called(("participants",))] = 10
    length: Annotated[int, typer.Option(min=1, help="Values in each participant's vector.")] = 1000
    drop: Annotated[
        float,
        typer.Option(min=0, max=1, help="Fraction of the participants that drop out."),
        Called(("dropouts", "dropout_rate"), converted=True),
    ] = 0.0
    drop_at: Annotated[
        str | None,
        typer.Option(
            metavar="STEP",
            help="They drop out before this step's message; by default before their input.",
        ),
    ] = None
    adversary: Annotated[Adversary, typer.Option(help="The server the round must withstand.")] = "semi-honest"
    colluders: Annotated[int, typer.Option(min=0, help="Participants that may help the server.")] = 0
    threshold: Annotated[int | None, typer.Option(min=1, help="Survivors needed; by default derived.")] = None
    neighbours: Annotated[
        int | None,
        typer.Option(min=1, help="secagg-plus: neighbours of each participant; by default derived."),
    ] = None
    release_to: Annotated[Literal["server", "participants"], typer.Option(help="bfv, ckks: who gets the sum.")] = (
        "server"
    )
    raw_precision: Annotated[
        int, typer.Option(min=0, help="ckks: leave errors of up to so much in the sum, as others' CKKS does.")
    ] = 0
    ciphersuite: Annotated[Ciphersuite, typer.Option(help="Named set of algorithms.")] = "x25519"
    bits: Annotated[int, typer.Option(min=1, max=63, help="Bits of each value."), Called(("value_bits",))] = 16

    def protocol(self, under: UnderNoise) -> Scheme:
        """Make the scheme. Raises `typer.BadParameter` for an option that it does not have."""
        if self.scheme not in PROTECTING and self.adversary == "active":
            raise typer.BadParameter(
                f"the {self.scheme} scheme withstands no server; choose bonawitz",
                param_hint="--adversary",
            )
        if self.neighbours is not None and "neighbours" not in parameters_of(self.scheme):
            raise typer.BadParameter(f"{self.scheme} has no neighbours", param_hint="--neighbours")
        return make_scheme(
            self.scheme,
            self.clients,
            self.length,
            colluders=self.colluders,
            dropout_rate=self.drop,
            value_bits=self.bits,
            ciphersuite=self.ciphersuite,
            adversary=self.adversary,
            threshold=self.threshold,
            neighbours=self.neighbours,
            release_to=None if self.release_to == "server" else self.release_to,
            raw_precision=self.raw_precision,
            noise=under.asked(round(self.drop * self.clients), self.colluders),
        )


@dataclass(frozen=True, kw_only=True)
class Unmasking:
    """Where the server unmasks."""

    threads: Annotated[int, typer.Option(min=1, max=MOST_WORKERS, help="Threads that expand the server's masks.")] = 1
    processes: Annotated[
        int, typer.Option(min=1, max=MOST_WORKERS, help="Processes that do all of the server's unmasking.")
    ] = 1

    def __post_init__(self) -> None:
        if self.threads > 1 and self.processes > 1:
            raise typer.BadParameter("unmask in threads or in processes, not in both", param_hint="--processes")

    @property
    def parts(self) -> int:
        """How many parts of the work are done at once."""
        return max(self.threads, self.processes)

    @contextmanager
    def executor(self) -> Iterator[Executor | None]:
        """Yield what does it. Processes start at once, so that they are there when they are needed."""
        if self.processes > 1:
            with ProcessPoolExecutor(self.processes, mp_context=get_context("spawn")) as pool:
                for _ in range(self.processes):
                    pool.submit(_load)
                yield pool
        elif self.threads > 1:
            with ThreadPoolExecutor(self.threads) as threaded:
                yield threaded
        else:
            yield None


def _load() -> None:
    """Do nothing: a worker process that has been asked to has loaded this module."""


@dataclass(frozen=True, kw_only=True)
class Repeating:
    """What follows from a seed, and what is written down."""

    seed: Annotated[int, typer.Option(min=0, help="Seed of the vectors and of who drops out; not of the keys.")] = 0
    insecure_deterministic: Annotated[
        bool,
        typer.Option("--insecure-deterministic", help="Keys follow --seed too. Never with real data."),
    ] = False
    audit: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="A new folder: each party's signed log of the round, and their roster.",
        ),
    ] = None

    @property
    def randomness(self) -> Randomness:
        """The operating system's, unless the user gave that up."""
        return InsecureDeterministicRandomness(self.seed) if self.insecure_deterministic else SYSTEM

    def trails(self, cohort: Cohort) -> SimulatedTrails | None:
        """Return where each party writes down what it saw; None where nobody is to."""
        if self.audit is None:
            return None
        return SimulatedTrails(self.audit, cohort.clients, cohort.ciphersuite)

    @property
    def stamp(self) -> Stamp:
        """What is written down beside it."""
        return Stamp(now=datetime.now(UTC), insecure_deterministic=self.insecure_deterministic)


@with_options
def simulate(
    cohort: Cohort, under: UnderNoise, unmasking: Unmasking, repeating: Repeating, as_json: AsJson = False
) -> None:
    """Run one round in memory, compare its sum with the plain sum, and print what it cost."""
    protocol = cohort.protocol(under)
    check_fits(protocol)
    reserved = 2 * protocol.domain.noise_bound
    workload = Workload(repeating.seed, cohort.clients, cohort.length, cohort.bits, reserved)
    step = _step(protocol, cohort.drop_at)
    drop = dict.fromkeys(workload.dropouts(cohort.drop), step)
    if cohort.drop_at is not None and not drop:
        raise typer.BadParameter(
            f"nobody drops out: --drop {cohort.drop:g} of {cohort.clients} participants; use a larger --drop, or leave "
            "this out",
            param_hint="--drop-at",
        )
    run = _run(protocol, workload, drop, cohort, unmasking, repeating)
    error = workload.largest_difference(run.output)
    noise = NoiseFound.of(protocol, workload, run.output)
    exact = error <= cohort.raw_precision
    result = {
        **_what_was_run(protocol),
        "drop_at": step.value,
        "dropped": len(run.dropped),
        "survivors": len(run.survivors),
        "max_abs_error": error,
        "precision": cohort.raw_precision,
        "exact": exact,
        "noise": str(protocol.noise) if noise else None,
        "noise_ratio": noise.ratio if noise else None,
        **_what_it_cost(protocol, run, unmasking.processes),
        "threads": unmasking.threads,
        "processes": unmasking.processes,
        "seed": repeating.seed,
        "insecure_deterministic": repeating.insecure_deterministic,
    }
    verdict = _verdict(result) if noise is None else str(noise)
    _print_table(console(as_json), result, verdict)
    if as_json:
        print_json(result)
    if not (exact if noise is None else noise.right):
        wrong = f"is wrong by up to {error}" if noise is None else f"has {noise}"
        print(f"secagg: the sum {wrong}", file=sys.stderr)
        raise typer.Exit(1)


def _run(
    protocol: Scheme,
    workload: Workload,
    drop: Mapping[int, Step],
    cohort: Cohort,
    unmasking: Unmasking,
    repeating: Repeating,
) -> secagg.Run:
    """Run the round; where logs are kept, write down what came of it, a failure too.

    Its machines are no part of what is measured next, and end here.
    """
    trails = repeating.trails(cohort)
    with unmasking.executor() as executor, progress_bar() as progress:
        simulation = secagg.Simulation(
            protocol,
            workload.vector,
            drop=drop,
            policy=Policy(colluders=cohort.colluders, adversary=cohort.adversary),
            randomness=repeating.randomness,
            executor=executor,
            parts=unmasking.parts,
            progress=progress,
        )
        try:
            return simulation.run()
        finally:
            if trails is not None:
                trails.write(simulation, repeating.stamp)


def _step(scheme: Scheme, name: str | None) -> Step:
    """Return the step of `scheme` called `name`; without a name, the one that carries the input."""
    if name is None:
        return scheme.upload_step
    for step in scheme.steps:
        if step.value.lower() == name.lower():
            return step
    known = ", ".join(step.value for step in scheme.steps)
    raise typer.BadParameter(f"{scheme.name} has no step {name!r}; its steps are {known}", param_hint="--drop-at")


def _what_was_run(scheme: Scheme) -> dict[str, Any]:
    return {
        "scheme": scheme.name,
        "scheme_id": scheme.id.hex(),
        "adversary": str(scheme.guarantee.adversary or "none"),
        "clients": scheme.participants,
        "length": scheme.length,
        "bits": scheme.value_bits,
        "threshold": scheme.quorum,
    }


def _what_it_cost(scheme: Scheme, run: secagg.Run, processes: int) -> dict[str, Any]:
    """The run's times and bytes, beside the time of the raw cryptography that it cannot avoid."""
    client_ms = _with_total(run.client_ms)
    server_ms = _with_total(run.server_ms)
    limit = limits(scheme, run)
    return {
        "client_ms": client_ms,
        "server_ms": server_ms,
        "server_wall_s": run.server_wall_s,
        "upload_bytes": fmean(run.bytes_sent[participant] for participant in run.survivors),
        "download_bytes": fmean(run.bytes_received.get(participant, 0) for participant in run.survivors),
        "peak_rss_mb": _peak_rss_mb(),
        "limit_ms": {"client": limit.client_ms, "server": limit.server_ms},
        "ratio": {
            "client": _ratio(client_ms["total"], limit.client_ms),
            # The work of other processes is not in this one's CPU time.
            "server": None if processes > 1 else _ratio(server_ms["total"], limit.server_ms),
        },
    }


def _with_total(step_ms: Mapping[Any, float]) -> dict[str, float]:
    """Name the steps as they are on the wire, and add their `total`."""
    named = {getattr(step, "value", step): ms for step, ms in step_ms.items()}
    return named | {"total": sum(named.values())}


def _ratio(measured_ms: float, limit_ms: float) -> float | None:
    return measured_ms / limit_ms if limit_ms else None


def _peak_rss_mb() -> float:
    """The largest memory this process has held so far, in units of 10**6 bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _verdict(result: Mapping[str, Any]) -> str:
    """Say whether a sum without noise is right."""
    if not result["exact"]:
        return f"WRONG by up to {result['max_abs_error']}"
    if result["precision"]:
        return f"off by at most {result['max_abs_error']} (raw_precision={result['precision']})"
    return "exact"


def _print_table(target: Console, result: Mapping[str, Any], verdict: str) -> None:
    """Show a person what was run, whether it is right, and what it cost."""
    table = Table(title=f"{result['scheme']} ({result['adversary']}), {result['clients']} clients × {result['length']}")
    table.add_column("CPU ms")
    table.add_column("one client", justify="right")
    table.add_column("server", justify="right")
    client_ms = result["client_ms"]
    server_ms = result["server_ms"]
    for step in dict.fromkeys([*client_ms, *server_ms]):
        if step != "total":
            table.add_row(step, _ms(client_ms.get(step)), _ms(server_ms.get(step)))
    table.add_section()
    table.add_row("total", _ms(client_ms["total"]), _ms(server_ms["total"]))
    limit_ms = result["limit_ms"]
    table.add_row("raw cryptography alone", _ms(limit_ms["client"] or None), _ms(limit_ms["server"] or None))
    table.add_row("ratio", _times(result["ratio"]["client"]), _times(result["ratio"]["server"]))
    target.print(table)
    dropped = f", {result['dropped']} dropped out at {result['drop_at']}" if result["dropped"] else ""
    target.print(f"{result['survivors']} participants in the sum{dropped}; sum: {verdict}", soft_wrap=True)
    up = readable_bytes(result["upload_bytes"])
    down = readable_bytes(result["download_bytes"])
    memory = readable_bytes(result["peak_rss_mb"] * 1e6)
    target.print(
        f"each client sent {up} and received {down}; peak memory of the whole simulation {memory}", soft_wrap=True
    )
    if result["insecure_deterministic"]:
        target.print("The keys followed the seed: whoever knows it can open every input of this round.", soft_wrap=True)


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f}"


def _times(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} ×"
