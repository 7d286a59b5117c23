"""Two readers: a program, which gets one JSON object on stdout, and a person, who gets tables and a progress bar."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout; text for people on stderr.")]

REFRESH_S = 0.1


def console(as_json: bool) -> Console:
    """Return where text for people goes: stdout, or stderr when a program reads stdout."""
    return Console(stderr=as_json, highlight=False, markup=False)


def print_json(fields: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout. Raises ValueError on NaN and infinities, which JSON does not have."""
    print(json.dumps(fields, allow_nan=False))


@contextmanager
def progress_bar() -> Iterator[Callable[[int, int, str], None]]:
    """Show a bar on stderr, when stderr is a terminal. Yields the callable (done, total, text) that moves it."""
    errors = Console(stderr=True)
    if not errors.is_terminal:
        yield lambda done, total, text: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # No refreshing thread: its CPU time would count as the round's.
    with Progress(*columns, console=errors, transient=True, auto_refresh=False) as bar:
        task = bar.add_task("", total=None)
        shown = 0.0

        def move(done: int, total: int, text: str) -> None:
            nonlocal shown
            bar.update(task, completed=done, total=total, description=text)
            if time.monotonic() - shown > REFRESH_S:
                bar.refresh()
                shown = time.monotonic()

        yield move


def readable_bytes(count: float) -> str:
    """Return `count` bytes with a unit a person reads at a glance, e.g. '1.6 MB'."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
