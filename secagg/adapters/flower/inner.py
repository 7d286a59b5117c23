"""Which strategies can stand inside: those that need nothing but the average, the total weight and mean metrics."""

from __future__ import annotations

from collections.abc import Iterator
from logging import WARNING

from flwr.common.logger import log
from flwr.serverapp import strategy as flower
from flwr.serverapp.strategy import Strategy
from flwr.serverapp.strategy.strategy_utils import aggregate_metricrecords

from secagg_protocols import ParameterError

_COMPARES = "it compares the participants' updates with each other"
_ORDERS = "it orders the participants' values, coordinate by coordinate"
_TREES = "it appends each participant's trees; there is no sum of them"
_CLIPS = "it clips on the server; clip where the data is: DifferentialPrivacyClientSideFixedClipping, fixedclipping_mod"

REFUSED: dict[str, str] = {
    "Krum": _COMPARES,
    "MultiKrum": _COMPARES,
    "Bulyan": _COMPARES,
    "FedMedian": _ORDERS,
    "FedTrimmedAvg": _ORDERS,
    "QFedAvg": "it weighs each update by a power of that participant's loss, and divides by a sum over all of them",
    "FedXgbBagging": _TREES,
    "FedXgbCyclic": _TREES,
    "DifferentialPrivacyServerSideFixedClipping": _CLIPS,
    "DifferentialPrivacyServerSideAdaptiveClipping": _CLIPS,
    "DifferentialPrivacyClientSideAdaptiveClipping": "it counts each participant's norm bit",
}
"""Name of a Flower strategy → why it cannot work on a sum. Their subclasses cannot either."""


def _layers(inner: Strategy) -> Iterator[Strategy]:
    """Return a strategy, the one that it wraps, and so on."""
    held: object = inner
    while isinstance(held, Strategy):
        yield held
        held = getattr(held, "strategy", None)


def weight_key_of(inner: Strategy) -> str:
    """Return the name of the metric by which a strategy weighs, a wrapped one's too."""
    return str(getattr([*_layers(inner)][-1], "weighted_by_key", "num-examples"))


def check_inner(inner: Strategy, weight_max: int) -> None:
    """Raise `ParameterError` for a strategy that needs individual updates, or the same weight of all, by its name,
    inside a wrapper too. weight_max: 0 where all weigh the same."""
    for layer in _layers(inner):
        called = type(layer).__name__
        for name, why in REFUSED.items():
            kind = getattr(flower, name, None)
            if kind is not None and isinstance(layer, kind):
                raise ParameterError(
                    f"{called} needs individual updates: {why}. Under secure aggregation a strategy gets the average "
                    "alone: choose FedAvg, FedProx, FedAvgM, FedAdagrad, FedAdam or FedYogi"
                )
        if getattr(layer, "accountant", None) is not None:
            raise ParameterError(
                f"{called} with an accountant needs individual weights and the number of replies: leave the accountant "
                "out"
            )
        if weight_max and isinstance(layer, flower.DifferentialPrivacyClientSideFixedClipping):
            raise ParameterError(
                f"{called} makes noise for nodes that weigh the same, and hidden weights differ: its noise would hide "
                f"less than it says. Give weight_max=0, a plain mean (now {weight_max})"
            )
        if getattr(layer, "train_metrics_aggr_fn", aggregate_metricrecords) is not aggregate_metricrecords:
            log(WARNING, "secagg: train_metrics_aggr_fn of %s gets one reply a round: the agreed metrics' mean", called)
