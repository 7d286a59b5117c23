"""A formula is names and three signs; whatever else it holds is refused with its place, and nothing is evaluated."""

import pytest

from secagg.stats.formula import Formula, read_formula, read_terms
from secagg_protocols import ParameterError


@pytest.mark.parametrize(
    ("text", "outcome", "terms"),
    [
        ("readmitted ~ age", "readmitted", [("age",)]),
        ("y~a+b+a:b", "y", [("a",), ("b",), ("a", "b")]),
        ("y ~ a*b + c", "y", [("a",), ("b",), ("c",), ("a", "b")]),
        ("y ~ a + a*b", "y", [("a",), ("b",), ("a", "b")]),
        ("y ~ `wt loss` + ph.ecog + größe", "y", [("wt loss",), ("ph.ecog",), ("größe",)]),
    ],
)
def test_terms_are_columns_and_their_products(text, outcome, terms) -> None:
    assert read_formula(text) == Formula(outcome, tuple(terms))


def test_covariates_may_be_listed_with_commas() -> None:
    assert read_terms("age,sex, age:sex") == (("age",), ("sex",), ("age", "sex"))


@pytest.mark.parametrize(
    "text",
    [
        "y ~ log(x)",
        "y ~ x - 1",
        "y ~ 1 + x",
        "y ~ x ** 2",
        "y ~ a:b:c",
        "y ~ __import__('os').system('true')",
        "y ~ a b",
        "y ~ a +",
        "y ~ + a",
        "y ~ a ~ b",
        "y ~",
        "~ a",
        "a + b",
        "",
        "`y ~ a",
        "y ~ a\x00",
        "y ~ " + "a + " * 2000 + "a",
    ],
)
def test_anything_else_is_refused_in_one_line(text) -> None:
    with pytest.raises(ParameterError) as refused:
        read_formula(text)
    assert "\n" not in str(refused.value)
