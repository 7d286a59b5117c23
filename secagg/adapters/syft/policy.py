"""What an owner decides: who may ask, and the keys of `secagg.stats.StatPolicy` under names of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from secagg.listing import listed
from secagg.round.keys import Value
from secagg.stats import StatPolicy
from secagg_protocols import Adversary, ParameterError


@dataclass(frozen=True, kw_only=True)
class Policy:
    """scientists: e-mail addresses of those who may ask. identity: file of the owner's own signing key, which signs its
    ledger and, with adversary="active", what it answers. roster: file of the keys of all parties, needed for that.

    minimum_cohort: fewest owners in any sum. minimum_group: the least count that may be published. compute: kinds of
    statistics that are answered; none: all. keys: further ones, as docs/statistics-policy.md has them without
    `secagg-` ("stats-columns").
    """

    scientists: Sequence[str]
    identity: Path | str
    roster: Path | str | None = None
    adversary: str = Adversary.SEMI_HONEST.value
    minimum_cohort: int = 3
    minimum_group: int = 5
    compute: Sequence[str] = ()
    keys: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("scientists", "compute"):
            if isinstance(getattr(self, name), str):
                raise ParameterError(f"{name}={getattr(self, name)!r} is one text: give a list of them")
        if not self.scientists:
            raise ParameterError("scientists is empty: name the e-mail addresses of those who may ask")

    def may_ask(self, email: str) -> bool:
        """Whether a scientist is one of those who may ask. Unlike letters that some rule of case joins stay apart."""
        return email in self.scientists or (email.isascii() and email.lower() in map(str.lower, self.scientists))

    def read(self, folder: Path) -> StatPolicy:
        """Return the whole policy. folder: where the owner remembers. Raises `ParameterError`, `InputError`."""
        own: dict[str, Value] = {
            "identity": str(self.identity),
            "adversary": self.adversary,
            "minimum-cohort": self.minimum_cohort,
            "store": str(folder / "rounds"),
            "stats-minimum-cell": self.minimum_group,
            "stats-ledger": str(folder / "queries.jsonl"),
        }
        if self.roster is not None:
            own["roster"] = str(self.roster)
        if self.compute:
            own["stats-statistics"] = ",".join(self.compute)
        if twice := sorted(own.keys() & self.keys.keys()):
            raise ParameterError(f"keys: {listed(twice)} is an argument of Policy already: give it there")
        return StatPolicy.read({**own, **self.keys}, prefix="", where="the policy")
