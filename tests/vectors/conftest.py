"""Reaches the generator and the independent implementation, which lie beside the vectors."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"secagg_vectors_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture(scope="session")
def reference() -> ModuleType:
    """The second implementation."""
    return module("reference")


@pytest.fixture(scope="session")
def generate() -> ModuleType:
    """The generator."""
    return module("generate")
