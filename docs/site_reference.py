"""A hook of the site: `::: module.*` in a page of the reference stands for all names that the module exports."""

from __future__ import annotations

import importlib
import re

ALL = re.compile(r"^::: ([\w.]+)\.\*$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: object) -> str:
    """Return the page with one block for each name."""

    def names(found: re.Match[str]) -> str:
        exported = importlib.import_module(found[1]).__all__
        return "\n\n".join(f"::: {found[1]}.{name}" for name in exported)

    return ALL.sub(names, markdown)
