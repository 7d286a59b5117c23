"""How updates are summed, as it was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from secagg.schemes import ONE_KEY, PROTECTING, SCHEMES, WITHSTAND_ACTIVE
from secagg_protocols.errors import ParameterError

from .setting import AtLeast, AtMost, OneOf, Option, Positive, Setting, check


@dataclass(frozen=True, kw_only=True)
class Aggregation:
    """The protocol, what it withstands, and what a value looks like on the wire."""

    update_clip: Annotated[
        float | None, Positive(), AtMost(1_000_000), Option("Bound on each number of an update; by default derived.")
    ] = None
    scheme: Annotated[str, OneOf(SCHEMES), Option("The protocol: see `secagg schemes`.")] = "bonawitz"
    adversary: Annotated[
        Literal["strongest", "active", "semi-honest"], Option("The server the rounds must withstand.")
    ] = "strongest"
    colluders: Annotated[
        int | None,
        AtLeast(0),
        Option("Institutions that may help the server; by default 1; 0 among three, and under bfv and ckks."),
    ] = None
    threshold: Annotated[int | None, Setting("participants needed to open a sum; None: derived")] = None
    reruns: Annotated[
        int,
        AtLeast(0),
        Option("With --no-dp: answers for one model beyond the first; two sums may then show an update."),
    ] = 0
    ciphersuite: Annotated[Literal["x25519", "p256"], Setting("named set of algorithms")] = "x25519"
    value_bits: Annotated[
        int | None,
        AtLeast(2),
        AtMost(32),
        Option("Bits of each number on the wire; by default 16, or as many as noise under the sum takes."),
    ] = None
    weight_max: Annotated[
        int | None,
        AtLeast(1),
        Setting(
            "public cap on a site's weight without differential privacy; None: 8 × public_size, or what one "
            "coordinate of value_bits holds"
        ),
    ] = None

    def __post_init__(self) -> None:
        """Check, and put the strongest server that the scheme withstands in the place of "strongest"."""
        check(self)
        if self.scheme not in PROTECTING:
            self._check_that_nothing_is_asked_of_it()
        if self.colluders and self.scheme in ONE_KEY:
            raise ParameterError(
                f"colluders = {self.colluders}: under {self.scheme} any one institution and the server together open "
                "every update; use --colluders 0, or --scheme bonawitz"
            )
        if self.adversary == "strongest":
            strongest = "active" if self.scheme in WITHSTAND_ACTIVE else "semi-honest"
            object.__setattr__(self, "adversary", strongest)

    def _check_that_nothing_is_asked_of_it(self) -> None:
        """Raise `ParameterError` for a promise that is asked of a scheme that hides nothing."""
        for name, asked in (("colluders", self.colluders), ("threshold", self.threshold)):
            if asked:
                raise ParameterError(
                    f"{name} = {asked}: {self.scheme} shows the server every update; leave it out, or use "
                    "--scheme bonawitz"
                )
        if self.adversary == "active":
            raise ParameterError(
                f"adversary = 'active': {self.scheme} shows the server every update; leave it out, or use "
                "--scheme bonawitz"
            )
