"""The server's knobs, from Python or from `[tool.flwr.app.config]`: a round's, and what is Flower's own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from secagg import round as rounds
from secagg_protocols import ParameterError

from .encoding import RunConfig


@dataclass(frozen=True, kw_only=True)
class Settings(rounds.Settings):
    """What the server decides. The participants' own floors (`secagg.round.policy`) stand above all of it.

    stage_timeout: seconds that each step without training may take. run_config: `context.run_config`, bound, so that it
    is the same at every node; None: what Flower says of the run. on_failure: what `start` does where training stopped
    or no round gave a model: raise or return.
    """

    stage_timeout: float = 120.0
    run_config: RunConfig | None = None
    on_failure: str = "raise"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_seconds("stage_timeout")
        if self.on_failure not in ("raise", "return"):
            raise ParameterError(f"on_failure={self.on_failure!r} is unknown; choose from raise, return")
        if self.roster is not None:
            self.roster.check_valid_at(datetime.now(UTC))
        self.check_released_to_server("a Flower strategy")
