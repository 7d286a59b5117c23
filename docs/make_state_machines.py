"""Writes docs/state-machines.md from the transition tables themselves: `python docs/make_state_machines.py`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from secagg_he import Bfv, ThresholdCkks
from secagg_he.single_key import client as single_key
from secagg_he.threshold import server as threshold
from secagg_protocols import Bonawitz, LightSecAgg, Plain, SecAggPlus
from secagg_protocols.core.machine import Transitions
from secagg_protocols.core.server import server_transitions
from secagg_protocols.dealing import client as dealing
from secagg_protocols.plain import client as plain
from secagg_protocols.secaggplus import client as secaggplus

PAGE = Path(__file__).parent / "state-machines.md"

CLIENTS: Mapping[str, Transitions] = {
    "Plain": plain.TRANSITIONS,
    "Bonawitz and ThresholdCkks, semi-honest, and LightSecAgg": dealing.SEMI_HONEST,
    "Bonawitz and ThresholdCkks, active": dealing.ACTIVE,
    "SecAggPlus": secaggplus.TRANSITIONS,
    "Bfv and Ckks": single_key.TRANSITIONS,
}
SERVERS: Mapping[str, Transitions] = {
    "Plain": server_transitions(Plain(2, 1).steps),
    "Bonawitz, semi-honest, and SecAggPlus": server_transitions(Bonawitz(2, 1).steps),
    "Bonawitz, active": server_transitions(Bonawitz(2, 1, adversary="active").steps),
    "LightSecAgg": server_transitions(LightSecAgg(3, 1).steps),
    "ThresholdCkks, semi-honest": threshold.transitions(ThresholdCkks(2, 1).steps),
    "ThresholdCkks, active": threshold.transitions(ThresholdCkks(2, 1, adversary="active").steps),
    "Bfv and Ckks": server_transitions(Bfv(2, 1).steps),
}
assert SecAggPlus(1000, 1).steps == Bonawitz(2, 1).steps

INTRODUCTION = """# State machines

Drawn from the tables in the code by `docs/make_state_machines.py`; a test holds that they agree. A pair of state and
event that has no arrow raises and changes nothing. Besides, invalid content takes a client to Aborted, and too few
answers take a server there.

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


def page() -> str:
    """Return the whole page."""
    parts = [INTRODUCTION]
    for title, tables in (("Participants", CLIENTS), ("Servers", SERVERS)):
        parts.append(f"## {title}\n")
        parts += [f"### {name}\n\n{diagram(table)}\n" for name, table in tables.items()]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
