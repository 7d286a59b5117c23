"""What a simulated round costs: CPU time of each kind of party, and bytes each way, per step."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import fmean

from secagg_protocols import Step


@dataclass
class Meter:
    """CPU time of one kind of party, per step; and its elapsed time, `wall`, in seconds."""

    seconds: dict[Step, float] = field(default_factory=lambda: defaultdict(float))
    parties: dict[Step, set[int]] = field(default_factory=lambda: defaultdict(set))
    wall: float = 0.0

    @contextmanager
    def during(self, step: Step, party: int) -> Iterator[None]:
        """Count what happens inside as this party's, in this step."""
        wall = time.perf_counter()
        cpu = time.process_time()
        try:
            yield
        finally:
            self.seconds[step] += time.process_time() - cpu
            self.wall += time.perf_counter() - wall
            self.parties[step].add(party)

    def means_ms(self) -> dict[Step, float]:
        """Return the mean over the parties that did each step, in milliseconds."""
        return {step: 1e3 * total / len(self.parties[step]) for step, total in self.seconds.items()}


class Traffic:
    """Bytes of encoded envelopes in one direction, per step and participant."""

    def __init__(self) -> None:
        self._count: dict[Step, dict[int, int]] = defaultdict(lambda: defaultdict(int))

    def add(self, step: Step, participant: int, count: int) -> None:
        """Count one envelope."""
        self._count[step][participant] += count

    def totals(self) -> dict[int, int]:
        """Return the bytes of each participant in the whole round."""
        totals: dict[int, int] = defaultdict(int)
        for counts in self._count.values():
            for participant, count in counts.items():
                totals[participant] += count
        return dict(totals)

    def means(self) -> dict[Step, float]:
        """Return the mean of each step over those who had any."""
        return {step: fmean(counts.values()) for step, counts in self._count.items()}


@dataclass
class Measures:
    """All that is measured of one round. sent, received: by participants."""

    server: Meter = field(default_factory=Meter)
    clients: Meter = field(default_factory=Meter)
    sent: Traffic = field(default_factory=Traffic)
    received: Traffic = field(default_factory=Traffic)
