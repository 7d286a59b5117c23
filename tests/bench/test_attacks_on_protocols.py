"""Attacks on the protocol that must be alive against every scheme, and lies that some log must show."""

import pytest

from secagg.schemes import PROTECTING
from secagg_bench.attacks.attack import Effort
from secagg_bench.attacks.defence import Defence
from secagg_bench.attacks.protocol import weak_masks, wrong_sum

EFFORT = Effort((0,), quick=True)


@pytest.mark.parametrize("name", sorted(PROTECTING))
def test_whoever_draws_from_a_clock_is_read_whatever_the_scheme(name):
    drawn = Defence("", "", name, broken=weak_masks.CLOCK)
    assert weak_masks.WeakMasks().run(drawn, 1, EFFORT).value == 1


def test_of_three_lies_about_the_sum_the_logs_show_two():
    found = wrong_sum.WrongSum().run(Defence("", "", "bonawitz"), 0, EFFORT)
    assert found.note == "no log shows: another sum to all, and in the record"
