"""Imports go down only, and the base install stays small."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from secagg.extras import MissingExtra, needed

ROOT = Path(__file__).parents[2]
FLOORS = {
    "secagg_protocols": (ROOT / "protocols/secagg_protocols", set()),
    "secagg_he": (ROOT / "he_backend/secagg_he", {"secagg_protocols"}),
    "secagg": (ROOT / "secagg", {"secagg_protocols", "secagg_he"}),
    "secagg_bench": (ROOT / "bench/secagg_bench", {"secagg_protocols", "secagg_he", "secagg"}),
}
BASE = {"numpy", "cryptography", "msgspec"}


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


@pytest.mark.parametrize("floor", FLOORS)
def test_imports_go_down_only(floor: str) -> None:
    folder, below = FLOORS[floor]
    upwards = FLOORS.keys() - below - {floor}
    wrong = [
        f"{file.relative_to(ROOT)} imports {module}"
        for file in folder.rglob("*.py")
        for module in imported(file)
        if module.partition(".")[0] in upwards
    ]
    assert not wrong, wrong


def test_protocols_import_only_the_base_install() -> None:
    allowed = BASE | {"secagg_protocols"} | sys.stdlib_module_names
    folder, _ = FLOORS["secagg_protocols"]
    wrong = [
        f"{file.relative_to(ROOT)} imports {module}"
        for file in folder.rglob("*.py")
        for module in imported(file)
        if module.partition(".")[0] not in allowed
    ]
    assert not wrong, wrong


def test_importing_secagg_loads_no_extra() -> None:
    program = "import secagg, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    heavy = {"torch", "sklearn", "dp_accounting", "matplotlib", "jinja2", "typer", "rich"}
    assert not heavy & set(loaded.split())


def test_a_missing_extra_is_named() -> None:
    with pytest.raises(MissingExtra, match=r"pip install 'secagg\[train\]'"), needed("train"):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")


def test_a_missing_module_of_ours_is_no_missing_extra() -> None:
    with pytest.raises(ModuleNotFoundError, match="secagg_protocols") as caught, needed("train"):
        raise ModuleNotFoundError("No module named 'secagg_protocols.x'", name="secagg_protocols.x")
    assert not isinstance(caught.value, MissingExtra)
