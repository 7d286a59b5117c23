"""What every contestant is given, and what it reports."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg.cli.memory import least_bytes, refuse_beyond
from secagg.codec import Layout, MeanCodec

CLIP = 8.0  # Flower's default range; ours is set to it, at the same number of levels
WEIGHT_MAX = 1000
NAME = "update"  # the one array of an update


@dataclass(frozen=True, slots=True)
class Task:
    """One round: the weighted mean of `clients` updates of `length` float32; 1 … `dropped` drop out before uploading.

    neighbours: clients − 1 is the complete graph. threshold: of the shares of a secret; 0: derived. Both are for the
    protocols that have them. value_bits: precision of a coordinate, for all that quantise. scheme: ours, by its name.
    seed: of updates and weights.
    losses: step of that scheme → how many drop out before its message, the first `dropped` of them before they upload;
    empty: all of them before they upload.
    """

    clients: int
    length: int
    dropped: int
    neighbours: int
    threshold: int
    value_bits: int = 22
    scheme: str = "bonawitz"
    losses: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0

    def check_fits(self) -> None:
        """Raise `ParameterError` for a round that no contestant could have the memory for."""
        refuse_beyond(least_bytes(self.clients, self.length, self.value_bits), self.clients, self.length)

    @property
    def dropouts(self) -> range:
        """Ids of those that drop out."""
        return range(1, self.dropped + 1)

    @property
    def survivors(self) -> range:
        """Ids of those that stay."""
        return range(self.dropped + 1, self.clients + 1)

    def update(self, participant: int) -> NDArray[np.float32]:
        """Return the same update for the same participant, every time; shape (length,)."""
        return np.random.default_rng([0, participant, self.seed]).normal(0, 0.05, self.length).astype(np.float32)

    def weight(self, participant: int) -> int:
        """Return its number of examples, 100 … 1000."""
        return int(np.random.default_rng([1, participant, self.seed]).integers(100, WEIGHT_MAX + 1))

    def codec(self) -> MeanCodec:
        """Return the encoding for ours and for the naive baseline."""
        layout = Layout.of({NAME: np.zeros(self.length, np.float32)})
        return MeanCodec(layout, clip=CLIP, value_bits=self.value_bits, weight_max=WEIGHT_MAX)

    def mean_of(self, total: NDArray[np.integer[Any]]) -> NDArray[np.floating]:
        """Return the weighted mean that a sum of the survivors' encodings carries; shape (length,)."""
        arrays = self.codec().decode(total, len(self.survivors)).arrays
        assert isinstance(arrays, dict)  # the codec's layout has names
        return arrays[NAME]

    def error_of(self, mean: NDArray[np.floating]) -> float:
        """Return max |mean − exact weighted mean of the survivors|. Raises ArithmeticError beyond two rounding steps.

        Two, because those that round deterministically, or in floating point, round elsewhere than the codec does.
        """
        exact = np.zeros(self.length)
        weights = 0
        for participant in self.survivors:
            exact += self.weight(participant) * self.update(participant).astype(np.float64)
            weights += self.weight(participant)
        error = float(np.abs(mean - exact / weights).max())
        allowed = 2 * self.codec().error_bound(len(self.survivors), weights)
        if not error <= allowed:
            raise ArithmeticError(f"the mean is wrong by {error:.2e}; {allowed:.2e} would be rounding")
        return error


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU milliseconds of one surviving client (mean) and of the server, and bytes that such a client sends.

    encrypt_ms: the part of a client's time from the update to the message that carries it. download_bytes: what such a
    client receives. sent_by_step, received_by_step: of ours only, as in `secagg.Run`. client_wire_ms, server_wire_ms:
    the part of those times that turns messages into bytes and back, where it was measured apart. max_abs_error: of the
    mean, against float64. rounds: how many the figures are the medians of.
    """

    version: str
    client_ms: float
    server_ms: float
    upload_bytes: float
    max_abs_error: float
    client_wire_ms: float | None = None
    server_wire_ms: float | None = None
    rounds: int = 1
    encrypt_ms: float | None = None
    download_bytes: float | None = None
    sent_by_step: Mapping[str, float] = field(default_factory=dict)
    received_by_step: Mapping[str, float] = field(default_factory=dict)


class CpuClock:
    """CPU milliseconds of this process (all threads), by what they were spent on."""

    def __init__(self) -> None:
        self.ms: dict[str, float] = defaultdict(float)

    @contextmanager
    def spent_on(self, *what: str) -> Iterator[None]:
        before = time.process_time()
        try:
            yield
        finally:
            spent = 1e3 * (time.process_time() - before)
            for name in what:
                self.ms[name] += spent
