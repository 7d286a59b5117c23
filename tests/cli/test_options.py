"""An option is stated once, at the field of the value that it belongs to: typer takes it, and the value is made."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from secagg.cli.options import Panel, with_options
from secagg.cli.wording import Wording
from secagg.train.setting import AtLeast, OneOf, Option, Positive, Setting, check
from secagg_protocols.errors import ParameterError


@dataclass(frozen=True, kw_only=True)
class Soup:
    """Options in the library's words."""

    kind: Annotated[Literal["pea", "leek"], Option("What is in it.")] = "pea"
    bowls: Annotated[int, AtLeast(1), Option("For so many.")] = 2
    herb: Annotated[str | None, OneOf(("dill", "mint")), Option("On top.")] = None
    without: Annotated[tuple[str, ...], Option("Leave this out.", metavar="THING")] = ()
    hot: Annotated[bool, Option("Heat it.")] = False
    spoons: Annotated[int, Option("Count of spoons.", flag="--cutlery")] = 1
    litres: Annotated[float, Positive(), Setting("how much is cooked; no option")] = 1.5

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class Table:
    """Options in typer's words."""

    room: Annotated[str, typer.Argument(help="Where.")]
    chairs: Annotated[int, typer.Option("-c", "--chairs", min=1, help="How many.")]


@dataclass(frozen=True, kw_only=True)
class Dinner:
    """Values in a value."""

    soup: Annotated[Soup, Panel("Kitchen")]
    table: Annotated[Table, Panel("Room")]


served: list[tuple[Dinner, bool]] = []


@with_options
def dine(dinner: Dinner, as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Have dinner."""
    served.append((dinner, as_json))


def run(command: Callable[..., None], *arguments: str) -> Result:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, list(arguments), terminal_width=100)


def test_the_command_is_called_with_the_values_that_the_options_make() -> None:
    given = "hall -c 4 --kind leek --bowls 3 --herb mint --without salt --without peas --hot --cutlery 2 --json"
    assert run(dine, *given.split()).exit_code == 0
    soup = Soup(kind="leek", bowls=3, herb="mint", without=("salt", "peas"), hot=True, spoons=2)
    assert served.pop() == (Dinner(soup=soup, table=Table(room="hall", chairs=4)), True)


def test_what_is_not_given_is_the_fields_default() -> None:
    assert run(dine, "hall", "--chairs", "1").exit_code == 0
    assert served.pop() == (Dinner(soup=Soup(), table=Table(room="hall", chairs=1)), False)


def test_help_says_what_the_fields_say_in_their_panels() -> None:
    said = run(dine, "--help").stdout
    everywhere, kitchen, room = said.index("As JSON."), said.index(" Kitchen "), said.rindex(" Room ")
    assert everywhere < kitchen < said.index("What is in it.") < room < said.index("How many.")
    for shown in ("[pea|leek]", "INTEGER RANGE [x>=1]", "[dill|mint]", "THING", "--cutlery", "[required]"):
        assert shown in said
    for hidden in ("--no-hot", "--spoons", "--litres"):
        assert hidden not in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["-c", "1"],
        ["hall"],
        ["hall", "-c", "1", "--bowls", "0"],
        ["hall", "-c", "1", "--kind", "fish"],
        ["hall", "-c", "1", "--herb", "hemlock"],
        ["hall", "-c", "1", "--litres", "2"],
    ],
)
def test_what_a_field_does_not_take_is_bad_usage(arguments: list[str]) -> None:
    assert run(dine, *arguments).exit_code == 2
    assert served == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": "fish"}, "kind = 'fish' is not known; choose pea or leek"),
        ({"bowls": 0}, "bowls = 0 must be at least 1"),
        ({"herb": "hemlock"}, "herb = 'hemlock' is not known; choose dill or mint"),
        ({"litres": float("inf")}, "litres = inf must be a finite number above 0"),
    ],
)
def test_the_same_field_is_checked_when_a_program_makes_the_value(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError) as caught:
        Soup(**changes)
    assert str(caught.value) == says


def test_two_options_of_one_name_are_refused_when_the_command_is_made() -> None:
    def twice(soup: Soup, bowls: Annotated[Path, typer.Option()]) -> None: ...

    with pytest.raises(TypeError, match="two options 'bowls'"):
        with_options(twice)


@pytest.mark.parametrize(
    ("library", "typed"),
    [
        ("bowls = 0 must be at least 1", "--bowls 0 must be at least 1"),
        ("spoons=5, with bowls=3: lower spoons or bowls", "--cutlery 5, with --bowls 3: lower --cutlery or --bowls"),
        ("litres=0.5 is little: raise litres", "litres=0.5 (--bowls) is little: raise --bowls"),
        ("soup_kind is not known, but many bowls are", "--kind is not known, but many bowls are"),
        ("unknown=3, bowls_of=2 and a set bowl", "unknown=3, bowls_of=2 and a set bowl"),
    ],
)
def test_a_refusal_names_the_options_that_were_typed(library: str, typed: str) -> None:
    flags = {"bowls": "--bowls", "spoons": "--cutlery", "soup_kind": "--kind", "litres": "--bowls"}
    assert Wording(flags, {"litres"}).as_typed(library) == typed


def test_what_the_library_refuses_is_told_of_the_options_of_the_command() -> None:
    @with_options
    def cook(soup: Soup) -> None:
        raise ParameterError(f"bowls={soup.bowls} is too few for the litres: raise bowls or spoons, leave hot=True")

    told = run(cook, "--bowls", "1").exception
    assert str(told) == "--bowls 1 is too few for the litres: raise --bowls or --cutlery, leave --hot True"
