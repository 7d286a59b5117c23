"""What is reported of a simulated round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg_protocols import Correction, Dropout, Output, RoundFailed, SecAggError, Step


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message or call that a party refused. party: its id, 0 the server. error: what it raised."""

    party: int
    step: Step
    error: SecAggError

    def __str__(self) -> str:
        return f"{self.party} at {self.step}: {self.error}"


@dataclass
class Run:
    """What happened in one round. Mappings are by participant id, or by step; times are CPU milliseconds.

    output: the sum and whose it is (what the participants hold, where they keep it from the server). dropped: who did
    not finish (a participant that vanishes after its masked input is in both). answered: who completed each step.
    bytes_sent, bytes_received: encoded envelopes. sent_by_step, received_by_step: the same, mean over those who sent or
    received any in the step; what is received in a step is what the server asks it with. client_ms: mean over those who
    did the step. server_wall_s: the server's elapsed seconds. failure: why there is no sum (from `Simulation.result`
    only; `total` is then empty, and so is `survivors`).
    """

    output: Output
    dropped: Mapping[int, Dropout]
    corrections: tuple[Correction, ...]
    refusals: tuple[Refusal, ...]
    answered: Mapping[Step, tuple[int, ...]]
    bytes_sent: Mapping[int, int]
    bytes_received: Mapping[int, int]
    sent_by_step: Mapping[Step, float]
    received_by_step: Mapping[Step, float]
    client_ms: Mapping[Step, float]
    server_ms: Mapping[Step, float]
    server_wall_s: float
    failure: RoundFailed | None = None

    @property
    def total(self) -> NDArray[np.integer[Any]]:
        """The sum over the survivors: uint64 (with noise in it, int64), shape (length,)."""
        return self.output.total

    @property
    def survivors(self) -> tuple[int, ...]:
        """Whose vectors are in the sum, ascending."""
        return self.output.survivors

    @property
    def refused(self) -> tuple[Refusal, ...]:
        """What was refused, as `secagg.round.Outcome` calls it."""
        return self.refusals
