"""A hostile server of Bonawitz (`secagg.conformance.hostile`), in both variants and with noise."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from secagg import Bonawitz
from secagg.conformance.driver import Parties, parties_of
from secagg.conformance.hostile import Attack


@pytest.fixture
def make_attack() -> type[Attack]:
    """Return `Attack`: made, not yet run."""
    return Attack


@pytest.fixture
def launch() -> Callable[..., Attack]:
    """Return a callable that runs one round under attack."""
    return lambda *arguments, **options: Attack(*arguments, **options).run()


@pytest.fixture(params=["semi-honest", "active"])
def adversary(request: pytest.FixtureRequest) -> str:
    """Run the test in both variants."""
    return str(request.param)


@pytest.fixture(params=[None, "variance=2560 tolerated=1"], ids=["no noise", "noise"])
def noise(request: pytest.FixtureRequest) -> str | None:
    """Run the test without noise under the sum and with some."""
    return request.param


@pytest.fixture
def parties() -> Callable[[Bonawitz], Parties]:
    """Return what makes the identities and the roster of a federation."""
    return parties_of
