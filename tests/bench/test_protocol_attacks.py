"""Attacks on the protocol: each is alive on every scheme that it is claimed to fail on, and bounds are where they are
said to be.
"""

from dataclasses import replace

import pytest

from secagg.schemes import make_scheme
from secagg_bench.attacks import registry
from secagg_bench.attacks.attack import Effort
from secagg_bench.attacks.defence import Defence
from secagg_bench.attacks.protocol import isolated_neighbour, sybils

EFFORT = Effort((0,), quick=True)


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
