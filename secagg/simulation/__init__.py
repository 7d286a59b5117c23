"""A whole round in one process: the real machines, real bytes between them, anyone may vanish or cheat.

The round is `secagg.round.Round`, as in every runtime; here the transport is a function call.
"""

from .driver import Simulation, simulate
from .parties import Inputs, Options, Progress, Vector
from .run import Refusal, Run
from .script import Misbehaviour

__all__ = [
    "Inputs",
    "Misbehaviour",
    "Options",
    "Progress",
    "Refusal",
    "Run",
    "Simulation",
    "Vector",
    "simulate",
]
