"""A user's own table: what is accepted, what becomes of it, and what each refusal says."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.datasets

from secagg.train.builtin import DIGITS_ROWS, load_breast_cancer, load_digits
from secagg.train.csvdata import load_csv
from secagg.train.data import Data, Dataset
from secagg_protocols.errors import InputError


def write(folder: Path, text: str, name: str = "patients.csv") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def load(file: Path, **settings: Any) -> Dataset:
    return load_csv(Data(csv=(str(file),), target="sick", **settings))


def refusal(file: Path, **settings: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(file, **settings)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_breast_cancer_is_scaled_by_its_published_ranges() -> None:
    data = load_breast_cancer()
    assert data.x.shape == (569, 30)
    assert data.x.min() == -1
    assert data.x.max() == 1
    assert data.y.sum() == 212
    assert data.warnings == ()


def test_digits_are_scaled_by_their_published_range_and_odd_ones_are_told_from_even_ones() -> None:
    data = load_digits()
    assert data.x.shape == (DIGITS_ROWS, 64)
    assert {column.ends for column in data.columns.values()} == {(0.0, 16.0)}
    assert "integer pixels in the range 0..16" in sklearn.datasets.load_digits().DESCR
    assert data.classes == ("even", "odd")
    assert data.y[:4].tolist() == [0, 1, 0, 1]  # the digits 0, 1, 2, 3
    assert data.public_rows == DIGITS_ROWS
    assert data.warnings == ()


def test_numbers_texts_missing_values_and_constant_columns(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "age,sex,ward,ratio,sick\n20,f,1,,no\n40,m,1,0.5,yes\n60,NA,1,1.5,yes\n80,f,1,?,no\n",
    )
    data = load(file)
    assert data.features == ("age", "sex=f", "sex=m", "ratio")
    assert data.classes == ("no", "yes")
    assert data.y.tolist() == [0, 1, 1, 0]
    assert data.x[2, 1:3].tolist() == [0, 0]
    assert data.x[[0, 3], 3].tolist() == [0, 0]
    assert np.abs(data.x).max() <= 1
    notes = " ".join(data.notes)
    assert "never vary were left out ('ward')" in notes
    assert "Missing values ('sex' 1, 'ratio' 2)" in notes


def test_constants_from_the_rows_are_a_warning_and_those_from_a_schema_are_not(tmp_path: Path) -> None:
    file = write(tmp_path, "age,sex,sick\n20,f,0\n90,m,1\n120,x,1\n")
    schema = write(tmp_path, '{"age": [0, 100], "sex": ["f", "m"]}', "schema.json")
    assert "no ε covers" in load(file).warnings[0]
    data = load(file, schema=schema)
    assert data.warnings == (
        "The schema does not take all values of 2 column(s) ('age' 33.3%, 'sex' 33.3%): such numbers count as the "
        "nearest bound, such texts as none of the categories. Check units and spelling.",
    )
    assert np.allclose(data.x, [[-0.6, 1, 0], [0.8, 0, 1], [1, 0, 0]], rtol=0, atol=1e-15)


def test_numeric_classes_are_ordered_as_numbers(tmp_path: Path) -> None:
    assert load(write(tmp_path, "a,sick\n1,10\n2,9\n")).classes == ("9", "10")


def test_semicolons_quotes_and_a_byte_order_mark(tmp_path: Path) -> None:
    file = write(tmp_path, '\ufeffnote;a;sick\n"x;\ny";1;0\nz;2;1\n')
    assert load(file, ignore=("note",)).features == ("a",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no rows"),
        ("a,sick\n", "has no rows"),
        ("a,b\n1,2\n", "has no column 'sick'; its columns are 'a', 'b'"),
        ("a,a,sick\n1,2,0\n", "several columns named 'a'"),
        ("a,sick\n1,0\n1\n", "patients.csv line 3 has 1 cells between ',', the header 2"),
        ("a,sick\n1,0\n2,0\n", "1 class(es) ('0'); exactly two"),
        ("a,sick\n1,0\n2,1\n3,2\n", "3 class(es) ('0', '1', '2'); exactly two"),
        ("a,sick\n1,0\n2,\n", "missing in 1 row(s) (patients.csv line 3)"),
        ("a,sick\n1,0\ninf,1\n", "'a' ('inf', patients.csv line 3) holds infinite numbers"),
        ("a,sick\n1,0\n1,1\n", "no feature column that varies"),
        ('a,sick\n1,0\n"2,1\n', "check its quotes"),
        (
            "a,sick\n" + "".join(f"p{i},{i % 2}\n" for i in range(60)),
            "'a' ('p0', patients.csv lines 2, 3, 4 and 57 more)",
        ),
    ],
)
def test_an_unusable_table_is_refused_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    assert says in refusal(write(tmp_path, text))


def test_a_missing_file_a_folder_and_a_binary_are_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "absent.csv")
    assert "directory" in refusal(tmp_path)
    binary = tmp_path / "table.xlsx"
    binary.write_bytes(b"PK\x03\x04\xff\xfe\x00")
    assert "UTF-8" in refusal(binary)


def test_sites_must_be_named_in_every_row(tmp_path: Path) -> None:
    file = write(tmp_path, "a,site,sick\n1,x,0\n2,,1\n")
    assert "'site' is missing in 1 row(s) (patients.csv line 3)" in refusal(file, site_column="site")
    assert "no column 'clinic'" in refusal(file, site_column="clinic")


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ('{"b": [0, 1]}', "'b', no column of patients.csv"),
        ('{"a": [1, 0]}', "'a': range [1.0, 0.0]"),
        ('{"a": "wide"}', "give [low, high] or a list of texts"),
        ("[1]", "must be one JSON object"),
        ("{", "is not JSON"),
        ('{"t": [0, 1]}', "'t' ('low', patients.csv lines 2, 3) holds no number, and the column has a range"),
    ],
)
def test_a_wrong_schema_is_refused(tmp_path: Path, schema: str, says: str) -> None:
    file = write(tmp_path, "a,t,sick\n1,low,0\n2,high,1\n")
    assert says in refusal(file, schema=write(tmp_path, schema, "schema.json"))
    assert "cannot read schema" in refusal(file, schema=tmp_path / "absent.json")


def test_a_feature_that_is_not_a_number_is_named() -> None:
    with pytest.raises(InputError, match="feature 'b' is nan in row 2"):
        Dataset("d", np.array([[0.0, 0.0], [0.0, np.nan]]), np.array([0, 1]), ("a", "b"), ("no", "yes"))
