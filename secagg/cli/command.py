"""What every command has in common, whichever module it stands in."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click
import typer
from typer.core import TyperCommand


class Command(TyperCommand):
    """A command that takes each option once, but for those that gather values."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse an option that is given again: click would keep the last value and say nothing of the others."""
        _, _, given = self.make_parser(ctx).parse_args(list(args))
        times = Counter(option for option in given if isinstance(option, click.Option) and _takes_one(option))
        if again := [option for option, count in times.items() if count > 1]:
            raise click.UsageError(f"{_name(again[0])} was given {times[again[0]]} times; it takes one value", ctx)
        return super().parse_args(ctx, args)


class Commands(typer.Typer):
    """Commands that stand together under one name."""

    def __init__(self, **said: Any) -> None:
        super().__init__(no_args_is_help=True, **said)

    def command(self, *args: Any, **said: Any) -> Any:
        """Join a command, as typer does."""
        return super().command(*args, **{"cls": Command, **said})


def _takes_one(option: click.Option) -> bool:
    return not (option.multiple or option.is_flag or option.count)


def _name(option: click.Option) -> str:
    """Return the name of an option that says most: the longest."""
    return max(option.opts, key=len)
