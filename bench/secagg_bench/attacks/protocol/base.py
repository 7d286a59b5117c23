"""What attacks on the protocol have in common: what they see, the scheme that stands against them, and what they learn.

`known` is the metric of those that are after one participant's vector.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg.extras import needed
from secagg.schemes import SCHEMES, make_scheme
from secagg_protocols import Keys, ParameterError, RoundContext, Scheme

from ..attack import Attack, Metric
from ..defence import Defence

LENGTH = 20
VICTIM = 1
CONTEXT = RoundContext("attack", 1, b"\x01" * 32)
KNOWN = Metric("share of the participant's values learnt", success=0.5)

Vector = NDArray[np.integer[Any]]


class ProtocolAttack(Attack):
    """An attack whose view is the scheme, and the server that it is made for."""

    def no_view(self, defence: Defence) -> str:
        return "nothing is sent but the vector, and the server sees it" if defence.scheme is None else ""

    def view(self, defence: Defence) -> str:
        return ", ".join(filter(None, (defence.scheme, defence.adversary, defence.broken)))


def scheme_of(defence: Defence, participants: int, **parameters: Any) -> Scheme:
    """Return the scheme of a defence for so many participants. parameters: as for `make_scheme`."""
    if defence.scheme is None:
        raise ParameterError(f"defence {defence.name!r} has no scheme: choose one that has")
    given = {"adversary": defence.adversary, **parameters}
    return make_scheme(defence.scheme, participants, given.pop("length", LENGTH), **given)


def need_the_bench() -> None:
    """Raise `MissingExtra` where the hostile bench, which is a part of the suite, cannot be imported."""
    with needed("conformance"):
        import pytest  # noqa: F401


def has_own_keys(defence: Defence) -> bool:
    """Tell whether each participant has keys that no other has."""
    return defence.scheme is not None and SCHEMES[defence.scheme].traits.keys == Keys.OWN


def vectors_of(scheme: Scheme, seed: int) -> dict[int, Vector]:
    """Return one vector for each participant, over the whole range."""
    rng = np.random.default_rng(seed)
    everyone = range(1, scheme.participants + 1)
    return {who: rng.integers(0, scheme.domain.largest, scheme.length, np.uint64, endpoint=True) for who in everyone}


def sum_of(vectors: Mapping[int, Vector], who: tuple[int, ...]) -> Vector:
    """Return the true sum over these participants."""
    total: Vector = np.sum([vectors[one] for one in who], axis=0)
    return total


def known(vector: Vector, learnt: Vector | None) -> float:
    """Return the share of a vector's values that were learnt."""
    return 0.0 if learnt is None else float(np.mean(learnt == vector))


def by_guessing(scheme: Scheme) -> float:
    """Return the share that is right of values guessed at random."""
    return 1 / (1 + scheme.domain.largest)
