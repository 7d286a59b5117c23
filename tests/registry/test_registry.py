"""What a scheme says of itself: whole, without contradiction, its own; and nobody else asks what it is called."""

import ast
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import secagg
from secagg import audit, registry
from secagg.registry import Registry
from secagg.schemes import EARLY_KEYS, ONE_KEY, OWN_PROTECTING, PROTECTING, SCHEMES, WITHSTAND_ACTIVE
from secagg_protocols.core.guarantee import Adversary, Coalition, Guarantee, Keys, Traits

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def _foreign() -> Any:
    spec = importlib.util.spec_from_file_location("foreign_schemes_under_test", HERE / "foreign.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look
    spec.loader.exec_module(module)
    return module


foreign = _foreign()


def another(base: type[secagg.Scheme], **said: Any) -> type[secagg.Scheme]:
    """Return a class like `base` that says other things of itself."""
    body = {"name": "another", "traits": base.traits, "__annotations__": {}, **said}
    return dataclass(frozen=True)(type("Another", (base,), body))


@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_of_ours_passes_what_is_asked_of_others(name: str) -> None:
    registry.check(SCHEMES[name])


@pytest.mark.parametrize("name", SCHEMES)
def test_what_a_scheme_promises_is_what_it_can_do(name: str) -> None:
    for scheme in SCHEMES[name].examples():
        said = scheme.guarantee
        assert (said.adversary is not None) == (name in PROTECTING)
        assert said.adversary in {None, *scheme.traits.adversaries}
        assert ("AdvertiseKeys" in scheme.steps) == (name in EARLY_KEYS)


def test_the_sets_follow_from_what_schemes_say() -> None:
    assert set(WITHSTAND_ACTIVE) == {"bonawitz", "threshold-ckks"}
    assert set(EARLY_KEYS) == {"bonawitz", "secagg-plus", "lightsecagg", "threshold-ckks"}
    assert set(ONE_KEY) == {"bfv", "ckks"}
    assert set(PROTECTING) == OWN_PROTECTING == SCHEMES.keys() - {"plain"}


# --- what is said too little


def test_a_scheme_that_declares_less_than_it_opens_is_refused_by_name() -> None:
    opens_more = another(foreign.Mine, traits=replace(foreign.Mine.traits, opens=frozenset({"self_mask_seeds"})))
    with pytest.raises(secagg.ParameterError, match="another opens 'mask_keys', which its traits do not declare"):
        registry.check(opens_more)


def test_a_scheme_that_does_not_say_how_long_a_field_of_its_messages_is_is_refused_by_name() -> None:
    unsized = another(secagg.LightSecAgg, exchange=secagg.Bonawitz.exchange)
    with pytest.raises(secagg.ParameterError, match=r"how long commitments can be.*commitments_bytes"):
        registry.check(unsized)


def test_what_a_round_opens_undeclared_is_recorded_by_nobody() -> None:
    """Also where the scheme was never registered."""
    opens_more = another(foreign.Mine, traits=replace(foreign.Mine.traits, opens=frozenset()))(5, 3)
    run = secagg.simulate(opens_more, np.ones((5, 3), int), drop={1: "MaskedInput"})
    with pytest.raises(secagg.ParameterError, match="another opens 'mask_keys'"):
        audit.describe(opens_more, secagg.RoundContext("job", 1, bytes(32)), run, now=datetime.now(UTC), salt=bytes(32))


@pytest.mark.parametrize("unsaid", ["secrets", "work", "opened_by"])
def test_what_a_scheme_does_not_say_is_not_guessed(unsaid: str) -> None:
    body = {name: value for name, value in vars(foreign.Mine).items() if name != unsaid and name[:2] != "__"}
    silent = type("Silent", (secagg.Bonawitz.__mro__[1],), {**body, "__annotations__": {}})
    with pytest.raises(secagg.ParameterError, match=f"Silent does not say {unsaid}"):
        registry.check(dataclass(frozen=True)(silent))


@pytest.mark.parametrize("inherited", ["name", "traits"])
def test_the_promise_of_a_parent_is_not_the_childs(inherited: str) -> None:
    """Other machines under an inherited guarantee would be recorded as what they are not."""
    child = another(secagg.Bonawitz)
    delattr(child, inherited)
    with pytest.raises(secagg.ParameterError, match=f"does not say its own {inherited}"):
        registry.check(child)


# --- what is said too much


def test_an_active_server_is_refused_by_a_scheme_that_does_not_withstand_it() -> None:
    """Else a site that asks for one would join: what counts is what the scheme says, not what it was told."""
    passive = another(foreign.Mine, traits=replace(foreign.Mine.traits, adversaries={Adversary.SEMI_HONEST}))
    with pytest.raises(secagg.ParameterError, match="another is not made for a server that departs"):
        passive(5, 3, adversary="active")


def test_a_guarantee_for_another_server_than_it_was_made_for_is_refused() -> None:
    braggart = another(foreign.Mine, guarantee=replace(foreign.Mine(5, 3, adversary="active").guarantee))
    with pytest.raises(secagg.ParameterError, match="made with adversary=semi-honest, the guarantee says active"):
        registry.check(braggart)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"colluders": 3, "opened_by": (Coalition(3, "every vector"),)}, "the server with 3 opens vectors"),
        ({"opened_by": ()}, "say who opens vectors"),
        ({"adversary": None}, "no server is withstood"),
        ({"opened_by": (Coalition(0, "every vector"),)}, "the server with 0 opens vectors"),
    ],
)
def test_a_guarantee_that_contradicts_itself_cannot_be_made(said: dict[str, Any], why: str) -> None:
    good: dict[str, Any] = {
        "adversary": Adversary.SEMI_HONEST,
        "colluders": 1,
        "statistical_bits": None,
        "opened_by": (Coalition(3, "every vector"),),
        "sum_known_to": "server",
    }
    Guarantee(**good)
    with pytest.raises(secagg.ParameterError, match=why):
        Guarantee(**good | said)


