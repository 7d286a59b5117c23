"""What the tests of every adapter need."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def programs_module() -> ModuleType:
    """`programs.py` beside this file: pytest imports tests by path, not as a package."""
    spec = spec_from_file_location("programs", Path(__file__).with_name("programs.py"))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
