"""`secagg simulate --noise`: what is asked for, and whether the sum of the round has it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

import typer

from secagg.cli.workload import Workload
from secagg.privacy.measured import standard_errors
from secagg.train.setting import Called
from secagg_protocols import Output, Scheme
from secagg_protocols.core.noise import Noise

MOST_STANDARD_ERRORS = 5
"""Right noise is further off once in two million rounds."""


@dataclass(frozen=True, kw_only=True)
class UnderNoise:
    """Noise under the sum."""

    noise: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SIGMA",
            help="Noise under the sum, the honest participants' together: its standard deviation, in units of the "
            "vectors' integers. The sum is then held against it, and not exact.",
        ),
        Called(("variance",), converted=True),
    ] = None
    tolerated: Annotated[
        int | None,
        typer.Option(min=0, help="Dropouts after which that much noise is still there; by default those of --drop."),
    ] = None

    def asked(self, dropouts: int, colluders: int) -> Noise | None:
        """Return the scheme's noise; None for none."""
        if self.noise is None:
            if self.tolerated is not None:
                raise typer.BadParameter("there is no noise: give --noise too", param_hint="--tolerated")
            return None
        tolerated = dropouts if self.tolerated is None else self.tolerated
        return Noise(f"{Decimal(str(self.noise)) ** 2:.9f}", tolerated, colluders)


@dataclass(frozen=True)
class NoiseFound:
    """Noise in one sum, over all its coordinates. promised: variance of all survivors' noise. ratio: found over that.

    off: in standard errors.
    """

    promised: float
    ratio: float
    off: float

    @classmethod
    def of(cls, scheme: Scheme, workload: Workload, output: Output) -> NoiseFound | None:
        """Return what is in the sum; None where there is to be none."""
        share = scheme.noise_share
        if share is None:
            return None
        survivors = len(output.survivors)
        promised = survivors * share.variance(scheme.participants - survivors)
        ratio = workload.mean_squared_difference(output) / promised
        return cls(promised, ratio, standard_errors(ratio, scheme.length))

    @property
    def right(self) -> bool:
        """Whether it is what was promised, as far as one sum can tell."""
        return abs(self.off) <= MOST_STANDARD_ERRORS

    def __str__(self) -> str:
        return f"noise of {self.ratio:.4f} × the variance promised ({self.off:+.1f} standard errors)"
