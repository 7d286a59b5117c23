"""What the pages say of the code is so: state machines, fields, commands, options, keys, names, errors."""

import importlib
import importlib.util
import inspect
import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
import yaml

from secagg.cli.app import app
from secagg.codec import MeanTerms
from secagg.round import SitePolicy
from secagg.round.private import PREFIX, InstitutionTerms
from secagg.schemes import SCHEMES
from secagg.stats import StatPolicy
from secagg_protocols import ParameterError, errors

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
HISTORY = {"CHANGELOG.md"}
"""Pages that also speak of what was."""
PAGES = sorted({*ROOT.glob("*.md"), *DOCS.glob("**/*.md"), *ROOT.glob("examples/**/*.md")})
CURRENT = [page for page in PAGES if page.name not in HISTORY and page.parent.name != "decisions"]


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


# --- commands, options and keys


def spans(page: Path) -> Iterator[str]:
    """Yield each line of a block that is not Python, and each piece of code within a sentence."""
    text = page.read_text(encoding="utf-8")
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
        if language != "python":
            yield from block.replace("\\\n", " ").splitlines()
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    yield from re.findall(r"`([^`]+)`", prose)


def calls(page: Path) -> Iterator[list[str]]:
    """Yield the words of each call of `secagg`, without the comment behind it."""
    for span in spans(page):
        if call := re.match(r"\$? ?(?:\S*/)?secagg ([a-z-]+(?: .*)?)$", " ".join(span.partition(" #")[0].split())):
            yield call[1].split()


def options_of(command: Any) -> set[str]:
    return {name for param in command.params for name in (*param.opts, *param.secondary_opts)} | {"--help"}


def every_command(command: Any) -> Iterator[Any]:
    yield command
    for inner in getattr(command, "commands", {}).values():
        yield from every_command(inner)


@pytest.mark.parametrize("page", CURRENT, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_and_option_that_a_page_names_exists(page: Path) -> None:
    main: Any = typer.main.get_command(app)
    for words in calls(page):
        command, rest = main, words
        while rest and not rest[0].startswith("-") and hasattr(command, "commands"):
            assert rest[0] in command.commands, f"secagg {' '.join(words)}: there is no {rest[0]!r}"
            command, rest = command.commands[rest[0]], rest[1:]
        named = {word.partition("=")[0].rstrip(",.;:)]") for word in rest if re.match(r"\[?--?[a-z]", word)}
        strange = {name.lstrip("[") for name in named} - options_of(command)
        assert not strange, f"secagg {' '.join(words)}: it takes no {', '.join(sorted(strange))}"


OF_OTHERS = {"--trusted-entities", "--run-config", "--node-config", "--federation-config"}
"""Options of Flower's commands."""


@pytest.mark.parametrize("page", CURRENT, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_option_that_stands_alone_is_one_of_some_command(page: Path) -> None:
    ours = {name for command in every_command(typer.main.get_command(app)) for name in options_of(command)}
    alone = {span.split()[0].partition("=")[0] for span in spans(page) if span.startswith("--")}
    assert alone <= ours | OF_OTHERS, sorted(alone - ours - OF_OTHERS)


def site_keys() -> set[str]:
    """Return the keys that a site reads: it names them all where it is given another."""
    found = set()
    for policy, strange in ((SitePolicy, "secagg-no-such-key"), (StatPolicy, "secagg-stats-no-such-key")):
        with pytest.raises(ParameterError) as told:
            policy.read({strange: ""})
        found |= set(re.findall(r"secagg-[a-z-]+", str(told.value).partition("the keys are")[2]))
    return found


def aggregator_keys() -> set[str]:
    """Return the keys of Flower's run configuration: what `SecAgg` takes, a codec's terms, any scheme's parameters."""
    strategy = importlib.import_module("secagg.adapters.flower.strategy").SecAgg
    settings = importlib.import_module("secagg.adapters.flower.settings").Settings
    names = set(inspect.signature(strategy).parameters) | set(MeanTerms.__struct_fields__)
    names |= {PREFIX + name for name in InstitutionTerms.__struct_fields__}
    for kind in (settings, *SCHEMES.values()):
        names |= {field.name for field in fields(kind)}
    return {"secagg-" + name.replace("_", "-") for name in names}


def test_every_key_that_a_page_names_is_read() -> None:
    known = site_keys() | aggregator_keys() | {name for name in SCHEMES if name.startswith("secagg-")}
    assert "secagg-minimum-cohort" in known
    for page in CURRENT:
        for span in spans(page):
            named = set(re.findall(r"(?<![\w./-])secagg-[a-z]+(?:-[a-z]+)*(?![\w./-])", span))
            assert named <= known, f"{page.name}: {sorted(named - known)}"


def test_every_key_for_statistics_is_on_their_page() -> None:
    page = (DOCS / "statistics-policy.md").read_text(encoding="utf-8")
    missing = [key for key in site_keys() if key.startswith("secagg-stats-") and f"| `{key}` |" not in page]
    assert not missing, sorted(missing)


def test_every_target_of_make_that_a_page_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in CURRENT:
        for span in spans(page):
            if target := re.match(r"\$? ?make ([a-z-]+)", span):
                assert re.search(rf"^{target[1]}:", makefile, re.MULTILINE), f"{page.name}: make {target[1]}"


# --- names


PUBLIC = (
    "secagg",
    "secagg.audit",
    "secagg.codec",
    "secagg.group_key",
    "secagg.round",
    "secagg.stats",
    "secagg.train",
    "secagg_he",
    "secagg_protocols",
)


def test_every_public_name_is_in_the_reference() -> None:
    expanded = loaded("site_reference").on_page_markdown
    pages = [expanded(page.read_text(encoding="utf-8")) for page in sorted(DOCS.glob("reference/*.md"))]
    shown = {name.rpartition(".")[2] for page in pages for name in re.findall(r"^::: (\S+)", page, re.MULTILINE)}
    for module in PUBLIC:
        missing = set(importlib.import_module(module).__all__) - shown
        assert not missing, f"{module}: {sorted(missing)}"


def test_every_public_error_is_on_its_page() -> None:
    raised = {name for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, Exception)}
    for module in PUBLIC:
        public = importlib.import_module(module)
        raised |= {name for name in public.__all__ if inspect.isclass(getattr(public, name, None))
                   and issubclass(getattr(public, name), Exception)}  # fmt: skip
    rows = re.findall(r"^\| `(\w+)` \|", (DOCS / "errors.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert raised <= set(rows), sorted(raised - set(rows))


def test_the_smallest_scheme_on_the_page_is_the_one_that_is_tested() -> None:
    shown = re.search(
        r"^```python\n(.*?class Open.*?)```", (DOCS / "own-scheme.md").read_text("utf-8"), re.DOTALL | re.M
    )
    assert shown
    assert shown[1] in (ROOT / "tests" / "registry" / "foreign.py").read_text(encoding="utf-8")


def test_the_citation_is_whole_and_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {"cff-version", "message", "title", "authors"}
    assert needed <= set(citation) <= needed | {"abstract", "keywords", "license", "type", "version"}
    assert (citation["cff-version"], citation["type"]) == ("1.2.0", "software")
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert all(author["name"] for author in citation["authors"])
