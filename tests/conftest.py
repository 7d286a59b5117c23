"""What tests of every folder may need."""

import gc
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack
from importlib.util import module_from_spec, spec_from_file_location
from multiprocessing import active_children, get_context
from pathlib import Path
from types import ModuleType

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
"""The matrices are tiny, and other workers have the other cores: threads of a BLAS would wait more than they compute.
Read when numpy and PyTorch are loaded, here and in every process that a test starts."""


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Tests of a framework's real programs come first, whatever their folder.

    They wait more than they compute. In front, they are one worker's share of `make test`, and the other workers
    compute meanwhile.
    """
    items.sort(key=lambda item: not any(name.endswith("_engine") for name in item.fixturenames))


def pytest_collection_finish() -> None:
    """What is imported and collected lives as long as this process: whoever collects garbage leaves it out.

    Benchmarks do before each measurement, which took longer than what they measured.
    """
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Counts of releases are kept where this user's programs keep their state: not in the home of who runs tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", os.fspath(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture
def process_pool() -> Iterator[Callable[[int], Executor]]:
    """A function: count → an executor of so many processes, all of which have started.

    They start before anyone may be killed: a pool that breaks while it starts another worker waits for that one for
    ever (CPython 3.11). They are spawned, since a copy of a process that has threads may hold a lock that nobody frees.
    They are killed at the end, since one that died with the queue's lock leaves the others waiting for it, and the pool
    for them.
    """
    before = set(active_children())
    with ExitStack() as stack:

        def make(count: int) -> Executor:
            pool = stack.enter_context(ProcessPoolExecutor(count, mp_context=get_context("spawn")))
            for started in [pool.submit(time.sleep, 0.5) for _ in range(count)]:
                started.result(timeout=60)
            return pool

        yield make
        for child in set(active_children()) - before:
            child.kill()


@pytest.fixture(scope="session")
def signs() -> ModuleType:
    """A codec of another package (`signs.py`), registered as soon as it is imported."""
    if "signs" not in sys.modules:
        spec = spec_from_file_location("signs", Path(__file__).with_name("signs.py"))
        assert spec is not None
        assert spec.loader is not None
        sys.modules["signs"] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules["signs"])
    return sys.modules["signs"]
