"""No count below the least is shown, nor follows from what is: against a linear programme that knows all of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from secagg.stats.suppression import check_together, shown
from secagg_protocols import ParameterError

optimize = pytest.importorskip("scipy.optimize")


def sums_of(counts, minimum, known):
    """What is known, or what is hidden, of cells, of each column's own counts, and of all: a row of cells for each."""
    whole = np.arange(counts.size).reshape(counts.shape)
    told = shown(counts, minimum)
    groups = [[whole[place]] for place in np.ndindex(counts.shape) if told[place] == known]
    if counts.ndim == 2:
        for axis, lines in enumerate((whole, whole.T)):
            alone = shown(counts.sum(axis=1 - axis), minimum)
            groups += [line for line, is_told in zip(lines, alone, strict=True) if is_told == known]
    if (counts.sum() >= minimum) == known:
        groups.append(whole.ravel())
    sums = np.zeros((len(groups), counts.size))
    for row, cells in zip(sums, groups, strict=True):
        row[cells] = 1
    return sums


def range_of(cells, counts, known):
    """From the least to the most that a sum of cells can be, for who knows these sums, and no more than that counts are
    not negative."""
    right = known @ counts.ravel()
    return [
        sign * optimize.linprog(sign * cells, A_eq=known, b_eq=right, bounds=(0, 10**4), method="highs").fun
        for sign in (1, -1)
    ]


shapes = st.one_of(st.tuples(st.integers(1, 7)), st.tuples(st.integers(1, 4), st.integers(1, 4)))
tables = st_numpy.arrays(np.int64, shapes, elements=st.one_of(st.integers(0, 9), st.just(0), st.integers(0, 60)))


@settings(max_examples=60, deadline=None)
@given(tables, st.integers(1, 8))
def test_nothing_below_the_least_is_shown_or_follows_from_what_is(counts, minimum):
    known = sums_of(counts, minimum, known=True)
    assert (known @ counts.ravel() >= minimum).all()
    for hidden in sums_of(counts, minimum, known=False):
        low, high = range_of(hidden, counts, known)
        assert high >= minimum - 1e-6
        assert high - low > 1e-6


@pytest.mark.parametrize("counts", [[5, 9, 5], [[5, 8], [7, 6]]])
def test_a_table_whose_cells_all_reach_the_least_is_shown_whole(counts):
    assert shown(np.array(counts), 5).all()


def test_one_small_cell_takes_one_more_with_it_and_no_third():
    assert shown(np.array([30, 2, 40, 7]), 5).tolist() == [True, False, True, False]
    assert (~shown(np.array([[30, 2, 40], [20, 30, 50], [60, 70, 80]]), 5)).sum() == 4


def test_more_columns_than_two_are_refused():
    with pytest.raises(ParameterError, match="a table over 3 columns is not suppressed"):
        shown(np.ones((2, 2, 2), dtype=np.int64), 5)


def test_tables_of_one_query_that_tell_of_each_other_are_refused():
    age, finer = ("age", (0, 10, 20)), ("age", (0, 5, 10))
    sex, died, ward = ("sex", "mf"), ("died", "01"), ("ward", "ab")
    check_together([(age,), (sex, died), (died, sex), (sex, ward), (sex,)])
    with pytest.raises(ParameterError, match="'age' is cut into other cells by two tables"):
        check_together([(age,), (sex, finer)])
    with pytest.raises(ParameterError, match="tie 'died' and 'ward' together twice"):
        check_together([(sex, died), (sex, ward), (ward, died)])
    with pytest.raises(ParameterError, match="tie 'sex' and 'sex' together twice"):
        check_together([(sex, sex)])
