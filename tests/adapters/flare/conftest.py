"""NVIDIA FLARE's own programs, each test with a home and a workspace of its own; all are ended by pid."""

from __future__ import annotations

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

pytest.importorskip("nvflare", reason="NVIDIA FLARE is not installed: pip install -c constraints.txt -e '.[flare]'")

HERE = Path(__file__).parent


def make_engine(programs, home: Path):
    """FLARE's programs with this folder as HOME; `run` runs a script with this Python."""

    class Engine(programs.Programs):
        def __init__(self) -> None:
            settings = {"HOME": str(home), "NVFLARE_POC_WORKSPACE": str(home / "poc"), "CUDA_VISIBLE_DEVICES": ""}
            super().__init__(home, "SECAGG_FLARE_TESTS", settings)

        def run(
            self, limit: float, script: Path, *arguments: object, name: str = "run", folder: Path | None = None
        ) -> str:
            """Run a script to its end; return its log. arguments: as JSON, where they are no texts."""
            said = [one if isinstance(one, str) else json.dumps(one) for one in arguments]
            child = self.start(name, sys.executable, str(script), *said, folder=folder)
            log = self.finish(name, child, limit)
            assert child.returncode == 0, log[-6000:]
            return log

    return Engine()


@pytest.fixture
def flare_engine(tmp_path, programs_module):
    """FLARE's programs, with a home under tmp_path; all that was started has ended when the test has."""
    held = make_engine(programs_module, tmp_path / "flare-home")
    try:
        yield held
    finally:
        held.stop()


@pytest.fixture(scope="module")
def shared_flare_engine(tmp_path_factory, programs_module):
    """The same for all tests of a module."""
    held = make_engine(programs_module, tmp_path_factory.mktemp("flare") / "home")
    try:
        yield held
    finally:
        held.stop()


def _neighbour(name: str):
    """Load a module beside this file: pytest imports tests by path, not as a package."""
    spec = spec_from_file_location(name, HERE / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def poc_module():
    """`poc.py`: a deployment."""
    return _neighbour("poc")


@pytest.fixture
def memory():
    """`memory.py`: sites in memory. FLARE's services of a process are as they were, afterwards."""
    from nvflare.fuel.sec.audit import AuditService
    from nvflare.private.privacy_manager import PrivacyService

    before = AuditService.the_auditor, PrivacyService.manager
    yield _neighbour("memory")
    AuditService.the_auditor, PrivacyService.manager = before


@pytest.fixture
def federation(memory, tmp_path):
    """count, policy of a site by its number, job → a server with so many sites. Site k moves all by 0.1 · k."""

    def make(count=4, policy=lambda own: {}, job=None):
        sites = {}
        for own in range(1, count + 1):
            trainer = memory.Trainer(lambda arrays, own=own: memory.moved(arrays, 0.1 * own), 10 * own)
            root = tmp_path / f"site-{own}"
            sites[root.name] = memory.Site(root, trainer, policy(own), job or memory.JOB)
        return memory.Server(memory, sites, job)

    return make
