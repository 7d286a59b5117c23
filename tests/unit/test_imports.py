"""Imports go down only, and the base install stays small."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
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
STOREYS = ("errors", "primitives", "packing", "core", "dealing")
"""Of the protocols, from the ground up; above them are the schemes, which may stand on each other."""
ADAPTERS = {"flare": 400, "flower": 750, "syft": 760}
"""Most lines of each: records and messages of its runtime. What is of use beyond it belongs to the round."""


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


@pytest.mark.parametrize("adapter", sorted(ADAPTERS))
def test_an_adapter_is_small(adapter: str) -> None:
    files = (ROOT / "secagg/adapters" / adapter).rglob("*.py")
    lines = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)
    assert lines <= ADAPTERS[adapter]


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


def test_importing_secagg_loads_no_extra_and_its_command_line_no_other() -> None:
    program = "import secagg, sys; print(*sys.modules); import secagg.cli.app; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    library, command_line = map(set, map(str.split, told.splitlines()))
    heavy = {"torch", "sklearn", "dp_accounting", "matplotlib", "jinja2", "pandas", "scipy", "pytest"}
    assert not library & (heavy | {"typer", "rich"})
    assert not command_line & heavy


def test_a_missing_extra_is_named() -> None:
    with pytest.raises(MissingExtra, match=r"-e '\.\[train\]'"), needed("train"):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")


def test_the_conformance_suite_without_pytest_names_its_extra() -> None:
    program = "import sys; sys.modules['pytest'] = None; import secagg.conformance"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert "MissingExtra: pytest is not installed" in ended.stderr
    assert "-e '.[conformance]'" in ended.stderr


def test_a_missing_module_of_ours_is_no_missing_extra() -> None:
    with pytest.raises(ModuleNotFoundError, match="secagg_protocols") as caught, needed("train"):
        raise ModuleNotFoundError("No module named 'secagg_protocols.x'", name="secagg_protocols.x")
    assert not isinstance(caught.value, MissingExtra)


def _module_of(file: Path) -> str:
    for package, (folder, _) in FLOORS.items():
        if folder in file.parents:
            parts = file.relative_to(folder).with_suffix("").parts
            return ".".join((package, *(part for part in parts if part != "__init__")))
    raise AssertionError(file)


MODULES = {_module_of(file): file for folder, _ in FLOORS.values() for file in sorted(folder.rglob("*.py"))}


def _targets(module: str, file: Path) -> Iterator[str]:
    """Yield what of ours a module imports, wherever in it: at the top, in a function, for types only."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                within = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
                above = within[: len(within) - (node.level - 1)]
                base = ".".join([*above, *([node.module] if node.module else [])])
            for name in node.names:
                full = f"{base}.{name.name}"
                yield full if full in MODULES else base


@cache
def graph() -> dict[str, set[str]]:
    """Module → the modules of ours that it imports."""
    return {module: {name for name in _targets(module, file) if name in MODULES} for module, file in MODULES.items()}


def test_no_module_imports_one_that_imports_it_not_even_later_or_for_types() -> None:
    left = {module: names - {module} for module, names in graph().items()}
    while ended := {module for module, names in left.items() if not names}:
        left = {module: names - ended for module, names in left.items() if module not in ended}
    assert not left, sorted(left)


def test_the_protocols_stand_storey_on_storey() -> None:
    def storey(module: str) -> int:
        part = module.split(".")[1] if "." in module else "the package"
        return STOREYS.index(part) if part in STOREYS else len(STOREYS)

    ours = [module for module in graph() if module.startswith("secagg_protocols")]
    wrong = [f"{module} imports {name}" for module in ours for name in graph()[module] if storey(name) > storey(module)]
    assert not wrong, wrong
