"""A hook of the site: the page of all commands and their options, as the command line itself has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from secagg.cli.app import app

INTRODUCTION = """# Commands

With `--json`, every command prints one JSON object on stdout, and text for people on stderr. Exit codes: 0 done, 1 the
round or the check failed, 2 bad usage or a package that is not installed.
"""


def commands(command: Any, words: tuple[str, ...] = ("secagg",)) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command that does something, with the words that call it."""
    inner = getattr(command, "commands", {})
    if not inner:
        yield words, command
    for name, one in inner.items():
        yield from commands(one, (*words, name))


def section(words: tuple[str, ...], command: Any) -> str:
    """Return the section of one command."""
    lines = [
        f"## {' '.join(words)}",
        "",
        command.help or "",
        "",
        "| option | value | meaning | default |",
        "|---|---|---|---|",
    ]
    for param in command.params:
        if param.param_type_name == "argument":
            names = param.human_readable_name
        else:
            names = ", ".join(f"`{name}`" for name in param.opts)
        flag = getattr(param, "is_flag", False)
        choices = ", ".join(getattr(param.type, "choices", ()))
        value = "" if flag else (choices or param.metavar or param.type.name)
        default = "" if flag or param.default in (None, ()) or callable(param.default) else f"`{param.default}`"
        cells = (names, value, getattr(param, "help", None) or "", default)
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines)


def page() -> str:
    """Return the page."""
    found = commands(typer.main.get_command(app))
    return "\n\n".join([INTRODUCTION, *(section(words, command) for words, command in found)]) + "\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page."""
    files.append(File.generated(config, "reference/commands.md", content=page()))
    return files
