"""Attacks on frameworks as they ship: what a cell says of the framework, and of one that is not there."""

import logging
import sys
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import pytest

from secagg.extras import MissingExtra
from secagg_bench.attacks.attack import Effort
from secagg_bench.attacks.frameworks import FRAMEWORKS
from secagg_bench.attacks.frameworks.client_dp import CLIP, EXAMPLES, MULTIPLIER
from secagg_bench.attacks.frameworks.mask_seeds import FlowerMaskSeeds
from secagg_bench.attacks.frameworks.published_sum import ROUND
from secagg_bench.attacks.frameworks.shipped import silent

EFFORT = Effort((0,), quick=True)
KINDS = {kind.name: kind for kind in FRAMEWORKS}


@pytest.mark.parametrize("name", sorted(KINDS))
def test_what_is_attacked_is_said_with_its_version(name):
    attack = KINDS[name]()
    said, package = attack.framework
    pytest.importorskip(package)
    assert attack.broken_is == "as it ships"
    assert attack.weak().broken == f"{said} {version(package)}"


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("flare-shared-key", "tenseal", "he"),
        ("flare-svt", "nvflare.apis.dxo", "flare"),
        ("flower-fedavg", "flwr.serverapp.strategy", "flower"),
    ],
)
def test_a_framework_that_is_not_installed_is_named_by_its_extra(monkeypatch, name, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    attack = KINDS[name]()
    with pytest.raises(MissingExtra, match=rf"{extra}\]"):
        attack.run(attack.weak(), 0, EFFORT)


def test_of_the_seeds_of_flower_s_masks_28_bits_are_left_to_try():
    pytest.importorskip("flwr")
    attack = FlowerMaskSeeds()
    assert attack.run(attack.weak(), 0, EFFORT).note == "28 bits are left to try, in 40 seeds"


def test_means_that_are_rounded_to_float32_tell_no_part_of_flare_s_key():
    pytest.importorskip("tenseal")
    pytest.importorskip("nvflare")
    from secagg_bench.attacks.frameworks import flare_he

    with silent(0):
        found, key = flare_he.key_from((ROUND, replace(ROUND, seed=1)), published=np.float32)
    assert np.mean(found == key) < 0.01


def test_with_an_accountant_flower_refuses_weights_that_differ():
    strategies = pytest.importorskip("flwr.serverapp.strategy")
    accounting = pytest.importorskip("flwr.supercore.privacy_accounting")
    from flwr.supercore.privacy_accounting.rdp_accountant import RdpAccountant

    from secagg_bench.attacks.frameworks import flower_round

    many = len(EXAMPLES)
    relation = accounting.NeighboringRelation.ADD_OR_REMOVE_ONE
    config = accounting.PrivacyConfig(1e-5, many, relation, accounting.SamplingMethod.NO_AMPLIFICATION)
    strategy = strategies.DifferentialPrivacyClientSideFixedClipping(
        strategies.FedAvg(), MULTIPLIER, CLIP, many, accountant=RdpAccountant(config)
    )
    nodes = flower_round.Nodes(dict.fromkeys(range(1, many + 1), np.ones(3)), dict(enumerate(EXAMPLES, start=1)))
    with silent(0), pytest.raises(ValueError, match="equal client weights"):
        flower_round.train(strategy, nodes)


def test_a_framework_s_code_leaves_the_log_and_numpy_s_generator_as_they_were():
    before = np.random.get_state()[1].copy()
    with silent(3):
        first = np.random.rand()
        assert not logging.getLogger("flwr").isEnabledFor(logging.ERROR)
    with silent(3):
        assert np.random.rand() == first
    assert (np.random.get_state()[1] == before).all()
    assert logging.root.manager.disable == logging.NOTSET
