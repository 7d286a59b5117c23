"""Tables as hospitals export them: read as they were meant, or refused with the cell, its line and what to type."""

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from secagg.train.context import sources
from secagg.train.csvdata import load_csv
from secagg.train.data import Data, Dataset
from secagg.train.schema import Categorical, Numeric
from secagg.train.silos import make_silos
from secagg.train.table.encoding import encode
from secagg.train.table.reading import read_tables
from secagg_protocols.errors import InputError, ParameterError

CASES = Path(__file__).parent.parent / "cases"
DISGUISE = CASES / "02-numbers-in-disguise"
DISAGREE = CASES / "03-schema-and-site-disagree"
HOSPITALS = CASES / "07-one-file-per-hospital"
EXPORT = CASES / "15-a-site-of-one-row-at-a-time" / "export.csv"

FEATURES = ("age", "creatinine", "crp", "sex=f", "sex=m")


def load(*files: Path | str, target: str = "outcome", **settings: Any) -> Dataset:
    return load_csv(Data(csv=tuple(map(str, files)), target=target, **settings))


def refusal(*files: Path | str, **settings: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(*files, **settings)
    text = str(caught.value)
    assert "\n" not in text
    return text


def column(folder: Path, cells: list[str]) -> Path:
    """Write a table with one column, of these cells over and over, and an outcome."""
    file = folder / "table.csv"
    rows = [f'"{cells[row % len(cells)]}",{row % 2}' for row in range(4 * len(cells))]
    file.write_text("\n".join(["marker,outcome", *rows]) + "\n", encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("file", "says", "remedy"),
    [
        ("one-dot.csv", ["'.', one-dot.csv line 26", "--missing ."], {"missing": (".",)}),
        ("below-the-limit.csv", ["below-the-limit.csv lines 4, 33, 40", "--missing '<0.5'"], {"missing": ("<0.5",)}),
        ("decimal-comma.csv", ["'1,3', decimal-comma.csv lines 2, 3, 4", "--decimal ,"], {"decimal": ","}),
    ],
)  # fmt: skip
def test_numbers_in_disguise_are_refused_and_what_the_refusal_says_helps(
    file: str, says: list[str], remedy: dict[str, Any]
) -> None:
    told = refusal(DISGUISE / file, site_column="site")
    assert all(text in told for text in ["'creatinine'", *says])
    assert load(DISGUISE / file, site_column="site", **remedy).features == FEATURES


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (["1.5 mg/dl", "2 mg/dl", "0.7mg/dl", "3.1 mg/dl"], "numbers with a sign or a unit"),
        (["<1", "<2", "> 3", "<=4"], "numbers with a sign or a unit"),
        (["$5", "$6", "$7", "$8"], "numbers with a sign or a unit"),
        (["950", "1,200", "1,350"], "digits are grouped"),
        (["1.250,5", "1.100,0", "980"], "digits are grouped"),
        (["1", "2", "3", "unknown"], "--missing unknown"),
        (["1,5", "2,5"], "--decimal ,"),
        (["2024-01-31", "2024-02-01"], "dates"),
        (["1/31/2024", "2/1/2024 10:00"], "dates"),
        ([f"text {number}" for number in range(51)], "texts, another in each row or more than 50"),
    ],
)
def test_a_column_that_is_not_quite_of_numbers_is_never_taken_for_categories(
    tmp_path: Path, cells: list[str], says: str
) -> None:
    told = refusal(column(tmp_path, cells))
    assert says in told
    assert "'marker'" in told
    assert "table.csv line" in told


@pytest.mark.parametrize(
    "cells",
    [["<50", "50-80", ">80"], ["2a", "2b", "3a", "3b"], ["1st", "2nd", "3rd"], ["I", "II", "III"], ["yes", "no"]],
)
def test_categories_that_hold_digits_stay_categories(tmp_path: Path, cells: list[str]) -> None:
    assert load(column(tmp_path, cells)).features == tuple(f"marker={cell}" for cell in sorted(cells))


