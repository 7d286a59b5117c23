"""The example says what its page shows."""

import re
from pathlib import Path

import pytest

for package in ("torch", "sklearn"):
    pytest.importorskip(package, reason=f"{package} is not installed: pip install -c constraints.txt -e '.[train]'")

EXAMPLE = Path(__file__).parents[3] / "examples/flare-breast-cancer"
LIMIT_S = 150


def test_the_example_ends_as_its_page_says(flare_engine):
    log = flare_engine.run(LIMIT_S, EXAMPLE / "job.py")
    page = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    *_, last = re.findall(r"^```text\n(.*?)\n```", page, re.DOTALL | re.MULTILINE)
    assert last in log
    (_, shown), *_ = [line.split(" - ", 1) for line in re.findall(r"^INFO - .*", page, re.MULTILINE)]
    assert shown in log
