"""What the model in the masks is worth by itself: where participants refuse no other model, the sum is noise."""

import pytest

from secagg_bench.attacks.attack import Effort
from secagg_bench.attacks.defence import Defence
from secagg_bench.attacks.protocol.suppression import UNREFUSED, Suppression


@pytest.mark.parametrize("adversary", ["semi-honest", "active"])
def test_suppression_gets_noise_with_only_the_refusal_left_out(adversary):
    careless = Defence("careless", "", "bonawitz", adversary, broken=UNREFUSED)
    for seed in range(3):
        assert Suppression().run(careless, seed, Effort((seed,), quick=True)).value < 0.05
    unbound = Defence("unbound", "", "bonawitz", adversary, bound_context=False)
    assert Suppression().run(unbound, 0, Effort((0,), quick=True)).value > 0.99
