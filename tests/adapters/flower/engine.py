"""Flower's own programs as child processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

APP = Path(__file__).parent / "app"


@contextmanager
def engine(programs: ModuleType, home: Path) -> Iterator[object]:
    """Yield Flower's programs, with this folder as FLWR_HOME; end all of them."""

    class Engine(programs.Programs):
        def run_app(
            self, limit: float, *arguments: str, app: Path = APP, while_running: Callable[[], None] = lambda: None
        ) -> str:
            """Run an app to its end and return its log. `flwr run` says 0 even where a ServerApp crashed."""
            child = self.start("run", "flwr", "run", str(app), "--stream", *arguments)
            return self.finish("run", child, limit, while_running)

        def simulate(self, nodes: int, *arguments: str, app: Path = APP) -> str:
            """Run an app in the simulation engine. One of Ray's workers runs all nodes in turn: each takes seconds to
            start."""
            around = f"num-supernodes={nodes} client-resources-num-cpus=1 init-args-num-cpus=1"
            return self.run_app(180, "--federation-config", around, *arguments, app=app)

    settings = {
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
        "FLWR_LOCAL_SUPERLINK_HTTP_API_PORT": str(programs.free_port()),
        "FLWR_LOCAL_CONTROL_API_PORT": str(programs.free_port()),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    held = Engine(home, "FLWR_HOME", settings)
    try:
        yield held
    finally:
        held.stop()
