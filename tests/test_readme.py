"""The pages do what they say: their Python runs, the table is the schemes' own, links lead somewhere."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from secagg.round import drive

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
PROGRAMS = (
    "README.md",
    "docs/codec.md",
    "docs/errors.md",
    "docs/group-key.md",
    "docs/own-system.md",
    "docs/statistics-policy.md",
)
"""Pages whose Python is one program each."""


@pytest.mark.parametrize("page", PROGRAMS)
def test_every_python_block_runs_in_order(page: str, tmp_path: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    assert blocks
    program = tmp_path / "page.py"
    program.write_text("\n".join(blocks), encoding="utf-8")
    ended = subprocess.run([sys.executable, program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150, "what a newcomer does not need first belongs to docs/"


def test_the_loop_in_the_readme_is_the_one_that_drives_every_round() -> None:
    printed = re.search(r"^```python\n(def drive\(.*?)\n\n\n", README, flags=re.DOTALL | re.MULTILINE)
    assert printed
    (shown,), (real,) = ast.parse(printed[1]).body, ast.parse(inspect.getsource(drive)).body
    assert isinstance(shown, ast.FunctionDef)
    assert isinstance(real, ast.FunctionDef)
    assert [one.arg for one in shown.args.args] == [one.arg for one in real.args.args]
    assert list(map(ast.dump, shown.body)) == list(map(ast.dump, real.body[1:]))  # the first is its docstring


def test_the_table_of_who_learns_what_is_the_schemes_own() -> None:
    from secagg.cli.schemes import guarantee_table, leakage_table

    assert guarantee_table() in README, "put the output of `secagg schemes --markdown` into README.md"
    page = (ROOT / "docs" / "leakage.md").read_text(encoding="utf-8")
    assert leakage_table() in page, "put the output of `secagg schemes --markdown --all` into docs/leakage.md"


def test_everything_in_the_readme_comes_from_secagg() -> None:
    python = "\n".join(re.findall(r"^```python\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE))
    imported = set(re.findall(r"^(?:from|import) (secagg\w*)", python, flags=re.MULTILINE))
    assert imported == {"secagg"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing, missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_test_that_is_named_as_proof_exists(page: Path) -> None:
    """A link text `test_name` beside a link to a test file names a function in that file."""
    proofs = re.findall(r"\[`(test_\w+)`\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
    missing = [name for name, file in proofs if f"def {name}(" not in (page.parent / file).read_text(encoding="utf-8")]
    assert not missing, missing
