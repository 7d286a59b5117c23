"""`python -m secagg_bench [--full] [--json]`: the cost of a secure sum beside its raw cryptography."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from .overhead import FULL, QUICK, Cost, measure_all


def main() -> None:
    """Measure, show progress on stderr, print a table (or one JSON object) on stdout."""
    parser = argparse.ArgumentParser(prog="python -m secagg_bench", description=__doc__)
    parser.add_argument("--full", action="store_true", help="also 1000 clients (about half an hour)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args()
    cases = FULL if options.full else QUICK
    costs = []
    # No refreshing thread: its CPU time would be measured too.
    with Progress(console=Console(stderr=True), auto_refresh=False) as progress:
        task = progress.add_task("rounds", total=len(cases))
        for cost in measure_all(cases):
            costs.append(cost)
            progress.update(task, advance=1, refresh=True)
    if options.json:
        print(json.dumps({"overhead": [asdict(cost) for cost in costs]}))
    else:
        Console().print(_table(costs))


def _table(costs: list[Cost]) -> Table:
    table = Table(title="Bonawitz: CPU ÷ raw keystream, agreements and (active) signatures; upload ÷ plain float32")
    for heading in (
        "adversary",
        "clients",
        "length",
        "dropped",
        "client ms",
        "÷ raw",
        "server ms",
        "÷ raw",
        "÷ float32",
    ):
        table.add_column(heading, justify="left" if heading == "adversary" else "right")
    for cost in costs:
        case = cost.case
        table.add_row(
            case.adversary,
            f"{case.clients}",
            f"{case.length:,}",
            f"{case.drop:.0%}",
            f"{cost.client_ms:.1f}",
            f"{cost.client_ratio:.2f}",
            f"{cost.server_ms:.1f}",
            f"{cost.server_ratio:.2f}",
            f"{cost.upload_bytes / (4 * case.length):.2f}",
        )
    return table


if __name__ == "__main__":
    main()
