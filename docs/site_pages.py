"""A hook of the site: pages from outside this folder, and links that lead to them.

The pages here are also read where the repository is, and link to files of it. On the site the README, the other
Markdown files of the root, and every file that a page links to become pages, at their own paths.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

DOCS = Path(__file__).parent
ROOT = DOCS.parent
FENCED = re.compile(r"^( *)(```|~~~).*?^\1\2\s*?$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<!!)\[([^\[\]]+)\]\(([^()\s#:]+)(#[^()\s]*)?\)")
PICTURES = {".svg", ".png"}
DIAGRAM = re.compile(r"^```mermaid\nstateDiagram-v2\n(.*?)\n```$", re.DOTALL | re.MULTILINE)
DECISIONS = DOCS / "decisions"

_origins: dict[str, Path] = {}
"""Page of the site → the file that it is made of."""


def place(file: Path) -> str:
    """Return where a file of the repository is on the site."""
    if file == ROOT / "README.md":
        return "index.md"
    if file == DECISIONS:
        return "decisions/index.md"
    path = file.relative_to(DOCS if file.is_relative_to(DOCS) else ROOT).as_posix()
    return path if file.suffix == ".md" else f"{path}.md"


def linked(file: Path, target: str) -> Path | None:
    """Return the file that a link leads to: of a folder its README. None where there is none."""
    path = Path(os.path.normpath(file.parent / target))
    if path == DECISIONS:
        return path
    if path.is_dir():
        path = path / "README.md"
    return path if path.is_file() and path.is_relative_to(ROOT) else None


def outside_fences(markdown: str) -> Iterable[tuple[bool, str]]:
    """Yield the text in pieces, each with whether it is prose and not code."""
    end = 0
    for fence in FENCED.finditer(markdown):
        yield True, markdown[end : fence.start()]
        yield False, fence[0]
        end = fence.end()
    yield True, markdown[end:]


def targets(file: Path) -> set[Path]:
    """Return the files that a page links to."""
    found = set()
    for prose, text in outside_fences(file.read_text(encoding="utf-8")):
        if prose:
            found |= {linked(file, target) for _, target, _ in LINK.findall(text)}
    return {path for path in found if path is not None and path.is_file() and path.suffix not in PICTURES}


def rewritten(markdown: str, file: Path) -> str:
    """Return a page's text with links as the site has them: one to a folder without a README is plain text."""
    here = PurePosixPath(place(file)).parent

    def relink(link: re.Match[str]) -> str:
        text, target, anchor = link.groups()
        path = linked(file, target)
        if path is None:
            return text if (file.parent / target).is_dir() else link[0]
        if path.suffix in PICTURES:
            return link[0]
        return f"[{text}]({os.path.relpath(place(path), here)}{anchor or ''})"

    pieces = outside_fences(markdown)
    return "".join(_with_room_before_lists(LINK.sub(relink, text)) if prose else text for prose, text in pieces)


def _with_room_before_lists(text: str) -> str:
    """Return the text with an empty line between a paragraph and the list or table after it, which Python-Markdown asks
    for."""
    text = re.sub(r"^((?![-*|#>]|\d+\.|\s)[^\n]+\n)(?=(?:[-*]|\d+\.) )", r"\1\n", text, flags=re.MULTILINE)
    return re.sub(r"^((?![|\s])[^\n]+\n)(?=\|)", r"\1\n", text, flags=re.MULTILINE)


def shown(file: Path) -> str:
    """Return a source file as a page, which the search leaves out."""
    name = file.relative_to(ROOT).as_posix()
    language = {".py": "python", ".toml": "toml", ".j2": "jinja"}.get(file.suffix, "text")
    source = file.read_text(encoding="utf-8")
    return f"---\nsearch:\n  exclude: true\n---\n# {name}\n\n~~~~{language}\n{source}\n~~~~\n"


def decisions() -> str:
    """Return the list of all decisions, by their titles."""
    lines = ["# Decisions", ""]
    for file in sorted(DECISIONS.glob("*.md")):
        title = file.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ").replace(". ", "\\. ", 1)
        lines.append(f"- [{title}]({file.name})")
    return "\n".join(lines) + "\n"


def as_table(diagram: re.Match[str]) -> str:
    """Return a state diagram as a table, which needs no program of somebody else's to be seen."""
    names = dict(reversed(found) for found in re.findall(r'state "([^"]+)" as (\w+)', diagram[1]))
    arrows = re.findall(r"(\w+) --> (\w+): (.+)", diagram[1])
    rows = [f"| {names[here]} | {event} | {names[there]} |" for here, there, event in arrows]
    return "\n".join(["| state | event | next state |", "|---|---|---|", *rows])


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside."""
    files.append(File.generated(config, place(DECISIONS), content=decisions()))
    waiting = [*ROOT.glob("*.md"), *ROOT.glob("examples/**/*.md"), *DOCS.glob("**/*.md")]
    seen = set(waiting)
    while waiting:
        file = waiting.pop()
        _origins[place(file)] = file
        if not file.is_relative_to(DOCS):
            content = file.read_text(encoding="utf-8") if file.suffix == ".md" else shown(file)
            files.append(File.generated(config, place(file), content=content))
        elif file.suffix != ".md":
            files.append(File.generated(config, place(file), content=shown(file)))
        new = (targets(file) if file.suffix == ".md" else set()) - seen
        seen |= new
        waiting += sorted(new)
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Return the page with the site's links."""
    file = _origins.get(page.file.src_uri)
    if file is None or file.suffix != ".md":
        return markdown
    return rewritten(DIAGRAM.sub(as_table, markdown), file)
