"""Writes what commands print into docs/first-ten-minutes.md, and its picture: `python docs/make_first_minutes.py`.

It runs the commands that the page shows, each between two marks. Noise and times differ from run to run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

PAGE = Path(__file__).parent / "first-ten-minutes.md"
PICTURE = PAGE.parent / "pictures" / "report.svg"
SHOWN = re.compile(r"(<!-- secagg (?P<arguments>.*?) -->\n\n```text\n).*?(```\n\n<!-- end -->)", re.DOTALL)
WIDTH = 120


def output(arguments: list[str], folder: Path) -> str:
    """Return what a command prints, as a person sees it."""
    command = [sys.executable, "-m", "secagg.cli", *arguments]
    environment = os.environ | {"COLUMNS": str(WIDTH), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    lines = ended.stdout.replace(f"{folder}{os.sep}", "").splitlines()
    return "".join(f"{textwrap.fill(line.rstrip(), WIDTH) if len(line) > WIDTH else line.rstrip()}\n" for line in lines)


def write() -> None:
    """Run the page's commands and write what they print; keep the first figure of the report that comes of them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        page = SHOWN.sub(
            lambda found: found[1] + output(found["arguments"].split(), folder) + found[3],
            PAGE.read_text(encoding="utf-8"),
        )
        report = (folder / "report.html").read_text(encoding="utf-8")
    PAGE.write_text(page, encoding="utf-8")
    figure = report[report.index("<svg") : report.index("</svg>")]
    white = '<rect width="100%" height="100%" fill="white"/>'
    PICTURE.write_text(f"{figure.replace('>', f'>{white}', 1)}</svg>\n", encoding="utf-8")


if __name__ == "__main__":
    write()
