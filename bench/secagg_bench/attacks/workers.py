"""The pieces of a run, in processes of their own with one thread each. Whoever asks writes down what is finished."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any

from secagg.extras import MissingExtra
from secagg_protocols import InputError, WorkerLost

from ..journal import Journal
from .pieces import Piece

Move = Callable[[int, int, str], None]

THREADS = "OMP_NUM_THREADS"
"""Read by numpy's and torch's libraries when a process loads them."""


@dataclass(frozen=True)
class Task:
    """One piece that is to do. key: what the journal finds it by. what: it is, in a line. work: makes it."""

    key: Hashable
    what: str
    work: Callable[[], Piece]


@dataclass(frozen=True)
class Skipped:
    """Why a piece could not be made: an extra is missing, or the user's table does not do."""

    reason: str


@dataclass(frozen=True)
class Crashed:
    """What an attack raised that it should not have, with where."""

    trace: str


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def finish(tasks: Sequence[Task], journal: Journal[Piece], move: Move, workers: int) -> dict[Hashable, str]:
    """Do each task, so many at a time, and write it down. Return why those were skipped that were.

    move: hears how far it is, and what is running. workers: processes; 1: none but this one.
    Raises: `WorkerLost` for a process that ended; RuntimeError, which names the piece, for an attack with a mistake.
    """
    skipped: dict[Hashable, str] = {}
    with _executor(min(workers, len(tasks))) as executor:
        for task, outcome in _outcomes(executor, workers, tasks, move):
            if isinstance(outcome, Skipped):
                skipped[task.key] = outcome.reason
            elif isinstance(outcome, Crashed):
                raise RuntimeError(f"{task.what} failed; --resume keeps what is finished\n{outcome.trace}")
            else:
                journal.append(outcome)
    move(len(tasks), len(tasks), "")
    return skipped


class Here(Executor):
    """Does everything at once, in this process."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(work(*args, **kwargs))
        return future


@contextmanager
def _executor(workers: int) -> Iterator[Executor]:
    if workers <= 1:
        yield Here()
        return
    before = os.environ.get(THREADS)
    os.environ[THREADS] = "1"
    executor = ProcessPoolExecutor(workers, get_context("spawn"), _end_with_the_parent)
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)
        if before is None:
            del os.environ[THREADS]
        else:
            os.environ[THREADS] = before


def _end_with_the_parent() -> None:
    """End without a word at Ctrl-C, which the terminal tells every process, and where the parent is killed.

    The parent says what there is; a process that waits for its next piece does not see by itself that none will come.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    Thread(target=_end_after_the_parent, daemon=True).start()


def _end_after_the_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _outcomes(
    executor: Executor, workers: int, tasks: Sequence[Task], move: Move
) -> Iterator[tuple[Task, Piece | Skipped | Crashed]]:
    """Yield each task with what came of it. No more are handed over than run, so that the bar can name them."""
    waiting = iter(tasks)
    running: dict[Future[Piece | Skipped | Crashed], Task] = {}
    for done in range(len(tasks)):
        for task in islice(waiting, workers - len(running)):
            running[executor.submit(_attempt, task.work)] = task
        named = "; ".join(task.what for task in running.values())
        move(done, len(tasks), named)
        finished = wait(running, return_when=FIRST_COMPLETED).done.pop()
        try:
            yield running.pop(finished), finished.result()
        except BrokenProcessPool as error:
            raise WorkerLost(
                f"a process ended while these ran: {named}; go on with --resume, if memory is short with --workers 1"
            ) from error


def _attempt(work: Callable[[], Piece]) -> Piece | Skipped | Crashed:
    """Return what came of it: as values, since an exception may not survive the way between processes."""
    try:
        return work()
    except (MissingExtra, InputError) as error:
        return Skipped(str(error))
    except Exception:
        return Crashed(traceback.format_exc())
