"""Newton's method from sums: a step backwards is halved, and no end is said in one line."""

import numpy as np
import pytest

from secagg.stats.kinds.newton import MOST_EVALUATIONS, Evaluation, Search, advance, inverse
from secagg_protocols import InputError

NAMES = ("age", "sex")
EXPONENT = 40


def at(loss: float, score: tuple[float, float] = (1.0, 0.0)) -> Evaluation:
    return Evaluation(10, loss, np.array(score), np.diag([4.0, 1.0]))


def test_a_step_that_makes_the_loss_larger_is_halved() -> None:
    once = advance(Search((0.0, 0.0)), at(100.0), NAMES, EXPONENT)
    assert once.at == (0.25, 0.0)
    halved = advance(once, at(101.0), NAMES, EXPONENT)
    assert halved.at == (0.125, 0.0)
    assert (halved.halvings, halved.evaluations, halved.accepted) == (1, 2, (0.0, 0.0))


def test_it_ends_once_a_step_is_short_and_never_later_than_stated() -> None:
    assert advance(Search((0.0, 0.0)), at(1.0, score=(1e-8, 0.0)), NAMES, EXPONENT).converged
    late = Search((0.0, 0.0), (1.0, 1.0), 1.0, 10, MOST_EVALUATIONS - 1)
    with pytest.raises(InputError, match=f"no estimate after {MOST_EVALUATIONS} steps"):
        advance(late, at(2.0, score=(0.1, 0.0)), NAMES, EXPONENT)


def test_where_sums_are_coarse_a_step_as_short_as_their_rounding_ends_it() -> None:
    short = at(1.0, score=(6e-7, 0.0))  # 3e-7 standard errors
    assert not advance(Search((0.0, 0.0)), short, NAMES, EXPONENT).converged
    assert advance(Search((0.0, 0.0)), short, NAMES, 21).converged


def test_what_follows_from_others_and_what_never_varies_are_named() -> None:
    with pytest.raises(InputError, match="'sex' never varies"):
        inverse(np.diag([1.0, 0.0]), NAMES)
    with pytest.raises(InputError, match="follows from the other covariates"):
        inverse(np.array([[1.0, 1.0], [1.0, 1.0]]), NAMES)
