"""What the coordinator's owner decides of the service: where it listens, and when a step is closed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from secagg.train.setting import AtLeast, AtMost, Option, Positive, check


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where the coordinator listens, and whom it shows how far it has come."""

    host: Annotated[str, Option("Address to listen on; 127.0.0.1 for this machine alone.")] = "0.0.0.0"
    port: Annotated[int, AtLeast(0), AtMost(65_535), Option("Port to listen on; 0 for any that is free.")] = 8443
    show_status: Annotated[bool, Option("Show the status page and the metrics to other machines, too.")] = False

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class Deadlines:
    """When a step is closed though not all have answered."""

    step_timeout: Annotated[
        float, Positive(), Option("Seconds after which a step is closed with whoever has answered.")
    ] = 86_400.0
    grace: Annotated[
        float, Positive(), Option("Seconds that the first sum waits for the others once enough have answered.")
    ] = 600.0

    def __post_init__(self) -> None:
        check(self)
