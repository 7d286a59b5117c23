"""Which strategies can stand inside: those that need nothing but the average, the total weight and mean metrics."""

from __future__ import annotations

from flwr.serverapp import strategy as flower
from flwr.serverapp.strategy import Strategy

from secagg_protocols import ParameterError

_COMPARES = "it compares the participants' updates with each other"
_ORDERS = "it orders the participants' values, coordinate by coordinate"
_TREES = "it appends each participant's trees; there is no sum of them"
_CLIPS = "it clips each participant's update on the server; clip where the data is: {}"

REFUSED: dict[str, str] = {
    "Krum": _COMPARES,
    "MultiKrum": _COMPARES,
    "Bulyan": _COMPARES,
    "FedMedian": _ORDERS,
    "FedTrimmedAvg": _ORDERS,
    "QFedAvg": "it weighs each update by a power of that participant's loss, and divides by a sum over all of them",
    "FedXgbBagging": _TREES,
    "FedXgbCyclic": _TREES,
    "DifferentialPrivacyServerSideFixedClipping": _CLIPS.format(
        "DifferentialPrivacyClientSideFixedClipping with fixedclipping_mod"
    ),
    "DifferentialPrivacyServerSideAdaptiveClipping": _CLIPS.format(
        "DifferentialPrivacyClientSideFixedClipping with fixedclipping_mod"
    ),
    "DifferentialPrivacyClientSideAdaptiveClipping": "it counts each participant's norm bit",
}
"""Name of a Flower strategy → why it cannot work on a sum. Their subclasses cannot either."""


def weight_key_of(inner: Strategy) -> str:
    """Return the name of the metric by which a strategy weighs, a wrapped one's too."""
    within = getattr(inner, "strategy", None)
    if isinstance(within, Strategy):
        return weight_key_of(within)
    return str(getattr(inner, "weighted_by_key", "num-examples"))


def check_inner(inner: Strategy) -> None:
    """Raise `ParameterError` for a strategy that needs individual updates, by its name, inside a wrapper too."""
    for name, why in REFUSED.items():
        kind = getattr(flower, name, None)
        if kind is not None and isinstance(inner, kind):
            raise ParameterError(
                f"{type(inner).__name__} needs individual updates: {why}. Under secure aggregation a strategy gets the "
                "average alone: choose FedAvg, FedProx, FedAvgM, FedAdagrad, FedAdam or FedYogi"
            )
    within = getattr(inner, "strategy", None)
    if isinstance(within, Strategy):
        check_inner(within)
    if getattr(inner, "accountant", None) is not None:
        raise ParameterError(
            f"{type(inner).__name__} with an accountant needs individual weights and the number of replies: leave the "
            "accountant out"
        )
