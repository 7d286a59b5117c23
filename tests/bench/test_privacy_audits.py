"""The audits of noise under the sum: nothing is said of rounds as they should be, and every planted fault is caught."""

import numpy as np
import pytest

from secagg_bench.privacy import row_audit
from secagg_bench.privacy.audits import Effort, audit
from secagg_bench.privacy.planted import HONEST, PLANTED, Subject

SMALL = Effort(length=40_000, rounds=8, canary_length=3_000)

CATCH = {
    "no clip": ("canaries",),
    "noise ÷ 10": ("variance", "canaries"),
    "noise ÷ 2": ("variance", "canaries"),
    "a participant without noise": ("variance",),
    "layers not taken off": ("variance",),
    "layers taken off twice": ("variance",),
    "one layer too many taken off": ("variance",),
    "the same noise in two rounds": ("correlation",),
}


def test_rounds_as_they_should_be_pass_every_audit():
    found = audit(HONEST, SMALL)
    assert found.caught_by == ()
    assert 1 < found.epsilon < found.claimed < 4.4


@pytest.mark.parametrize("subject", PLANTED, ids=lambda subject: subject.name)
def test_a_planted_fault_is_caught(subject: Subject):
    assert set(audit(subject, SMALL).caught_by) >= set(CATCH[subject.name])


@pytest.mark.parametrize(
    ("steps", "caught_by"),
    [
        (row_audit.HONEST, ()),
        *zip(row_audit.PLANTED, [("one run", "variance"), ("one run", "variance"), ("variance",)], strict=True),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_private_gradients_pass_and_planted_faults_of_theirs_are_caught(steps, caught_by):
    found = row_audit.audit(steps)
    assert found.caught_by == caught_by
    assert found.epsilon > 0.3


@pytest.mark.parametrize("right", [110, 140, 170, 200])
def test_guesses_exclude_no_epsilon_under_which_they_are_likely(right):
    excluded = row_audit.least_epsilon(right)
    assert row_audit.chance_of(right, excluded) <= row_audit.SIGNIFICANCE or excluded == 0
    likely = np.log(right / (row_audit.GUESSES - right + 1e-9))
    assert excluded < likely
    assert row_audit.chance_of(right, likely) > 0.3


def test_every_planted_fault_is_known_here():
    assert {subject.name for subject in PLANTED} == CATCH.keys()
