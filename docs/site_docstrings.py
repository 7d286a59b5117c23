"""An extension of the reference: docstrings, which are plain text, as Markdown.

A line `name   what it is` becomes a row of a list, and an asterisk outside of `code` is one.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

ROW = re.compile(r"^(\w[\w, ]*?) {2,}(\S.*(?:\n {2,}.*)*)", re.MULTILINE)
CODE = re.compile(r"(``.+?``|`[^`]+`)", re.DOTALL)


def as_markdown(text: str) -> str:
    """Return a docstring as Markdown. Blocks that are indented are code already."""
    blocks = text.split("\n\n")
    return "\n\n".join(block if block.startswith("    ") else _prose(block) for block in blocks)


def _prose(block: str) -> str:
    pieces = CODE.split(block)
    escaped = "".join(piece if piece.startswith("`") else piece.replace("*", "\\*") for piece in pieces)
    rows = ROW.sub(lambda row: f"- `{row[1]}`: {' '.join(row[2].split())}", escaped)
    return re.sub(r"^((?!- )[^\n]+\n)(?=- `)", r"\1\n", rows, flags=re.MULTILINE)


class PlainDocstrings(griffe.Extension):
    """Rewrites every docstring before it is shown."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called by griffe for each module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