def test_a_schema_makes_categories_of_whatever_it_lists(tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('\ufeff{"marker": ["1", "2", "3+"]}', encoding="utf-8")  # with a byte-order mark
    data = load(column(tmp_path, ["1", "2", "3+"]), schema=schema)
    assert data.features == ("marker=1", "marker=2", "marker=3+")
    assert data.warnings == ()


def test_texts_that_differ_in_every_row_are_ids_however_few_rows_there_are(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("id,age,outcome\n" + "".join(f"p{row},{row % 7},{row % 2}\n" for row in range(12)))
    assert "--ignore id" in refusal(file)


def test_a_schema_in_other_units_and_words_is_refused_with_every_column_that_it_empties() -> None:
    told = refusal(DISAGREE / "table.csv", site_column="site", schema=DISAGREE / "schema.json")
    assert "'creatinine' (such as '1.3'; its range: '50', '500')" in told
    assert "'sex' (such as 'f'; its categories: 'female', 'male')" in told
    assert "'age'" not in told


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ((CASES / "11-not-our-errors" / "giant-integer.json").read_text(), "'age' has a bound that no float holds"),
        ('{"age": [-1e308, 1e308]}', "'age': range [-1e+308, 1e+308] is too wide"),
        ('{"age": [0, 5e-324]}', "too narrow"),
        ('{"age": [0, NaN]}', "two finite numbers"),
        ('{"age": [0, 1], "age": [0, 99]}', "'age' is there more than once"),
        ('{"agee": [0, 1]}', "'agee' (did you mean 'age'?), no column of table.csv"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_schema_that_no_one_can_scale_by_is_refused(tmp_path: Path, schema: str, says: str) -> None:
    file = tmp_path / "schema.json"
    file.write_text(schema, encoding="utf-8")
    assert says in refusal(DISAGREE / "table.csv", site_column="site", schema=file)


def test_row_numbers_are_a_warning_with_the_option_that_leaves_them_out() -> None:
    table = CASES / "04-row-numbers" / "table.csv"
    told = load(table, site_column="site").warnings[0]
    assert "'unnamed column 1'" in told
    assert "'x'" not in told
    assert "--ignore 'unnamed column 1'" in told
    left = load(table, site_column="site", ignore=("unnamed column 1",))
    assert left.features == ("x",)
    assert not any("row numbers" in warning for warning in left.warnings)


def test_rows_that_are_numbered_anew_in_each_file_are_row_numbers_too(tmp_path: Path) -> None:
    for name in "abc":
        rows = "".join(f"{row},{row % 5},{row % 2}\n" for row in range(10))
        (tmp_path / f"{name}.csv").write_text(f"row,x,outcome\n{rows}")
    assert "--ignore row)" in load(*(tmp_path / f"{name}.csv" for name in "abc")).warnings[0]


def test_visits_of_one_patient_are_on_one_side_and_counted() -> None:
    asked = Data(
        csv=(str(CASES / "05-several-rows-per-patient" / "visits.csv"),),
        target="outcome",
        site_column="site",
        patient_column="patient",
    )
    data = load_csv(asked)
    assert data.rows_per_patient is not None
    assert data.rows_per_patient.tolist() == [4] * 12
    assert "patient" not in data.features
    assert any("48 rows are of 12 patients" in note for note in data.notes)
    assert data.patients is not None
    silos = make_silos(data, asked, np.random.default_rng(0))
    trained, tested = ({int(data.patients[row]) for silo in silos for row in rows(silo)} for rows in
                       (lambda silo: silo.train, lambda silo: silo.test))  # fmt: skip
    assert trained
    assert tested
    assert not trained & tested
    with pytest.raises(InputError, match="12 patients are too few for 10 institutions"):
        make_silos(replace(data, sites=None), replace(asked, site_column=None), np.random.default_rng(0))


@pytest.mark.parametrize("file", sorted(path.name for path in (CASES / "06-separators").glob("*.csv")))
def test_exports_with_their_own_first_line_or_separator_are_read(file: str) -> None:
    data = load(CASES / "06-separators" / file, site_column="site")
    assert len(data.features) == 5
    assert data.features[1:] == FEATURES[1:]


@pytest.mark.parametrize(("separator", "option"), [("|", None), ("\t", None), (":", ":"), ("\t", "tab")])
def test_other_separators_are_found_or_named(tmp_path: Path, separator: str, option: str | None) -> None:
    file = tmp_path / "table.csv"
    file.write_text("age,sex,outcome\n60,f,1\n40,m,0\n".replace(",", separator))
    assert load(file, separator=option).features == ("age", "sex=f", "sex=m")


def test_a_first_line_that_names_the_separator_is_believed_and_counted(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("sep=:\nage:outcome\n60:1\n40:0\n")
    assert load(file).features == ("age",)
    file.write_text("sep=:\nage:outcome\n60:1\n40:\n")
    assert "table.csv line 4" in refusal(file)


def test_a_separator_that_is_not_known_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("age:outcome\n60:1\n40:0\n")
    assert "single column, 'age:outcome'; if that is a whole line" in refusal(file)
    file.write_text("age,outcome\n60,5,1\n40,1,0\n30,0\n")
    assert "line 2 has 3 cells between ',', the header 2, and line 3 differs, too: correct" in refusal(file)


def test_several_files_are_the_sites(tmp_path: Path) -> None:
    files = [f"north={HOSPITALS / 'a.csv'}", *(HOSPITALS / f"{name}.csv" for name in "bcd")]
    data = load(*files)
    assert data.sites is not None
    assert sorted(set(data.sites)) == ["b", "c", "d", "north"]
    assert data.features == FEATURES
    other = tmp_path / "e.csv"
    other.write_text("outcome,age,creatinine,sex,weight\n1,60,1.0,f,70\n")
    assert "e.csv has not the columns of a.csv: it lacks 'crp' and has 'weight' beyond them" in refusal(*files, other)
    assert "several files are of site 'b'" in refusal(*files, HOSPITALS / "b.csv")


def test_thousands_of_columns_are_named_by_the_first_few(tmp_path: Path) -> None:
    file = tmp_path / "genes.csv"
    names = [f"g{number}" for number in range(500)]
    rng = np.random.default_rng(0)
    rows = [",".join([str(row % 2), *map(str, rng.permutation(500) + row)]) for row in range(12)]
    file.write_text("\n".join([",".join(["outcome", *names]), *rows]))
    data = load(file)
    assert len(data.warnings) == 2  # row numbers, and constants from the rows
    for text in (*data.warnings, refusal(file, target="outcme"), refusal(file, separator=";")):
        assert len(text) < 500
    assert "494 more" in data.warnings[-1]
    assert "did you mean 'outcome'?" in refusal(file, target="outcme")


def test_everything_that_is_wrong_is_said_at_once() -> None:
    told = refusal(EXPORT, site_column="site")
    for text in (
        "missing in 2 row(s) (export.csv lines 9, 39)",
        "2 site(s) ('tiny3', 'tiny43'; export.csv lines 5, 45)",
        "'seen_on' ('2024-01-01'",
        "'mrn' ('M00000'",
        "'note' ('free text 0'",
        "--ignore mrn --ignore note",
    ):
        assert text in told


def test_one_number_written_in_two_ways_is_one_class(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("age,outcome\n1,1\n2,1.0\n3,0\n4,0.0\n")
    data = load(file)
    assert data.classes == ("0", "1")
    assert data.y.tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(("positive", "classes"), [(None, ("alive", "dead")), ("alive", ("dead", "alive"))])
def test_the_positive_class_can_be_chosen(tmp_path: Path, positive: str | None, classes: tuple[str, str]) -> None:
    file = tmp_path / "table.csv"
    file.write_text("age,outcome\n1,dead\n2,alive\n3,alive\n")
    data = load(file, positive=positive)
    assert data.classes == classes
    assert data.y.tolist() == [int(cell == classes[1]) for cell in ("dead", "alive", "alive")]
    assert "has no class 'gone': --positive is one of 'alive', 'dead'" in refusal(file, positive="gone")


def test_features_are_the_formula_of_their_public_constants() -> None:
    values = np.array([0.1, -3.0, 7.25, np.nan, 12.0])
    frame = pd.DataFrame({"n": values, "t": pd.Series(["b", None, "x", "a", "b"], dtype=object), "m": -values})
    columns = {"n": Numeric(-1.5, 7.3), "t": Categorical(("b", "a")), "m": Numeric(-7.3, 1.5)}
    scaled = np.nan_to_num(np.clip(2 * (values + 1.5) / 8.8 - 1, -1, 1))
    expected = np.column_stack([scaled, [1, 0, 0, 0, 1], [0, 0, 0, 1, 0], -scaled])
    assert np.allclose(encode(frame, columns), expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"csv": ("a.csv", "b.csv"), "institutions": 4}, "each says which sites there are"),
        ({"csv": ("a.csv", "b.csv"), "site_column": "site"}, "each says which sites there are"),
        ({"csv": ("a.csv",), "patient_column": "outcome"}, "'outcome' is both target and patient column"),
        ({"csv": ("a.csv",), "ignore": ("outcome",)}, "is target and to be left out"),
        ({"csv": (), "target": None, "decimal": ","}, "decimal = ',' needs a CSV file"),
    ],
)
def test_settings_of_a_table_that_contradict_each_other_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        Data(**{"target": "outcome", **settings})


def test_a_separator_of_two_characters_is_refused_before_a_file_is_read() -> None:
    with pytest.raises(ParameterError, match="must be one character"):
        read_tables(("a.csv",), "::", ())


def test_sites_agree_on_the_code_that_reads_their_tables_too() -> None:
    assert "table/columns.py" in dict(sources(files("secagg.train")))


def test_a_number_that_no_range_can_hold_is_refused_with_its_column(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("age,outcome\n-1e308,1\n1.7e308,0\n1.7e308,0\n-1.7e308,1\n")
    assert "column 'age': range" in refusal(file)


def test_the_constants_in_use_are_kept_as_a_schema_would_list_them() -> None:
    data = load(*(HOSPITALS / f"{name}.csv" for name in "abcd"))
    entries = json.loads(json.dumps({name: one.listed for name, one in data.columns.items()}))
    assert entries["sex"] == ["f", "m"]
    assert len(entries["age"]) == 2


def test_texts_that_differ_in_capitals_or_spaces_alone_are_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    rows = [f"{site},{sex},{dose},{row % 2}" for row in range(4) for site, sex, dose in (
        ("North", "m", "1e3"), ("north", "M", "1E3"), ("St  Mary", "f", "7"), ("St Mary", "f", "8"),
    )]  # fmt: skip
    file.write_text("\n".join(["site,sex,dose,outcome", *rows]))
    warnings = load(file, site_column="site").warnings
    alike = "'site' ('North', 'north', 'St  Mary', 'St Mary'), 'sex' ('M', 'm'). Spell them alike"
    assert any(f"alone count as different ones: {alike}" in one for one in warnings)
    assert not any("count as different" in one for one in load(file, ignore=("site", "sex")).warnings)


def test_a_site_without_a_file_is_refused_as_it_was_typed() -> None:
    assert "cannot read 'north='" in refusal("north=")
