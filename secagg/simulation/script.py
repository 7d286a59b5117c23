"""Who departs from the protocol in a simulated round: who vanishes, and who sends something else than its machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from secagg.round.driven import InMemory
from secagg_protocols import SERVER, Client, Envelope, ParameterError, Scheme, Server, Step

from .measures import Meter

Misbehaviour: TypeAlias = Callable[[Client | Server, list[Envelope]], list[Envelope]]
"""(a party's machine, the envelopes that it would send) → those that are sent instead."""


@dataclass(frozen=True)
class Script:
    """drop: participant → the step before whose message it vanishes. misbehave: party → what it sends instead."""

    scheme: Scheme
    drop: Mapping[int, Step]
    misbehave: Mapping[int, Misbehaviour]

    @classmethod
    def of(cls, scheme: Scheme, drop: Mapping[int, Step | str], misbehave: Mapping[int, Misbehaviour]) -> Script:
        """Read who vanishes where. Raises `ParameterError` for a participant or a step that is not there."""
        if not isinstance(drop, Mapping):
            raise ParameterError(
                f"drop={drop!r} is a {type(drop).__name__}: give participant → step, {{3: 'MaskedInput'}}"
            )
        checked = {}
        for participant, name in drop.items():
            if not 1 <= participant <= scheme.participants:
                raise ParameterError(f"drop: participant {participant} is not between 1 and {scheme.participants}")
            if name not in [step.value for step in scheme.steps]:
                steps = ", ".join(step.value for step in scheme.steps)
                raise ParameterError(f"drop: {name!r} is no step of {scheme.name}; its steps are {steps}")
            checked[participant] = Step(name)
        return cls(scheme, checked, misbehave)

    def is_there(self, participant: int, step: Step) -> bool:
        """Whether a participant has not vanished before this step's message."""
        vanishes = self.drop.get(participant)
        return vanishes is None or self.scheme.steps.index(step) < self.scheme.steps.index(vanishes)

    def sent(self, machine: Client | Server, envelopes: list[Envelope]) -> list[Envelope]:
        """Return what a party sends, when its machine would send these envelopes."""
        instead = self.misbehave.get(machine.me)
        return envelopes if instead is None else instead(machine, envelopes)


class ScriptedServer(InMemory):
    """A server's machine that may send something else, and whose own work is measured."""

    def __init__(self, machine: Server, script: Script, meter: Meter) -> None:
        super().__init__(machine)
        self._script = script
        self._meter = meter

    def start(self) -> list[Envelope]:
        """Begin; return what goes out."""
        with self._meter.during(self.machine.scheme.steps[0], SERVER):
            outgoing = super().start()
        return self._script.sent(self.machine, outgoing)

    def advance(self) -> list[Envelope]:
        """Close the open step; return what goes out next."""
        with self._meter.during(self.machine.step, SERVER):
            outgoing = super().advance()
        return self._script.sent(self.machine, outgoing)
