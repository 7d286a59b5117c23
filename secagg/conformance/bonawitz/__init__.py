"""Named attacks in the messages of Bonawitz. Each test is one thing that a party must not get away with.

For schemes that speak them, beside the suite: `from secagg.conformance.bonawitz import *`.
"""

from __future__ import annotations

from ..fixtures import active, active_case, make_round, masking, pytest_generate_tests
from . import hostile_server, liars

FIXTURES = {
    "active": active,
    "active_case": active_case,
    "make_round": make_round,
    "masking": masking,
    "pytest_generate_tests": pytest_generate_tests,
}

_FOUND = vars(hostile_server) | vars(liars)
_TESTS = {name: test for name, test in _FOUND.items() if name.startswith("test_")}
globals().update(_TESTS)

__all__ = [*FIXTURES, *_TESTS]
