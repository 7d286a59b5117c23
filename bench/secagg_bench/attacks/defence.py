"""The defences, each a value: a scheme, noise, a clip, how many sites, and which attacks it is claimed to stop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from secagg.privacy.views import epsilon

DELTA = 1e-5
SITES = 16
"""Of a sum, where a defence does not say."""


@dataclass(frozen=True)
class Noise:
    """Differential privacy of one released sum. multiplier: z, the noise's standard deviation over `clip`.

    mode: "local" (each site adds all of it) or "distributed" (together they add it once, under the sum).
    unit: whom it protects: each row is clipped to `clip` in L2 norm, or the update of the institution.
    """

    mode: Literal["local", "distributed"]
    unit: Literal["row", "institution"]
    multiplier: float
    clip: float = 1.0

    @property
    def epsilon(self) -> float | None:
        """ε of one released sum, at δ = `DELTA`; None: no bound."""
        return epsilon([self.multiplier], DELTA)


@dataclass(frozen=True)
class Defence:
    """What stands between the attacker and the data.

    scheme: how updates are summed; None: the server sees each. clip: of each value of an update; None: wide enough
    for all. sites: in the sum. bound_context: whether participants bind the model that they got into their keys.
    claims: attacks that it is claimed to stop; one that succeeds all the same is an error of this project.
    broken: what is broken on purpose, for an attack to succeed.
    """

    name: str
    title: str
    scheme: str | None = None
    adversary: Literal["semi-honest", "active"] = "semi-honest"
    noise: Noise | None = None
    clip: float | None = None
    sites: int = SITES
    bound_context: bool = True
    claims: frozenset[str] = frozenset()
    broken: str = ""


ON_SCHEMES = frozenset({"both-shares", "suppression"})
ON_ROWS = frozenset({"imprint"})
NOISY = ON_SCHEMES | ON_ROWS


def _summed(scheme: str, adversary: Literal["semi-honest", "active"] = "semi-honest") -> Defence:
    """Return a sum of 16 by this scheme, without noise."""
    active = adversary == "active"
    name = f"{scheme}-active" if active else scheme
    title = f"secure sum of {SITES}, {scheme}, {adversary} server"
    return Defence(name, title, scheme, adversary, claims=ON_SCHEMES)


def _noisy(name: str, title: str, noise: Noise, claims: frozenset[str] = NOISY) -> Defence:
    spent = noise.epsilon
    promised = "no bound on ε" if spent is None else f"ε = {spent:.3g} a round"
    return Defence(name, f"{title} (z = {noise.multiplier:g}, {promised})", "bonawitz", noise=noise, claims=claims)


DEFENCES = (
    Defence("none", "none: the server sees each update"),
    _summed("bonawitz"),
    _summed("bonawitz", "active"),
    _summed("secagg-plus"),
    _summed("lightsecagg"),
    _summed("threshold-ckks"),
    _summed("threshold-ckks", "active"),
    _summed("bfv"),
    _summed("ckks"),
    Defence(
        "model-not-bound",
        f"secure sum of {SITES}, bonawitz, whose participants do not say which model they got",
        "bonawitz",
        bound_context=False,
        claims=frozenset({"both-shares"}),
    ),
    Defence("minimum-cohort", "secure sum of at least 64, bonawitz", "bonawitz", sites=64, claims=ON_SCHEMES),
    Defence(
        "tight-clip",
        f"secure sum of {SITES}, bonawitz, each value of an update clipped at 0.001",
        "bonawitz",
        clip=0.001,
        claims=ON_SCHEMES,
    ),
    _noisy("row-dp-local", "each site adds noise over its rows", Noise("local", "row", 1.0)),
    _noisy("row-dp", "noise under the sum, over rows", Noise("distributed", "row", 1.0)),
    _noisy("row-dp-small", "too little noise under the sum, over rows", Noise("distributed", "row", 0.01), ON_SCHEMES),
    _noisy("institution-dp", "noise under the sum, over institutions", Noise("distributed", "institution", 1.0)),
)
"""Those that ship. A guarantee of ε is claimed where ε is one; less noise is shown, and nothing is claimed of it."""
