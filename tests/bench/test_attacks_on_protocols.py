"""Attacks on the protocol: alive on every scheme that they are claimed to fail on, and bounds where schemes say."""

from dataclasses import replace

import pytest

from secagg.schemes import PROTECTING, make_scheme
from secagg_bench.attacks import registry
from secagg_bench.attacks.attack import Effort
from secagg_bench.attacks.defence import Defence
from secagg_bench.attacks.protocol import equal_sums, isolated_neighbour, sybils, weak_masks, wrong_sum
from secagg_bench.attacks.protocol.leaky import LEAKY

EFFORT = Effort((0,), quick=True)


@pytest.mark.parametrize("name", sorted(PROTECTING))
def test_whoever_draws_from_a_clock_is_read_whatever_the_scheme(name):
    drawn = Defence("", "", name, broken=weak_masks.CLOCK)
    assert weak_masks.WeakMasks().run(drawn, 1, EFFORT).value == 1


@pytest.mark.parametrize("broken", sorted(LEAKY))
def test_what_is_sent_beside_or_masked_by_what_is_opened_tells_more_than_the_sum(broken):
    assert equal_sums.EqualSums().run(Defence("", "", "bonawitz", broken=broken), 0, EFFORT).value == 1


def test_of_three_lies_about_the_sum_the_logs_show_two():
    found = wrong_sum.WrongSum().run(Defence("", "", "bonawitz"), 0, EFFORT)
    assert found.note == "no log shows: another sum to all, and in the record"


@pytest.mark.parametrize(
    ("attack", "scheme"),
    [
        ("both-shares", "secagg-plus"),
        ("key-substitution", "threshold-ckks"),
        ("late-input", "lightsecagg"),
        ("late-input", "secagg-plus"),
        ("late-input", "threshold-ckks"),
        ("split-view", "threshold-ckks"),
    ],
)
def test_without_the_one_check_the_attack_succeeds_on_other_schemes_too(attack, scheme):
    attack = registry.attacks()[attack]
    found = attack.run(replace(attack.weak(), scheme=scheme), 0, EFFORT)
    assert found.value == 1


@pytest.mark.parametrize("name", ["bfv", "bonawitz", "lightsecagg", "threshold-ckks"])
def test_participants_of_the_server_s_own_open_others_from_as_many_on_as_the_scheme_says(name):
    scheme = make_scheme(name, sybils.PARTICIPANTS, 20, colluders=sybils.COUNTED)
    (enough,) = [one.participants for one in scheme.guarantee.opened_by if not one.partly]
    defence = Defence("", "", name)
    assert sybils.with_own(enough - 1, defence, 0).value == 0
    assert sybils.with_own(enough, defence, 0).value == 1


def test_one_honest_neighbour_that_stays_hides_a_participant():
    honest = isolated_neighbour.NEIGHBOURS - len(isolated_neighbour.COLLUDERS)
    defence = Defence("", "", "secagg-plus")
    assert isolated_neighbour.with_gone(honest - 1, defence, 0).value == 0
    alone = isolated_neighbour.with_gone(honest, defence, 0)
    assert alone.value == 1
    assert "an honest server gives up" in alone.note
