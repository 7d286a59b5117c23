"""The name of a scheme on the command line: any that is installed, from whatever package."""

from __future__ import annotations

from collections.abc import Collection

import click

from secagg.schemes import SCHEMES


class SchemeChoice(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """One of the registered schemes. They are looked up when the option is read, and not when the command is made."""

    name = "scheme"

    def __init__(self, names: Collection[str] = SCHEMES) -> None:
        self._names = names

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return f"[{'|'.join(self._names)}]"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value not in self._names:
            self.fail(f"{value!r} is not one of {', '.join(map(repr, self._names))}.", param, ctx)
        return value
