"""Noise under one group key: nothing is taken off, so everyone adds for the worst case that is tolerated."""

import math

import numpy as np
import pytest

from secagg import Bfv, Ckks, RoundFailed, Simulation
from secagg_protocols import ProtocolViolation
from secagg_protocols.core.noise import Noise

pytest.importorskip("tenseal")

LENGTH = 8000
SCHEMES = [
    Bfv(10, LENGTH, noise=Noise("2560", 3)),
    Bfv(10, LENGTH, noise=Noise("2560", 3), release_to="participants"),
    Ckks(10, LENGTH, noise=Noise("2560", 3)),
]


@pytest.mark.parametrize("dropouts", [0, 3])
@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: f"{scheme.name}-{scheme.release_to}")
def test_the_noise_of_the_sum_is_that_of_all_survivors(scheme, dropouts):
    vectors = np.random.default_rng(1).integers(0, 100, (10, LENGTH))
    run = Simulation(scheme, list(vectors), drop=dict.fromkeys(range(1, dropouts + 1), "Encrypt")).run()
    error = run.total - vectors[np.array(run.survivors) - 1].sum(axis=0)
    expected = 2560 * (10 - dropouts) / 7
    assert abs(error.var() / expected - 1) < 5 * math.sqrt(2 / LENGTH)


def test_with_more_dropouts_than_tolerated_there_is_no_sum():
    gone = dict.fromkeys(range(1, 5), "Encrypt")
    with pytest.raises(RoundFailed, match="tolerated=3"):
        Simulation(SCHEMES[0], list(np.zeros((10, LENGTH), dtype=np.uint16)), drop=gone).run()


def test_a_participant_releases_no_sum_with_less_noise_than_was_promised():
    SCHEMES[0].check_dropouts(7)
    with pytest.raises(ProtocolViolation, match="less noise"):
        SCHEMES[0].check_dropouts(6)
