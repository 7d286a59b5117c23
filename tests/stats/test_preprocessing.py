"""A schema for training comes from secure sums, and holds no category that only few rows have."""

import numpy as np
import pandas as pd
import pytest

from secagg.stats import Category, Count, Crosstab, Mean, Number, Query, schema_of, simulate

TABLE = pd.DataFrame(
    {"age": np.linspace(40, 60, 60), "sex": ["f", "m"] * 30, "stage": ["i"] * 40 + ["ii"] * 16 + ["iii"] * 4}
)


@pytest.fixture(scope="module")
def schema():
    query = Query(
        columns={
            "age": Number(0, 120, 2),
            "sex": Category(("f", "m", "x")),
            "stage": Category(("i", "ii", "iii")),
        },
        rows=100,
        statistics=(Mean("age"), Count("stage"), Crosstab("sex", "stage")),
    )
    ended = simulate(query, {f"site {number}": TABLE.iloc[number::3] for number in range(3)})
    return schema_of(query, ended.results)


def test_a_range_lies_four_deviations_about_the_mean(schema) -> None:
    low, high = schema["age"]
    assert low == pytest.approx(50 - 4 * TABLE["age"].std(), abs=0.01)
    assert high == pytest.approx(50 + 4 * TABLE["age"].std(), abs=0.01)


def test_categories_of_few_rows_and_of_none_are_not_listed(schema) -> None:
    assert schema["stage"] == ["i"]
    assert "x" not in schema["sex"]
