"""A scheme of another package that is broken is refused by its name; nothing ends in a traceback."""

import re
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

import pytest

import secagg
from secagg import registry
from secagg.cli import schemes as tables
from secagg_protocols import Client, Server


def _raises(*_: object) -> Any:
    raise RuntimeError("its author forgot something")


BROKEN = {
    "a guarantee that is none": {"guarantee": None},
    "a guarantee that raises": {"guarantee": property(_raises)},
    "leakage that is no rows": {"leakage": ("the server",)},
    "secrets that are none": {"secrets": ("seeds",)},
    "no table of what is sent": {"exchange": ()},
    "no length of messages": {"payload_limit": None},
    "a constructor that raises": {"__post_init__": _raises},
    "examples that raise": {"examples": classmethod(_raises)},
    "machines that are none": {"machines": (int, int)},
    "one machine": {"machines": (Client,)},
    "machines in the wrong order": {"machines": (Server, Client)},
    "a quorum of nobody": {"quorum": 0},
    "a quorum of more than there are": {"quorum": 10**6},
    "a quorum that is no number": {"quorum": "2"},
}


def broken(**said: Any) -> type[secagg.Scheme]:
    body = {"name": "broken", "traits": secagg.Plain.traits, "__annotations__": {}, **said}
    return dataclass(frozen=True)(type("Broken", (secagg.Plain,), body))


@pytest.mark.parametrize("said", BROKEN.values(), ids=BROKEN)
def test_a_broken_scheme_is_refused_by_its_class(said: dict[str, Any]) -> None:
    with pytest.raises(secagg.ParameterError, match="Broken"):
        registry.check(broken(**said))


@pytest.mark.parametrize("said", BROKEN.values(), ids=BROKEN)
def test_a_package_with_a_broken_scheme_is_refused_by_the_entry_points_name(
    said: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = EntryPoint("broken", "somewhere:Broken", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    monkeypatch.setattr(EntryPoint, "load", lambda self: broken(**said))
    schemes = registry.Registry([secagg.Plain])
    assert schemes["plain"] is secagg.Plain
    with pytest.raises(secagg.ParameterError, match=r"scheme 'broken', of somewhere:Broken, is refused: .*Broken"):
        list(schemes)


def test_what_is_not_broken_is_accepted() -> None:
    registry.check(broken())


def test_no_table_says_that_a_scheme_without_protection_withstands_a_server(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row for row in (tables.guarantee_table() + "\n" + tables.leakage_table()).splitlines() if "`plain`" in row]
    assert len(rows) == 3
    assert all(row.split(" | ")[1] == "none" for row in rows)
    tables.schemes()
    shown = [row for row in capsys.readouterr().out.splitlines() if re.match(r"│ plain ", row)]
    assert shown
    assert all(row.split("│")[2].strip() == "none" for row in shown)
