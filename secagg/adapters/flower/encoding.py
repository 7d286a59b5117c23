"""What a train message is about: its model, and the digest of all that a trainer sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from flwr.app import RecordDict
from flwr.common.config import get_fused_config
from flwr.serverapp import Grid
from numpy.typing import NDArray

from secagg.round import received_digest
from secagg.round.updates import check_numbers
from secagg_protocols import InputError

from .records import arrays_in, sole

RunConfig: TypeAlias = Mapping[str, bool | float | int | str]

RUN_CONFIG = "run-config"
"""What is bound where the trainer gets the run's configuration: a SuperLink could hand another one to every node."""
ROUND_KEY = "server-round"
"""Flower's strategies put the round's number into the configuration. It is bound beside the digest, not in it."""


def run_config_of(grid: Grid) -> RunConfig | None:
    """Server: the configuration that nodes get for this run, as Flower tells it; None where it does not."""
    run = getattr(grid, "run", None)
    return None if run is None else get_fused_config(run) or None


@dataclass(frozen=True)
class Task:
    """What a trainer is sent. kind: the message's type, which picks the function that trains. name, order: the
    record of the arrays, and how they stand in it, since trainers go by it. run_config: None where it gets none."""

    content: RecordDict
    kind: str
    name: str
    order: list[str]
    arrays: dict[str, NDArray[Any]]
    run_config: RunConfig | None

    @classmethod
    def of(cls, content: RecordDict, kind: str, run_config: RunConfig | None = None) -> Task:
        """Read a message's content, without ours. Raises `InputError`."""
        name, record = sole(content.array_records, "ArrayRecord")
        arrays = arrays_in(record)
        check_numbers(arrays)
        return cls(content, kind, name, list(record), arrays, run_config)

    @cached_property
    def digest(self) -> bytes:
        """What was received (`secagg.round.received_digest`): model and configuration, but for the round's number."""
        configs = {
            name: {key: None if key == ROUND_KEY else value for key, value in record.items()}
            for name, record in self.content.config_records.items()
        }
        metrics = {name: dict(record) for name, record in self.content.metric_records.items()}
        run_config = None if self.run_config is None else dict(self.run_config)
        return received_digest(self.arrays, self.kind, [self.name, self.order, run_config, configs, metrics])

    def check_round(self, expected: int) -> None:
        """Raise `InputError` where the configuration gives the round another number than the proposal does."""
        for name, record in self.content.config_records.items():
            said = record.get(ROUND_KEY, expected)
            if type(said) is not int or said != expected:
                raise InputError(f"{name!r} says {ROUND_KEY}={record[ROUND_KEY]}, the proposal says {expected}")
