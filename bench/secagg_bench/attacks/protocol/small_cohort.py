"""Small cohort: the server says that all others dropped out, until a sum of two is left, one of them its own."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from secagg_protocols import Bonawitz, ParameterError, Policy

from ..attack import Effort, Finding, Metric
from ..defence import Defence
from .base import CONTEXT, KNOWN, LENGTH, VICTIM, ProtocolAttack, by_guessing, known
from .schemes import scheme_of

HELPER = 2
"""Whose vector the server knows."""
PARTICIPANTS = range(3, 8)
"""The fewest of these for whom there is such a scheme: with them its threshold is lowest."""


OF_TWO = "participants are content with a sum of two"


class SmallCohort(ProtocolAttack):
    """One participant's vector, from the smallest sum that it takes part in."""

    name: ClassVar[str] = "small-cohort"
    title: ClassVar[str] = "One participant's vector, in a sum of which all but one have dropped out"
    source: ClassVar[str] = "Bonawitz et al., CCS 2017: what its threshold is for"
    adversary: ClassVar[str] = (
        "the server and one participant: takes the lowest threshold that there is, closes the step when those two "
        "have sent their vectors, and takes the one that it knows off the sum"
    )
    metric: ClassVar[Metric] = KNOWN

    def held_by(self, defence: Defence) -> bool:
        return defence.scheme is not None

    def weak(self) -> Defence:
        return Defence("company-of-one", "secure sum, bonawitz, active server", "bonawitz", "active", broken=OF_TWO)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        from secagg.conformance.attack import Attack as Bench
        from secagg.conformance.driver import vectors_for

        scheme = _smallest(defence)
        policy = Policy(minimum_cohort=2) if defence.broken else Policy()
        vectors = vectors_for(scheme, seed)
        absent = {who: scheme.upload_step for who in vectors if who not in (VICTIM, HELPER)}
        bench = Bench(scheme, vectors=vectors, policy=policy, absent=absent, context=CONTEXT).run()
        learnt = None
        if bench.server.output is not None:
            learnt = bench.server.output.total - vectors[HELPER]
        refusals = bench.by(VICTIM)
        note = f"the participant refused: {refusals[0]}" if refusals else str(bench.failure or "")
        return Finding(known(vectors[VICTIM], learnt), by_guessing(scheme), note=note)


def _smallest(defence: Defence) -> Any:
    whole = {OF_TWO: partial(Bonawitz, adversary="active")}
    for participants in PARTICIPANTS[:-1]:
        try:
            return scheme_of(defence, participants, LENGTH, whole)
        except ParameterError:  # a sparse graph needs some
            continue
    return scheme_of(defence, PARTICIPANTS[-1], LENGTH, whole)
