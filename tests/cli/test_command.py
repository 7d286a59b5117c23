"""What holds for every command, whoever wrote it."""

from collections.abc import Callable, Iterator
from typing import Any

import click
import pytest
from typer import rich_utils

from secagg.cli import app, memory, simulate

Command = Callable[..., Any]  # tests/cli/conftest.py


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield (its words, the command) of each, in the order of their names."""
    yield from _below((), app.command())


def _below(words: tuple[str, ...], command: click.Command) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        yield words, command
        return
    for name in sorted(command.commands):
        yield from _below((*words, name), command.commands[name])


def test_an_option_that_takes_one_value_is_refused_when_it_is_given_twice() -> None:
    tried = 0
    for _, command in commands():
        for option in command.params:
            if isinstance(option, click.Option) and not (option.is_flag or option.multiple):
                name = option.opts[-1]
                refusal = refusal_of(command, [name, "1", name, "2"])
                assert isinstance(refusal, click.UsageError)
                assert refusal.message == f"{name} was given 2 times; it takes one value"
                tried += 1
    assert tried > 50


def refusal_of(command: click.Command, arguments: list[str]) -> Exception | None:
    """Return what stopped the command before it did anything else."""
    try:
        command.make_context(None, arguments)
    except click.ClickException as refusal:
        return refusal
    return None


def test_flags_may_be_said_again_and_lists_grow(secagg_command: Command) -> None:
    ended = secagg_command("simulate", "--clients", 3, "--length", 4, "--json", "--json")
    assert ended.code == 0, ended.stderr
    assert ended.json()["exact"]


def test_help_says_what_each_parameter_is(secagg_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rich_utils, "MAX_WIDTH", 400)
    for words, command in commands():
        shown = " ".join(secagg_command(*words, "--help").stdout.split())
        for param in command.params:
            said = getattr(param, "help", None)
            assert said, (words, param.name)
            assert " ".join(said.split()) in shown, (words, param.name)


def test_a_round_beyond_memory_says_what_it_needs_and_what_there_is(
    secagg_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda: 10**6)
    ended = secagg_command("simulate", "--clients", 3, "--length", 200_000)
    assert (ended.code, ended.stdout) == (2, "")
    assert "--length 200000 for 3 participants needs at least 1.2 MB of memory, and 1.0 MB are free" in ended.stderr
    assert secagg_command("simulate", "--clients", 3, "--length", 20).code == 0


def test_what_was_not_foreseen_of_memory_is_one_line_too(
    secagg_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: Any) -> Any:
        raise MemoryError("Unable to allocate 7.3 GiB")

    monkeypatch.setattr(simulate, "_run", run)
    ended = secagg_command("simulate", "--json")
    assert ended.code == 1
    assert (
        ended.stderr == "secagg: there is not enough memory for this: Unable to allocate 7.3 GiB; take smaller sizes\n"
    )
    assert ended.json()["kind"] == "MemoryError"
