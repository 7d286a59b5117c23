"""`secagg schemes`: who learns what, under each scheme. The tables in the README and docs/leakage.md are its own."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from secagg.cli.output import AsJson, console, print_json
from secagg.schemes import SCHEMES
from secagg_protocols import Keys, Scheme

_KEYS = {
    Keys.NONE: "none",
    Keys.OWN: "its own, for one round",
    Keys.GROUP: "one that all participants hold, for many rounds",
}


def schemes(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print one row per scheme, as Markdown.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="With --markdown: one row for each party.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print who learns what: ten participants of whom two may collude (secagg-plus: a thousand, fifty)."""
    if as_json:
        print_json({"schemes": [_fields(scheme) for scheme in examples()]})
        return
    if markdown:
        print(leakage_table() if everything else guarantee_table())
        return
    table = Table("scheme", "server", "who", "learns", show_lines=True)
    for scheme in examples():
        for who, what in scheme.leakage:
            table.add_row(scheme.name, _withstood(scheme), who, what)
    console(as_json).print(table)


def examples() -> tuple[Scheme, ...]:
    """Return every registered scheme, once for each server that it can be made for."""
    return tuple(example for kind in SCHEMES.values() for example in kind.examples())


def guarantee_table() -> str:
    """Return what each scheme promises, as Markdown: one row per scheme, with all servers that it can be made for."""
    rows = [
        "| scheme | server withstood | with up to | who opens one vector | who learns the sum | keys that hide it |",
        "|---|---|---|---|---|---|",
    ]
    for name, kind in SCHEMES.items():
        made = kind.examples()
        opened = [made[0].guarantee.opened] + [f"{_withstood(one)}: {one.guarantee.opened}" for one in made[1:]]
        cells = (
            f"`{name}`",
            " or ".join(map(_withstood, made)),
            "; ".join(dict.fromkeys(map(_helpers, made))),
            "; ".join(opened),
            "; ".join(dict.fromkeys(one.guarantee.sum_known_to for one in made)),
            _KEYS[kind.traits.keys],
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def leakage_table() -> str:
    """Return the table as Markdown, one row for each party of each scheme."""
    rows = ["| scheme | server | who | learns |", "|---|---|---|---|"]
    for scheme in examples():
        rows += [f"| `{scheme.name}` | {_withstood(scheme)} | {who} | {what} |" for who, what in scheme.leakage]
    return "\n".join(rows)


def _helpers(scheme: Scheme) -> str:
    """Return how many participants may help that server."""
    said = scheme.guarantee
    if said.adversary is None:
        return "–"
    chance = "" if said.statistical_bits is None else f" (but for a chance of 2^-{said.statistical_bits})"
    return f"{said.colluders} colluders{chance}"


def _withstood(scheme: Scheme) -> str:
    """Return which server it withstands: what it guarantees, and not what it was made with."""
    return str(scheme.guarantee.adversary or "none")


def _fields(scheme: Scheme) -> dict[str, object]:
    return {
        "scheme": scheme.name,
        "adversary": str(scheme.adversary),
        "participants": scheme.participants,
        "threshold": scheme.quorum,
        "protects": scheme.traits.protects,
        "guarantee": asdict(scheme.guarantee),
        "keys": str(scheme.traits.keys),
        "early_keys": scheme.traits.early_keys,
        "opens": sorted(scheme.traits.opens),
        "steps": [str(step) for step in scheme.steps],
        "leakage": [{"who": who, "learns": what} for who, what in scheme.leakage],
    }
