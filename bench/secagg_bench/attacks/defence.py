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
    unit: whom it protects. `clip`, in L2 norm, is of each row's gradient, of the mean over each patient's rows at a
    site, or of the update of the institution.
    """

    mode: Literal["local", "distributed"]
    unit: Literal["row", "patient", "institution"]
    multiplier: float
    clip: float = 1.0

    @property
    def epsilon(self) -> float | None:
        """ε of one released sum, at δ = `DELTA`; None: no bound."""
        return self.over(1)

    def over(self, rounds: int) -> float | None:
        """Return ε of so many released sums."""
        return epsilon([self.multiplier] * rounds, DELTA)


@dataclass(frozen=True)
class Defence:
    """What stands between the attacker and the data.

    scheme: how updates are summed; None: the server sees each. clip: of each value of an update; None: wide enough
    for all. sites: in the sum. bound_context: whether participants bind the model that they got into their keys.
    claims: attacks that whoever brings it claims that it stops; of ours each attack says that itself (`held_by`).
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

    @property
    def active(self) -> bool:
        """Whether it withstands a server that departs from the protocol."""
        return self.scheme is not None and self.adversary == "active"

    def protects(self, unit: Literal["row", "patient", "institution"], rounds: int = 1) -> bool:
        """Tell whether its noise bounds what one such unit changes in so many sums, with an ε that says something.

        Whoever is hidden as a whole is hidden in each part: noise over patients covers their rows.
        """
        if self.noise is None or UNITS.index(self.noise.unit) < UNITS.index(unit):
            return False
        spent = self.noise.over(rounds)
        return spent is not None and spent <= MOST_EPSILON


UNITS = ("row", "patient", "institution")
MOST_EPSILON = 10.0
"""Of all sums that an attack looks at: with more, nothing is claimed."""


def _summed(scheme: str, adversary: Literal["semi-honest", "active"] = "semi-honest") -> Defence:
    """Return a sum of 16 by this scheme, without noise."""
    active = adversary == "active"
    name = f"{scheme}-active" if active else scheme
    title = f"secure sum of {SITES}, {scheme}, {adversary} server"
    return Defence(name, title, scheme, adversary)


def _noisy(
    name: str,
    title: str,
    noise: Noise,
    adversary: Literal["semi-honest", "active"] = "semi-honest",
    sites: int = SITES,
) -> Defence:
    spent = noise.epsilon
    promised = "no bound on ε" if spent is None else f"ε = {spent:.3g} a round"
    title = f"{title} (z = {noise.multiplier:g}, {promised})"
    return Defence(name, title, "bonawitz", adversary, noise=noise, sites=sites)


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
    ),
    Defence("minimum-cohort", "secure sum of at least 64, bonawitz", "bonawitz", sites=64),
    Defence(
        "tight-clip",
        f"secure sum of {SITES}, bonawitz, each value of an update clipped at 0.001",
        "bonawitz",
        clip=0.001,
    ),
    _noisy("row-dp-local", "each site adds noise over its rows", Noise("local", "row", 1.0)),
    _noisy("row-dp", "noise under the sum, over rows", Noise("distributed", "row", 1.0)),
    _noisy("row-dp-small", "too little noise under the sum, over rows", Noise("distributed", "row", 0.01)),
    _noisy("patient-dp", "noise under the sum, over patients", Noise("distributed", "patient", 1.0)),
    _noisy("institution-dp", "noise under the sum, over institutions", Noise("distributed", "institution", 1.0)),
    _noisy(
        "active-row-dp",
        "an active server, and noise under the sum, over rows",
        Noise("distributed", "row", 1.0),
        "active",
    ),
    _noisy(
        "active-patient-dp",
        "an active server, and noise under the sum, over patients",
        Noise("distributed", "patient", 1.0),
        "active",
    ),
    _noisy(
        "cohort-row-dp",
        "at least 64 sites, an active server, and noise under the sum, over rows",
        Noise("distributed", "row", 1.0),
        "active",
        sites=64,
    ),
)
"""Those that ship. Too little noise is shown, and nothing is claimed of it."""
