"""Runs the command line in this process, as a shell would see it."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from secagg.cli import main
from secagg.schemes import ONE_KEY, SCHEMES


@dataclass(frozen=True)
class Finished:
    """What a finished command left behind."""

    code: int
    stdout: str
    stderr: str

    def json(self) -> dict[str, Any]:
        """Return the one JSON object that is the whole of stdout."""
        found = json.loads(self.stdout)
        assert isinstance(found, dict)
        return found


@pytest.fixture
def secagg_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Finished]:
    """Return a callable that runs `secagg` with the given arguments."""

    def run(*arguments: object) -> Finished:
        monkeypatch.setattr(sys, "argv", ["secagg", *map(str, arguments)])
        capsys.readouterr()
        code: object = 0
        try:
            main()
        except SystemExit as left:
            code = left.code
        out, err = capsys.readouterr()
        assert code is None or isinstance(code, int)
        return Finished(code or 0, out, err)

    return run


@pytest.fixture(params=SCHEMES)
def scheme(request: pytest.FixtureRequest) -> str:
    """Every scheme's name; those that need SEAL are skipped where it is not installed."""
    name: str = request.param
    if name in ONE_KEY:
        pytest.importorskip("tenseal")
    return name
