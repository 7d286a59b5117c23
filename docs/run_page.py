"""Run a page of the docs in a folder: its Python in one namespace, its commands in a shell, and compare what comes out.

    python docs/run_page.py docs/tutorials/researcher.md

| block | what is done with it |
|---|---|
| python, toml whose first line is `# name.ext` | written into the folder as that file |
| python | run |
| text, directly after python | must be what that printed |
| console | each `$ command` is run (with `# exit code 1` at its end it must fail so), and must print what is below it |

In what is compared, `...` stands for anything, and a number with a point for any other: figures of a training differ
between machines.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from io import StringIO
from pathlib import Path
from typing import Any

KINDS = {"python", "toml", "text", "console"}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page. line: where its fence stands."""

    kind: str
    text: str
    line: int

    @property
    def file(self) -> str | None:
        """The file that it is, if its first line says so."""
        found = re.match(r"# ([\w-]+\.(?:py|toml))\n", self.text)
        return found[1] if found and self.kind in ("python", "toml") else None

    def commands(self) -> Iterator[tuple[str, str]]:
        """Yield each command of a console block, and what is shown below it."""
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            yield command, shown


class PageError(AssertionError):
    """What a page says is not what happens."""


def blocks_of(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return [Block(one[1], one[2], text.count("\n", 0, one.start()) + 1) for one in found]


def check_output(where: str, shown: str, got: str) -> None:
    """Raise `PageError` unless what is shown is what came out."""
    want, have = (re.sub(r"\d+\.\d+(e-?\d+)?", "#", text) for text in (shown, got))
    if not OutputChecker().check_output(want, have, ELLIPSIS | NORMALIZE_WHITESPACE):
        raise PageError(f"{where} shows\n{shown}\nand what comes out is\n{got}")


def run_command(where: str, command: str, shown: str, folder: Path) -> None:
    """Run a command in a shell, and compare. Its errors count as output."""
    ended = subprocess.run(
        command, shell=True, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    wanted = re.search(r"# exit code (\d+)$", command)
    if ended.returncode != (int(wanted[1]) if wanted else 0):
        raise PageError(f"{where}: {command} ended with {ended.returncode}:\n{ended.stdout}")
    if shown:
        check_output(where, shown, ended.stdout)


def run_page(page: Path, folder: Path) -> None:
    """Run a page in a folder, which should be the working one. Raises `PageError`, and what its Python raises."""
    names: dict[str, Any] = {"__name__": page.stem}
    printed = ""
    for block in blocks_of(page):
        where = f"{page.name} line {block.line}"
        if block.file is not None:
            (folder / block.file).write_text(block.text, encoding="utf-8")
        elif block.kind == "python":
            with redirect_stdout(StringIO()) as out:
                exec(compile("\n" * block.line + block.text, page, "exec"), names)
            printed = out.getvalue()
        elif block.kind == "text":
            check_output(where, block.text, printed)
        elif block.kind == "console":
            for command, shown in block.commands():
                run_command(where, command, shown, folder)
        else:
            raise PageError(f"{where}: a block of {block.kind or 'no kind'}: nothing would run it")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        run_page(Path(sys.argv[1]).resolve(), Path(place))
