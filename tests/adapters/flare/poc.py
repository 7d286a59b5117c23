"""FLARE's proof of concept: a server and sites as processes over mTLS, provisioned and started by FLARE itself."""

from __future__ import annotations

import json
import time
import zipfile
from pathlib import Path

PROJECT = """\
api_version: 3
name: proof
participants:
  - {{name: localhost, type: server, org: hub, fed_learn_port: {port}}}
  - {{name: admin@nvidia.com, type: admin, org: hub, role: project_admin}}
{sites}
builders:
  - path: nvflare.lighter.impl.workspace.WorkspaceBuilder
    args: {{template_file: [master_template.yml]}}
  - path: nvflare.lighter.impl.static_file.StaticFileBuilder
    args: {{config_folder: config}}
  - path: nvflare.lighter.impl.cert.CertBuilder
  - path: nvflare.lighter.impl.signature.SignatureBuilder
"""
START_S = 120
COMMAND_S = 30
ATTEMPTS = 3
"""Of a command: on a busy machine FLARE's own sometimes waits for ever for a connection."""


class Poc:
    """Kits of a server and some sites under the engine's home, nothing of which is shared with others of this machine.

    engine: `flare_engine` of conftest.py, which also ends it all.
    """

    def __init__(self, engine, sites: int, port: int) -> None:
        self._engine = engine
        self.sites = [f"site-{own}" for own in range(1, sites + 1)]
        project = engine.home / "project.yml"
        lines = "\n".join(f"  - {{name: {site}, type: client, org: hub}}" for site in self.sites)
        project.write_text(PROJECT.format(port=port, sites=lines), encoding="utf-8")
        log = self._nvflare("prepare", "poc", "prepare", "-i", str(project), "--force")
        self.kits = engine.home / "poc" / "proof" / "prod_00"
        assert self.kits.is_dir(), log

    def start(self) -> None:
        """Start the server and all sites; return when all have registered."""
        self._keep_storage_here()
        self._nvflare("start", "poc", "start", "-ex", "admin@nvidia.com", "--no-wait")
        log = self.kits / "localhost" / "log.txt"
        until = time.monotonic() + START_S
        while not (log.exists() and f"Total clients: {len(self.sites)}" in log.read_text(encoding="utf-8")):
            assert time.monotonic() < until, f"not all sites are up after {START_S} s"
            time.sleep(0.2)

    def submit(self, folder: Path) -> str:
        """Submit an exported job; return its id."""
        said = self._nvflare(f"submit-{folder.name}", "job", "submit", "-j", str(folder), "--format", "json")
        return self._told(said)["job_id"]

    def status(self, job: str, limit: float) -> str:
        """Wait for a job, `limit` seconds at most in each attempt; return how it ended."""
        return self._told(self._nvflare(f"wait-{job}", "job", "wait", job, "--format", "json", limit=limit))["status"]

    def audit(self, site: str, job: str) -> str:
        """Return a site's audit log of a job."""
        return (self.kits / site / job / "audit.log").read_text(encoding="utf-8")

    def log(self, site: str, job: str) -> str:
        """Return a site's log of a job."""
        return (self.kits / site / job / "log.txt").read_text(encoding="utf-8")

    def result(self, job: str) -> zipfile.ZipFile:
        """Return what the server kept of a job: its workspace."""
        return zipfile.ZipFile(self._engine.home / "poc" / "jobs-storage" / job / "workspace")

    def _keep_storage_here(self) -> None:
        """See that jobs and snapshots are kept under this home: FLARE's default is one folder for a whole machine."""
        resources = (self.kits / "localhost" / "local" / "resources.json").read_text(encoding="utf-8")
        assert '"/tmp/nvflare' not in resources
        assert resources.count(str(self._engine.home / "poc")) == 2

    def _nvflare(self, name: str, *command: str, limit: float = COMMAND_S) -> str:
        for attempt in range(1, ATTEMPTS + 1):
            child = self._engine.start(name, "nvflare", *command)
            try:
                return self._engine.finish(name, child, limit)
            except AssertionError:
                self._engine.kill(child)
                if attempt == ATTEMPTS:
                    raise

    @staticmethod
    def _told(log: str) -> dict:
        said = next((line for line in log.splitlines() if line.startswith("{")), None)
        assert said, log[-3000:]
        return json.loads(said)["data"]
