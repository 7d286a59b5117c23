"""Whatever an option is given, the command refuses it in one line or begins its work: no traceback, no silence."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from secagg.cli import simulate
from secagg.cli.app import command as root
from secagg.cli.stats import running
from secagg.train import trainer
from secagg_bench import cli as overhead
from secagg_bench import schemes
from secagg_bench.attacks import workers as attacks
from secagg_bench.liars import command as liars
from secagg_bench.peers import command as peers
from secagg_bench.peers import engine_command as flower
from secagg_bench.privacy import command as privacy
from secagg_bench.privacy import curve_command as utility
from secagg_bench.stats import command as statistics

Command = Callable[..., Any]  # tests/cli/conftest.py

BAD = ("nan", "inf", "-1", "0", str(10**30), str(10**18), "")
NEVER_A_NUMBER = ("nan", "inf", "")
WORKS = [
    (simulate, "_run"),
    (trainer, "federate"),
    (running, "bounded"),
    (overhead, "measure_all"),
    (schemes, "run_one"),
    (liars, "rows_of"),
    (peers, "run_one"),
    (flower, "run_engine"),
    (flower, "run_simulator"),
    (privacy, "parts_of"),
    (attacks, "finish"),
    (utility, "train_all"),
    (statistics, "parts_of"),
]
"""What each command does once it has taken its options, and takes its time."""
NEEDED = {
    ("bench", "overhead"): ["--clients", "3", "--length", "1"],
    ("bench", "peers"): ["--engine-nodes", "0"],
    ("bench", "schemes"): ["--only", "plain"],
    ("train",): ["--no-dp"],
    ("stats", "km"): ["--time", "t", "--event", "e", "--horizon", "9", "--query-out", "new.json"],
    ("stats", "cox"): [
        *("--time", "t", "--event", "e", "--horizon", "9", "--query-out", "new.json"),
        *("--covariates", "age"),
    ],
    ("stats", "glm"): ["--family", "linear", "--formula", "y ~ x", "--query-out", "new.json"],
    ("flare", "site"): ["there.txt"],
    ("stats", "table"): ["--count", "--by", "sex", "--query-out", "new.json"],
    ("group-key", "new"): ["--participants", "2", "--length", "1", "--output", "new.key"],
    ("group-key", "open"): ["there.txt", "there.txt", "--participant", "1", "--output", "new.key"],
    ("group-key", "request"): ["--participant", "1", "--output", "new.request"],
    ("group-key", "seal"): ["there.txt", "there.txt", "--participant", "1", "--output", "new.answer"],
    ("group-key", "show"): ["there.txt"],
    ("identity", "new"): ["north"],
    ("identity", "show"): ["there.txt"],
    ("roster", "new"): ["north=00", "--server", "server=00", "--output", "new.json"],
    ("roster", "show"): ["there.txt"],
    ("serve",): [
        *("--query", "there.txt", "--roster", "there.txt"),
        *("--identity", "there.txt", "--state", "state"),
    ],
    ("join",): [
        *("https://127.0.0.1:9", "--identity", "there.txt", "--roster", "there.txt"),
        *("--data", "there.txt", "--policy", "there.txt"),
    ],
    ("audit", "show"): ["there.txt", "--key", "00"],
    ("audit", "verify"): ["there.txt", "--key", "00"],
    ("privacy", "ledger"): ["there.txt", "--key", "00"],
}
"""The least that a command takes besides the option under test."""


def commands(words: tuple[str, ...] = (), command: click.Command | None = None) -> Iterator[tuple[Any, click.Command]]:
    """Yield (its words, the command) of each."""
    command = command or root()
    if not isinstance(command, click.Group):
        yield words, command
        return
    for name in sorted(command.commands):
        yield from commands((*words, name), command.commands[name])


def options_of(command: click.Command) -> list[str]:
    """Return the names of the options that take a value."""
    found = [param for param in command.params if isinstance(param, click.Option) and not param.is_flag]
    return [option.opts[-1] for option in found]


class Begun(Exception):
    """The command has taken its options, and would now work."""


@pytest.fixture
def nothing_is_done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Commands end where their work begins, in a folder with one file that is nothing of ours."""

    def begin(*_: Any, **__: Any) -> Any:
        raise Begun

    for module, name in WORKS:
        monkeypatch.setattr(module, name, begin)
    monkeypatch.chdir(tmp_path)
    Path("there.txt").write_text("nothing of ours\n", encoding="utf-8")


def without(option: str, arguments: list[str]) -> list[str]:
    """Return the arguments without this option and its value."""
    if option not in arguments:
        return arguments
    at = arguments.index(option)
    return arguments[:at] + arguments[at + 2 :]


@pytest.mark.usefixtures("nothing_is_done")
@pytest.mark.parametrize("words", [words for words, _ in commands()], ids=" ".join)
def test_any_value_is_refused_in_one_line_or_taken(secagg_command: Command, words: tuple[str, ...]) -> None:
    command = dict(commands())[words]
    for option in options_of(command):
        for value in BAD:
            needed = without(option, NEEDED.get(words, []))
            try:
                ended = secagg_command(*words, *needed, f"{option}={value}")
            except Begun:
                assert value not in NEVER_A_NUMBER or not is_number(command, option), (option, value)
                continue
            assert ended.code in (0, 1, 2), (option, value)
            if ended.code:
                assert len(ended.stderr.splitlines()) == 1, (option, value, ended.stderr)
                assert ended.stderr.startswith("secagg: "), (option, value, ended.stderr)


def is_number(command: click.Command, option: str) -> bool:
    """Whether an option takes a number."""
    (kind,) = (param.type for param in command.params if option in param.opts)
    return isinstance(kind, click.types.IntParamType | click.types.FloatParamType)
