"""The drawn state machines are the tables in the code, and the table of fields is that of the messages."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

DOCS = Path(__file__).parents[1] / "docs"


def loaded(name: str) -> ModuleType:
    """Return the module that writes a page."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_state_machines_on_the_page_are_those_of_the_code() -> None:
    module = loaded("make_state_machines")
    assert module.page() == (DOCS / "state-machines.md").read_text(encoding="utf-8"), "run docs/make_state_machines.py"


def test_the_fields_and_labels_on_the_page_are_those_of_the_code() -> None:
    assert loaded("make_wire").page() == (DOCS / "wire.md").read_text(encoding="utf-8"), "run docs/make_wire.py"


def test_every_function_that_the_reading_page_names_is_where_it_says() -> None:
    named = re.findall(
        r"((?:`\w+`,? ?)+)(?: in )?\[[\w/]+\.py\]\(([\w./]+)\)", (DOCS / "reading.md").read_text("utf-8")
    )
    assert len(named) > 20
    for names, file in named:
        source = (DOCS / file).read_text(encoding="utf-8")
        for name in re.findall(r"\w+", names):
            assert re.search(rf"^(?:def|class) {name}\b|^{name} =", source, re.MULTILINE), f"{name} is not in {file}"
