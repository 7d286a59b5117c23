"""Every scheme, by the name that the command line, reports and settings call it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal

from secagg_he import Bfv, Ckks, ThresholdCkks
from secagg_protocols import Bonawitz, LightSecAgg, ParameterError, Plain, Scheme, SecAggPlus

SchemeName = Literal["plain", "bonawitz", "secagg-plus", "lightsecagg", "threshold-ckks", "bfv", "ckks"]

SCHEMES: Mapping[str, type[Scheme]] = {
    kind.name: kind for kind in (Plain, Bonawitz, SecAggPlus, LightSecAgg, ThresholdCkks, Bfv, Ckks)
}

WITHSTAND_ACTIVE = frozenset({"bonawitz", "threshold-ckks"})
"""Schemes with a variant for a server that may do anything."""

EARLY_KEYS = frozenset({"bonawitz", "secagg-plus", "lightsecagg", "threshold-ckks"})
"""Schemes whose participants advertise keys, and may do so before it is known what the round is about."""

ONE_KEY = frozenset({"bfv", "ckks"})
"""Schemes whose participants hold one key: they withstand no colluder."""

_UNSAID = (None, 0)


def make_scheme(
    name: str, participants: int, length: int, *, colluders: int = 0, dropout_rate: float = 0, **parameters: Any
) -> Scheme:
    """Make the scheme called `name`. Further parameters that are None or 0 are left to it.

    colluders, dropout_rate: what it must withstand, in the form that the scheme takes. (Where it cannot say, it is a
    participant's policy that refuses.) Raises `ParameterError` for a parameter that this scheme does not have, and for
    whatever the scheme refuses.
    """
    kind = SCHEMES[name]
    known = {item.name for item in fields(kind)}
    if kind is SecAggPlus:
        # It counts in rates; what is not said is the five per cent that it takes by default.
        parameters |= {"corrupt_rate": colluders / participants or 0.05, "dropout_rate": dropout_rate or 0.05}
    elif "colluders" in known:
        parameters["colluders"] = colluders
    said = {key: value for key, value in parameters.items() if value not in _UNSAID}
    if strange := sorted(said.keys() - known):
        raise ParameterError(f"{name} has no {strange[0]}: leave {strange[0]}={said[strange[0]]!r} out")
    return kind(participants, length, **said)
