"""What the tests of the suite are given. A test file gets all of it with the suite itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from secagg_protocols import (
    AuthenticationError,
    ContributionLedger,
    LateMessage,
    MemoryLedger,
    Scheme,
    SnapshotStore,
    StateError,
    WireError,
)

from .attack import Attack, Launch
from .capability import BONAWITZ_MESSAGES, REPEATABLE, SIGNS, lacking, needs
from .case import Case
from .driver import Rehearsal
from .kept import PARTICIPANTS, Disk, Federation

__all__ = [
    "active",
    "active_case",
    "disk",
    "federation",
    "launch",
    "ledgers",
    "make_attack",
    "make_round",
    "masking",
    "pytest_generate_tests",
    "quick_disk",
    "refused",
    "repeatable_case",
    "scheme",
    "small",
]

Ledgers: TypeAlias = dict[int, ContributionLedger]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test for every case in CASES of the test file, and for every step of each where it asks for one."""
    if "case" not in metafunc.fixturenames:
        return
    cases = getattr(metafunc.module, "CASES", None)
    if not cases or not all(isinstance(case, Case) for case in cases):
        raise pytest.UsageError(f"{metafunc.module.__file__}: say CASES = [Case(name, scheme), …]")
    names = (metafunc.function.__name__, *metafunc.fixturenames)
    if "step" in metafunc.fixturenames:
        steps = [_parameters(case, names, step) for case in cases for step in case.sample.steps]
        metafunc.parametrize(("case", "step"), steps)
        return
    metafunc.parametrize("case", [_parameters(case, names) for case in cases])


def _parameters(case: Case, names: tuple[str, ...], *more: Any) -> Any:
    missing = _not_installed(case) or lacking(case, names)
    marks = [pytest.mark.skip(reason=missing)] if missing else []
    return pytest.param(case, *more, id="-".join([case.name, *map(str, more)]), marks=marks)


def _not_installed(case: Case) -> str:
    there = case.package is None or find_spec(case.package) is not None
    return "" if there else f"{case.package} is not installed"


@pytest.fixture
@needs(SIGNS)
def active_case(case: Case) -> Case:
    """A scheme made for a server that may do anything."""
    return case


@pytest.fixture
@needs(REPEATABLE)
def repeatable_case(case: Case) -> Case:
    """A scheme whose bytes follow a seed."""
    return case


@pytest.fixture
def small(case: Case) -> Scheme:
    """A small instance: three participants, five coordinates."""
    return case.make(max(3, case.smallest), 5)


@pytest.fixture
def scheme(case: Case) -> Scheme:
    """Five participants, twenty coordinates."""
    return case.make(5, 20)


@pytest.fixture
@needs(BONAWITZ_MESSAGES)
def masking(case: Case) -> Scheme:
    """A scheme that speaks the messages of Bonawitz, for five participants."""
    return case.make(5, 5)


@pytest.fixture
@needs(BONAWITZ_MESSAGES, SIGNS)
def active(case: Case) -> Scheme:
    """The same, for a server that may do anything."""
    return case.make(5, 5)


@pytest.fixture
def make_round() -> type[Rehearsal]:
    """The driver that stops between any two calls."""
    return Rehearsal


@pytest.fixture
def make_attack() -> type[Attack]:
    """Return `Attack`: made, not yet run."""
    return Attack


@pytest.fixture
def launch(make_attack: type[Attack]) -> Launch:
    """Return a callable that runs one round under attack."""
    return lambda *arguments, **options: make_attack(*arguments, **options).run()


@pytest.fixture
def refused() -> Callable[..., Exception]:
    """Return a callable that expects a refusal which must leave the machine as it was."""

    def check(call: Callable[..., object], *arguments: object) -> Exception:
        with pytest.raises((WireError, AuthenticationError, LateMessage, StateError)) as caught:
            call(*arguments)
        return caught.value

    return check


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies loses nothing that it wrote, so nothing is really synced."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """What a server that is kept on disk writes to."""
    return Disk(monkeypatch)


@pytest.fixture
def federation(case: Case, make_round: type[Rehearsal], tmp_path: Path, disk: Disk) -> Federation:
    """A round of four whose server is kept on disk."""
    return Federation(make_round(case.make(PARTICIPANTS, 5)), tmp_path / "round")


@pytest.fixture(params=["in memory", "on disk"])
def ledgers(request: pytest.FixtureRequest, tmp_path: Path, quick_disk: None) -> Callable[[], Ledgers]:
    """Return a callable that opens the ledgers of five participants, again and again the same ones."""
    memory: Ledgers = {who: MemoryLedger() for who in range(1, 6)}
    if request.param == "in memory":
        return lambda: memory
    return lambda: {who: SnapshotStore(tmp_path / str(who)) for who in memory}