@pytest.mark.parametrize("said", [{"protects": False}, {"adversaries": ()}, {"keys": Keys.NONE}])
def test_traits_that_contradict_themselves_cannot_be_made(said: dict[str, Any]) -> None:
    good: dict[str, Any] = {
        "protects": True,
        "adversaries": {"semi-honest"},
        "keys": Keys.OWN,
        "early_keys": False,
        "opens": (),
    }
    Traits(**good)
    with pytest.raises(secagg.ParameterError, match="contradict each other"):
        Traits(**good | said)


def test_a_group_key_that_nobody_makes_is_refused() -> None:
    keyless = another(foreign.Mine, traits=replace(foreign.Mine.traits, keys=Keys.GROUP))
    with pytest.raises(secagg.ParameterError, match="only schemes with keys=group make_group_key"):
        registry.check(keyless)


@pytest.mark.parametrize("name", ["", "Mine", "mine ", "-mine", "mine,bonawitz", "m" * 65, 7])
def test_a_name_that_no_list_can_hold_is_refused(name: object) -> None:
    with pytest.raises(secagg.ParameterError, match="is not lower-case words"):
        registry.check(another(foreign.Mine, name=name))


@pytest.mark.parametrize("thing", [None, 3, int, foreign.Mine(5, 3), "secagg:Bonawitz"])
def test_what_is_no_class_of_schemes_is_refused(thing: Any) -> None:
    with pytest.raises(secagg.ParameterError, match="is no class of schemes"):
        registry.check(thing)


# --- by hand


def test_a_scheme_is_registered_by_hand_and_only_once() -> None:
    mine = Registry([secagg.Bonawitz])
    mine.register(foreign.Mine)
    assert (tuple(mine), mine["mine"]) == (("bonawitz", "mine"), foreign.Mine)
    with pytest.raises(secagg.ParameterError, match="two schemes are called 'mine'"):
        mine.register(foreign.Mine)
    with pytest.raises(secagg.ParameterError, match="two schemes are called 'bonawitz'"):
        mine.register(another(foreign.Mine, name="bonawitz"))
    assert tuple(mine) == ("bonawitz", "mine")


# --- nobody else asks

LIARS = ROOT / "bench" / "secagg_bench" / "liars"
"""It plays participants that lie, in the messages of each scheme's own: it is about these schemes, and knows them."""
CLASSES = {kind.__name__ for kind in SCHEMES.own.values()} | {"Dealing", "SingleKey"}


def _questions(tree: ast.AST) -> Iterator[str]:
    """Yield what asks for the class or the name of a scheme."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("isinstance", "issubclass")
        ):
            named = {it.id for it in ast.walk(node) if isinstance(it, ast.Name)}
            named |= {it.attr for it in ast.walk(node) if isinstance(it, ast.Attribute)}
            if named & CLASSES:
                yield ast.unparse(node)
        if isinstance(node, ast.Compare):
            words = {it.value for it in ast.walk(node) if isinstance(it, ast.Constant) and isinstance(it.value, str)}
            named = {it.id for it in ast.walk(node) if isinstance(it, ast.Name)}
            if words & SCHEMES.own.keys() or named & CLASSES:
                yield ast.unparse(node)
        if isinstance(node, ast.MatchClass) and ast.unparse(node.cls).split(".")[-1] in CLASSES:
            yield ast.unparse(node)


@pytest.mark.parametrize("folder", ["secagg", "bench/secagg_bench"])
def test_no_line_outside_a_schemes_folder_asks_what_it_is(folder: str) -> None:
    files = [file for file in sorted((ROOT / folder).rglob("*.py")) if file.parent != LIARS]
    assert files
    found = [
        f"{file.relative_to(ROOT)}: {question}"
        for file in files
        for question in _questions(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert not found, found


@pytest.mark.parametrize(
    "line",
    [
        "isinstance(scheme, Bonawitz | LightSecAgg)",
        "isinstance(scheme, secagg.Plain)",
        "scheme.name == 'plain'",
        "name in ('bfv', 'ckks')",
        "kind is SecAggPlus",
    ],
)
def test_a_line_that_asks_is_seen(line: str) -> None:
    assert list(_questions(ast.parse(line)))
