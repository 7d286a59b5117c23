"""`secagg schemes`: who learns what, under each scheme. The README's table is this command's."""

from typing import Annotated

import typer
from rich.table import Table

from secagg.cli.output import AsJson, console, print_json
from secagg_he import Bfv, Ckks, ThresholdCkks
from secagg_protocols import Bonawitz, LightSecAgg, Plain, SecAggPlus
from secagg_protocols.scheme import Adversary, Scheme

EXAMPLES: tuple[Scheme, ...] = (
    Plain(10, 1),
    Bonawitz(10, 1, colluders=2),
    Bonawitz(10, 1, colluders=2, adversary=Adversary.ACTIVE),
    SecAggPlus(1000, 1),
    LightSecAgg(10, 1, colluders=2),
    ThresholdCkks(10, 1, colluders=2),
    ThresholdCkks(10, 1, colluders=2, adversary=Adversary.ACTIVE),
    Bfv(10, 1),
    Ckks(10, 1),
)


def schemes(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print who learns what: ten participants of whom two may collude (secagg-plus: a thousand, fifty)."""
    if as_json:
        print_json({"schemes": [_fields(scheme) for scheme in EXAMPLES]})
        return
    if markdown:
        print(leakage_table())
        return
    table = Table("scheme", "server", "who", "learns", show_lines=True)
    for scheme in EXAMPLES:
        for who, what in scheme.leakage:
            table.add_row(scheme.name, str(scheme.adversary), who, what)
    console(as_json).print(table)


def leakage_table() -> str:
    """Return the table as Markdown, one row for each party of each scheme."""
    rows = ["| scheme | server | who | learns |", "|---|---|---|---|"]
    for scheme in EXAMPLES:
        rows += [f"| `{scheme.name}` | {scheme.adversary} | {who} | {what} |" for who, what in scheme.leakage]
    return "\n".join(rows)


def _fields(scheme: Scheme) -> dict[str, object]:
    return {
        "scheme": scheme.name,
        "adversary": str(scheme.adversary),
        "participants": scheme.participants,
        "threshold": scheme.quorum,
        "steps": [str(step) for step in scheme.steps],
        "leakage": [{"who": who, "learns": what} for who, what in scheme.leakage],
    }
