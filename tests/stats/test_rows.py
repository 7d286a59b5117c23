"""A site's table is read as the query says, or refused in one line that only the site sees."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from secagg.stats import Category, Mean, Number, Query, Rows, read_csv
from secagg_protocols import InputError

AGE = Number(0, 120, 1)
QUERY = Query(columns={"age": AGE, "sex": Category(("f", "m"))}, rows=5, statistics=(Mean("age", "sex"),))


def test_values_are_rounded_and_clipped_and_the_site_knows_how_many() -> None:
    rows = Rows.of({"age": [-3, 0.06, 119.94, 1e300], "sex": ["f", "m", "x", None]}, QUERY)
    assert rows.units("age").tolist() == [0, 1, 1199, 1200]
    assert rows.codes("sex").tolist() == [0, 1, -1, -1]
    assert rows.beyond == {"age": 2, "sex": 1}
    assert rows.complete().count == 2


@pytest.mark.parametrize("cells", [["1", "0", None], [1.0, 0.0, np.nan], [True, False, None]])
def test_categories_that_are_numbers_are_told_apart_as_numbers(cells: list[object]) -> None:
    query = Query(columns={"event": Category(("0", "1")), "age": AGE}, rows=5, statistics=(Mean("age", "event"),))
    rows = Rows.of({"event": cells, "age": [1, 2, 3]}, query)
    assert rows.codes("event").tolist() == [1, 0, -1]


@pytest.mark.parametrize("kind", ["Float64", "float64", "object"])
def test_a_missing_cell_of_pandas_is_missing_whatever_its_type(kind: str) -> None:
    table = pd.DataFrame({"age": pd.Series([1, None, 3], dtype=kind), "sex": pd.Series(["f", "m", pd.NA])})
    rows = Rows.of(table, QUERY)
    assert rows.whole.tolist() == [True, False, False]
    assert rows.complete().count == 1


WRONG = {
    "a column is missing": ({"age": [1]}, "has no column 'sex'"),
    "texts in place of numbers": ({"age": ["old"], "sex": ["f"]}, "'age' holds no numbers"),
    "an infinite number": ({"age": [np.inf], "sex": ["f"]}, "infinite"),
    "more rows than stated": ({"age": range(6), "sex": ["f"] * 6}, "6 rows, and the query is made for 5"),
    "columns of two lengths": ({"age": [1, 2], "sex": ["f"]}, "different lengths"),
}


@pytest.mark.parametrize("wrong", sorted(WRONG))
def test_a_table_that_does_not_fit_is_refused_in_one_line(wrong: str) -> None:
    table, why = WRONG[wrong]
    with pytest.raises(InputError, match=why):
        Rows.of(table, QUERY)


def test_a_csv_file_is_read_as_training_reads_one(tmp_path: Path) -> None:
    file = tmp_path / "site.csv"
    file.write_text("sex;other;age\nf;x;61,5\nm;y;NA\n", encoding="utf-8")
    table = read_csv(file, QUERY, decimal=",")
    assert table["age"].tolist()[0] == 61.5
    assert Rows.of(table, QUERY).complete().count == 1
    file.write_text("sex,age\nf,sixty\nm,61\nf,62\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 2"):
        read_csv(file, QUERY)


def test_statistics_of_a_file_need_no_torch(tmp_path: Path) -> None:
    (tmp_path / "site.csv").write_text("sex,age\nf,60\nm,61\n", encoding="utf-8")
    program = (
        "import sys\n"
        "from secagg.stats import *\n"
        "query = Query(columns={'age': Number(0, 120)}, rows=9, minimum_cell=0, statistics=(Mean('age'),))\n"
        "table = read_csv('site.csv', query)\n"
        "print(simulate(query, {'a': table, 'b': table, 'c': table}).results[0].rows[0].mean)\n"
        "assert not {'torch', 'sklearn', 'dp_accounting'} & set(sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.stdout.strip() == "60.5", ended.stderr
