"""Writes docs/state-machines.md from the transition tables themselves: `python docs/make_state_machines.py`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from secagg_he import Bfv, ThresholdCkks
from secagg_protocols import Bonawitz, LightSecAgg, Plain, SecAggPlus
from secagg_protocols.core.exchange import Exchange
from secagg_protocols.core.machine import Transitions

PAGE = Path(__file__).parent / "state-machines.md"

EXCHANGES: Mapping[str, Exchange] = {
    "Plain": Plain.exchange,
    "Bonawitz": Bonawitz.exchange,
    "SecAggPlus": SecAggPlus.exchange,
    "LightSecAgg": LightSecAgg.exchange,
    "ThresholdCkks": ThresholdCkks.exchange,
    "Bfv and Ckks": Bfv.exchange,
}
"""Each with all its steps: those against an active server are marked."""


def machines() -> dict[str, Exchange]:
    """Return the tables that machines follow: one for each server that a scheme is made for."""
    found: dict[str, Exchange] = {}
    for name, exchange in EXCHANGES.items():
        passive = exchange.against("semi-honest")
        if passive == exchange:
            found[name] = exchange
        else:
            found |= {f"{name}, semi-honest": passive, f"{name}, active": exchange.against("active")}
    return found


INTRODUCTION = """# State machines

Drawn from the tables in the code (`exchange`) by `docs/make_state_machines.py`; a test holds that they agree. A pair of
state and event that has no arrow raises and changes nothing. Besides, invalid content takes a client to Aborted, and
too few answers take a server there.

Besides, there is `Abort`, in both directions and in every scheme. From the server it takes a client to Aborted from any
state but Done; from a participant it makes the server count that one as gone, with the reason, and leaves the
server's state as it is. `client.abort(error)` and `server.aborts()` make it; whether it is sent is the driver's
choice. A call that is made while another one runs on the same machine raises and changes nothing.
"""


def diagram(table: Transitions) -> str:
    """Return one table as a Mermaid state diagram."""
    names = {state.value: f"s{number}" for number, state in enumerate(dict.fromkeys(state for state, _ in table))}
    for state in table.values():
        names.setdefault(state.value, f"s{len(names)}")
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [f'    state "{value}" as {name}' for value, name in names.items()]
    lines.append("    [*] --> s0")
    lines += [f"    {names[state.value]} --> {names[to.value]}: {event}" for (state, event), to in table.items()]
    return "\n".join([*lines, "```"])


def _shared(tables: Mapping[str, Transitions]) -> list[tuple[str, Transitions]]:
    """Return each table once, with the names of all that follow it."""
    names: dict[tuple[object, ...], list[str]] = {}
    for name, table in tables.items():
        names.setdefault(tuple(table.items()), []).append(name)
    return [("; ".join(some), dict(key)) for key, some in names.items()]  # type: ignore[arg-type]


def page() -> str:
    """Return the whole page."""
    parts = [INTRODUCTION, "## Messages\n"]
    parts += [f"### {name}\n\n{exchange.as_markdown()}\n" for name, exchange in EXCHANGES.items()]
    for title, tables in (
        ("Participants", {name: table.participant_transitions for name, table in machines().items()}),
        ("Servers", {name: table.server_transitions for name, table in machines().items()}),
    ):
        parts.append(f"## {title}\n")
        parts += [f"### {names}\n\n{diagram(table)}\n" for names, table in _shared(tables)]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
