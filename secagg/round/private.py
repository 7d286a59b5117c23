"""The aggregator's side of privacy under the sum, for institutions: from its knobs to each round's codec and noise.

    secagg-dp-epsilon=8 secagg-dp-delta=1e-3 secagg-dp-rounds=10 secagg-dp-clip=1

A round is planned for those who are asked in it: the least noise with which all rounds together stay within ε, in the
view of the server with its colluders. What travels are the terms of a `NormCodec` and the scheme's noise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

from secagg.codec import Layout, NormCodec, Terms
from secagg.codec.norm import NormTerms
from secagg.privacy.ledger import Budget
from secagg.privacy.mechanism import Mechanism
from secagg.privacy.plan import Wanted, plan
from secagg_protocols import ParameterError

PREFIX = "dp_"
LEDGER = f"{PREFIX}ledger"
"""The file of what is spent: the aggregator's own, and no part of what is planned."""

_INSTEAD = {
    "weight_max": "weights tell of data, so all sites weigh the same: leave weight_max out",
    "metrics": "no noise covers metrics: leave metrics out",
    "clip": "the whole update is clipped, to an L2 norm: give dp_clip instead of clip",
    "value_bits": "the plan chooses the bits: leave value_bits out, or give dp_value_bits",
    "codec": "the plan chooses the codec: leave codec out",
    "noise": "the plan chooses the noise: leave noise out",
}


class InstitutionTerms(Terms, frozen=True):
    """What an aggregator wants for institutions, before it is known how many are asked and what is sent.

    epsilon, delta: of all `rounds` together. clip: L2 norm of a whole update. tolerated: dropouts of one round.
    colluders: sites whose noise may not be counted. value_bits: None: as few as hold the noise.
    """

    kind: ClassVar[str] = NormTerms.kind
    version: ClassVar[int] = NormTerms.version

    epsilon: float
    delta: float
    rounds: int
    clip: float
    tolerated: int = 0
    colluders: int = 0
    value_bits: int | None = None

    @classmethod
    def among(cls, knobs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the knobs with those called `dp_…` as one, "codec"; as they are where there are none.

        Raises `ParameterError`.
        """
        planned = {name for name in knobs if name.startswith(PREFIX) and name != LEDGER}
        if not planned:
            return knobs
        asked = {name.removeprefix(PREFIX): knobs[name] for name in planned}
        for name, instead in _INSTEAD.items():
            if knobs.get(name):
                raise ParameterError(f"{name}={knobs[name]!r} beside dp_epsilon: {instead}")
        needs = ("epsilon", "delta", "rounds", "clip")
        if missing := [name for name in needs if name not in asked]:
            raise ParameterError(
                f"{PREFIX}{missing[0]} is missing: differential privacy takes "
                f"{', '.join(PREFIX + name for name in needs)}"
            )
        if strange := sorted(asked.keys() - set(cls.__struct_fields__)):
            known = ", ".join((*(PREFIX + name for name in cls.__struct_fields__), LEDGER))
            raise ParameterError(f"{PREFIX}{strange[0]} is unknown; the knobs are {known}")
        others = {name: value for name, value in knobs.items() if name not in _INSTEAD and name not in planned}
        return {**others, "codec": cls(**asked)}

    @property
    def budget(self) -> Budget:
        """What all rounds together may cost."""
        return Budget(float(self.epsilon), float(self.delta))

    def check(self) -> None:
        """Raise `ParameterError` for what no model and no number of sites can have."""
        for name in ("rounds", "tolerated", "colluders", "value_bits"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
                raise ParameterError(f"{PREFIX}{name}={value!r} is no whole number of at least 0")
        for name in ("epsilon", "delta", "clip"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
                raise ParameterError(f"{PREFIX}{name}={value!r} is not a positive number")
        self._wanted(self.tolerated + self.colluders + 2, 1, layered=False)

    def plan(self, participants: int, length: int, layered: bool) -> Mechanism:
        """Return the mechanism for a round of so many. layered: as in `Mechanism`. Raises `ParameterError`."""
        try:
            return _planned(self._wanted(participants, length, layered))
        except ParameterError as refused:
            raise ParameterError(f"differential privacy as dp_… asks for it: {refused}") from None

    def _wanted(self, participants: int, length: int, layered: bool) -> Wanted:
        try:
            return Wanted(
                float(self.epsilon),
                float(self.delta),
                self.rounds,
                participants,
                length,
                float(self.clip),
                self.tolerated,
                self.colluders,
                self.value_bits,
                layered,
            )
        except ParameterError as refused:
            raise ParameterError(f"{PREFIX}{refused}") from None

    def codec(self, layout: Layout) -> NormCodec:
        """There is none before the plan."""
        raise ParameterError("the codec follows from the plan: ask `Settings.planned` for the settings of a round")


@lru_cache(maxsize=32)
def _planned(wanted: Wanted) -> Mechanism:
    return plan(wanted).mechanism
