"""One label for one use: each is named at one place of the code, so it has one layout of fields and one meaning."""

import ast
from collections import defaultdict
from pathlib import Path

from secagg_protocols.primitives.domain import Use

ROOT = Path(__file__).parents[2]
FOLDERS = ("protocols", "he_backend", "secagg", "bench")
DERIVED_AT_TWO_ENDS = {"PairwiseKeys"}
"""One derivation in one place, which participant and server ask for: what it is asked for is not written out twice."""


def callee(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def label_of(node: ast.AST) -> str | None:
    named = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Use"
    return node.attr if named else None


def places() -> dict[str, list[str]]:
    """Return label → the calls that it is given to."""
    found: dict[str, list[str]] = defaultdict(list)
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                for argument in node.args if isinstance(node, ast.Call) else ():
                    if label := label_of(argument):
                        found[label].append(f"{callee(node)} in {file.relative_to(ROOT)}:{node.lineno}")
    return found


def test_every_label_is_named_at_one_place():
    twice = {
        label: calls
        for label, calls in places().items()
        if len(calls) > 1 and {call.partition(" in ")[0] for call in calls} - DERIVED_AT_TWO_ENDS
    }
    assert not twice


def test_no_label_is_without_a_use():
    assert Use.__members__.keys() == places().keys()


def test_a_second_use_of_a_label_would_be_found(tmp_path, monkeypatch):
    code = 'digest(Use.ROSTER, text)\ndomain.separated(Use.ROSTER, text, b"signed")\nif use is Use.SESSION:\n    pass\n'
    (tmp_path / "protocols").mkdir()
    (tmp_path / "protocols" / "odd.py").write_text(code)
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert places() == {"ROSTER": ["digest in protocols/odd.py:1", "separated in protocols/odd.py:2"]}
