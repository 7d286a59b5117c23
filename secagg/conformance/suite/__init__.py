"""Every test of the suite, and what they are given: `from secagg.conformance.suite import *` in a test file."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from .. import fixtures
from . import (
    buffers,
    contents,
    dropouts,
    durable_client,
    durable_server,
    impersonation,
    inputs,
    late_and_garbage,
    leaving,
    messages,
    schemes,
    second_answers,
    small_cohorts,
    snapshots,
    stalled_uploads,
    sums,
    transitions,
    turns,
    two_views,
)

TESTS = (schemes, sums, inputs, dropouts, transitions, messages, contents, snapshots, durable_client, durable_server)
"""What is asked of every scheme."""

ATTACKS = (
    impersonation,
    second_answers,
    two_views,
    small_cohorts,
    late_and_garbage,
    leaving,
    stalled_uploads,
    buffers,
    turns,
)
"""What nobody may get away with, whatever the protocol."""


def _collected(modules: tuple[ModuleType, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for module in modules:
        tests = {name: value for name, value in vars(module).items() if name.startswith("test_")}
        if twice := sorted(found.keys() & tests.keys()):
            raise AssertionError(f"two tests are called {twice[0]}: one would hide the other")
        found |= tests
    return found


_FOUND = _collected(TESTS + ATTACKS) | {name: getattr(fixtures, name) for name in fixtures.__all__}
globals().update(_FOUND)

__all__ = list(_FOUND)
