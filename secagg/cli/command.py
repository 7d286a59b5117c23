"""What every command has in common, whichever module it stands in."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import click
import typer
from typer.core import TyperCommand
from typer.models import CommandFunctionType

LARGEST_INTEGER = (1 << 63) - 1
"""Beyond it no option has a meaning, and what takes it may know no larger ones."""


class Command(TyperCommand):
    """A command that is told each of its values once, and none that is empty, or no number that counts."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse what click takes: a second value, which it lets win in silence, an empty one, nan, inf."""
        said, _, given = self.make_parser(ctx).parse_args(list(args))
        _refuse_repeated(given, ctx)
        for param in self.params:
            if "" in _listed(said.get(param.name)):
                raise click.BadParameter("it is empty; leave it out, or give a value", ctx, param)
        rest = super().parse_args(ctx, args)
        for param in self.params:
            for value in _listed(ctx.params.get(param.name)):
                if isinstance(value, float) and not math.isfinite(value):
                    raise click.BadParameter(f"{value} is no finite number.", ctx, param)
                if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
                    raise click.BadParameter(f"{value} is beyond ±{LARGEST_INTEGER}.", ctx, param)
        return rest


class Commands(typer.Typer):
    """Commands that stand together under one name."""

    def __init__(self, **said: Any) -> None:
        super().__init__(no_args_is_help=True, **said)

    def command(
        self, name: str | None = None, *, cls: type[TyperCommand] | None = Command, **said: Any
    ) -> Callable[[CommandFunctionType], CommandFunctionType]:
        """Join a command, as typer does."""
        return super().command(name, cls=cls, **said)


def _refuse_repeated(given: list[click.Parameter], ctx: click.Context) -> None:
    times = Counter(option for option in given if isinstance(option, click.Option) and _takes_one(option))
    for option, count in times.items():
        if count > 1:
            raise click.UsageError(f"{max(option.opts, key=len)} was given {count} times; it takes one value", ctx)


def _takes_one(option: click.Option) -> bool:
    return not (option.multiple or option.is_flag or option.count)


def _listed(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,)
