"""A site's own floor on noise under the sum, and its own budget: whatever the aggregator plans.

The aggregator says what noise there is; a site works out itself what that is worth (`secagg.privacy.proposed`), and
counts itself what it has spent (`secagg.privacy.ledger`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from secagg.codec import read_terms
from secagg.privacy.ledger import Budget, BudgetLedger, Charging
from secagg.privacy.proposed import Cost, Proposed
from secagg_protocols import ContributionLedger, Identity, ParameterError, Scheme

from .keys import Keys
from .terms import CodecTerms, Proposal

_MULTIPLIER, _EPSILON, _DELTA, _LEDGER = "dp-minimum-multiplier", "dp-epsilon", "dp-delta", "dp-ledger"


@dataclass(frozen=True)
class SitePrivacy:
    """What a site asks of noise. It protects the institution: its whole update.

    minimum_multiplier: the least standard deviation of the honest survivors' noise over the clip, after the most
    dropouts that are tolerated. colluders: whose noise does not count. ledger: None: no budget is kept. prefix: how the
    keys are written, for errors.
    """

    minimum_multiplier: float
    colluders: int
    ledger: BudgetLedger | None
    prefix: str

    @classmethod
    def read(cls, keys: Keys, identity: Identity | None, colluders: int) -> SitePrivacy | None:
        """Read the keys `dp-…`; None where there are none. Raises `ParameterError`."""
        multiplier = keys.real(_MULTIPLIER)
        ledger = _ledger(keys, identity)
        if multiplier is not None and not (math.isfinite(multiplier) and multiplier > 0):
            raise ParameterError(f"{keys.called(_MULTIPLIER)}={multiplier} in {keys.where} is not a positive number")
        if multiplier is None and ledger is None:
            return None
        return cls(multiplier or 0.0, colluders, ledger, keys.called(""))

    def check(self, proposal: Proposal, scheme: Scheme) -> Proposed:
        """Return what is proposed. Raises `ParameterError` for a round without noise, or with less than the floor."""
        proposed = self.proposed(proposal, scheme)
        if proposed.least < self.minimum_multiplier:
            raise ParameterError(
                f"the proposed noise comes to a multiplier of {proposed.least:.4g} against the server and "
                f"{proposed.colluders} colluders after {proposed.tolerated} dropouts; this site asks for "
                f"{self.minimum_multiplier:g} ({self.prefix}{_MULTIPLIER})"
            )
        return proposed

    def proposed(self, proposal: Proposal, scheme: Scheme) -> Proposed:
        """Work out what a proposal's noise is worth. Raises `ParameterError` for a round without noise."""
        terms = CodecTerms.from_bytes(proposal.terms)
        return Proposed.of(scheme, read_terms(terms.kind, terms.version, terms.own), self.colluders)

    def charging(
        self, proposal: Proposal, scheme: Scheme, answers: ContributionLedger, now: datetime
    ) -> Charging | None:
        """Return the ledger that charges this round; None where no budget is kept."""
        if self.ledger is None:
            return None
        return self.ledger.charging(Cost.of(scheme, self.check(proposal, scheme)), answers, now)


def _ledger(keys: Keys, identity: Identity | None) -> BudgetLedger | None:
    path = keys.path(_LEDGER)
    epsilon = keys.real(_EPSILON)
    delta = keys.real(_DELTA)
    if path is None and epsilon is None and delta is None:
        return None
    if path is None or epsilon is None or delta is None:
        whole = ", ".join(map(keys.called, (_LEDGER, _EPSILON, _DELTA)))
        raise ParameterError(f"{whole} in {keys.where}: give all three, or none; they are one budget")
    if identity is None:
        raise ParameterError(
            f"{keys.called(_LEDGER)} needs {keys.called('identity')} in {keys.where}: the file is signed by whoever "
            "writes it; make one with secagg identity new"
        )
    return BudgetLedger(path, identity, Budget(epsilon, delta))
