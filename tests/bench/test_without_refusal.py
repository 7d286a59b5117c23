"""What the model in the masks is worth by itself: where participants refuse no other model, the sum is noise."""

from secagg_bench.attacks.attack import Effort
from secagg_bench.attacks.defence import Defence
from secagg_bench.attacks.protocol.suppression import UNREFUSED, Suppression


def test_suppression_gets_noise_with_only_the_refusal_left_out():
    (curve,) = Suppression().curves(Effort((0, 1, 2), quick=True))
    unbound, bound, _ = curve.lines
    assert min(unbound.y) > 0.99
    assert max(bound.y) < 0.05


def test_so_it_does_where_the_server_is_active():
    careless = Defence("careless", "", "bonawitz", "active", broken=UNREFUSED)
    assert Suppression().run(careless, 0, Effort((0,), quick=True)).value < 0.05
