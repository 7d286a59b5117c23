"""A hostile proposal: numbers that, taken at their word, would cost a participant much, or protect it little."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec

from secagg.round import Proposal, Request, SitePolicy
from secagg.round.limits import Limits
from secagg.schemes import SCHEMES, parameters_of
from secagg_protocols import Bonawitz, ParameterError, Policy, RoundContext

from ..attack import Attack, Effort, Finding, Metric
from ..defence import Defence
from .schemes import has_own_keys, scheme_of, seen

PARTICIPANTS = 16
LENGTH = 60
COLLUDERS = 2
"""That a site wants to be safe from, where the scheme withstands any."""
NO_FLOOR = "a site takes part in whatever is proposed"
CONTEXT = RoundContext("attack", 1, b"\x01" * 32)
AT_ONE_S_WORD = SitePolicy(
    floor=Policy(minimum_cohort=2, maximum_participants=1 << 32),
    schemes=frozenset(SCHEMES),
    limits=Limits(bits=64, length=1 << 62, participants=1 << 62, dealt=1 << 62, work=1 << 62),
)
"""A site without a floor or a limit."""

SHAPES: dict[str, dict[str, Any]] = {
    "two participants": {"participants": 2},
    "the most participants": {"participants": 65_535},
    "the longest vector": {"length": 1 << 40},
    "both, each within its limit": {"length": 1 << 27, "participants": 10_000},
    "no protection": {"scheme": "plain", "parameters": {}},
    "a scheme that nobody knows": {"scheme": "mine"},
}
"""Proposals in which more than a parameter changes."""
OF_A_SHAPE = ("threshold", "max_participants", "max_length")
"""Parameters that follow from the shape where they are not given."""
PARAMETERS: dict[str, dict[str, Any]] = {
    "values of 50 bits": {"value_bits": 50},
    "secrets that one participant opens": {"threshold": 1},
    "a graph that falls apart": {"sigma": 8, "eta": 4},
    "hardly any flooding": {"flooding_bits": 1},
    "a weaker server": {"adversary": "semi-honest"},
    "noise of any width": {"noise": f"variance={1 << 62}"},
}
"""Parameters that are proposed to schemes that have them, where they are not so already."""


class HostileProposal(Attack):
    """A participant's consent to what no participant should consent to."""

    name: ClassVar[str] = "hostile-proposal"
    title: ClassVar[str] = "A site's consent to a round that costs it too much, or protects it too little"
    source: ClassVar[str] = "THREAT_MODEL.md: what a server proposes is a stranger's"
    adversary: ClassVar[str] = "the server: proposes sizes and parameters of its own choice, and other schemes"
    metric: ClassVar[Metric] = Metric("share of hostile proposals that a site accepts", success=0.1)

    def no_view(self, defence: Defence) -> str:
        return "nothing is proposed: a site sends its update" if defence.scheme is None else ""

    def view(self, defence: Defence) -> str:
        return seen("proposals", defence)

    def held_by(self, defence: Defence) -> bool:
        return defence.scheme is not None

    def weak(self) -> Defence:
        return Defence("no-floor", "secure sum, bonawitz", "bonawitz", broken=NO_FLOOR)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        colluders = COLLUDERS if has_own_keys(defence) else 0
        scheme = scheme_of(defence, PARTICIPANTS, LENGTH, {NO_FLOOR: Bonawitz}, colluders=colluders)
        floor = Policy(adversary=defence.adversary, colluders=colluders)
        policy = AT_ONE_S_WORD if defence.broken == NO_FLOOR else SitePolicy(floor=floor)
        honest = Proposal.of(scheme, CONTEXT)
        proposals = list(_hostile(honest, parameters_of(scheme.name)))
        accepted = [what for what, proposal in proposals if _accepts(policy, proposal)]
        note = f"accepted: {', '.join(accepted)}" if accepted else f"all {len(proposals)} are refused"
        if not _accepts(policy, honest):
            raise ParameterError(f"{defence.name}: a site refuses what it should take part in")
        return Finding(len(accepted) / len(proposals), 0.0, note=note)


def _hostile(honest: Proposal, known: frozenset[str]) -> Iterator[tuple[str, Proposal]]:
    """Yield (what is wrong, the proposal). known: parameters that the scheme takes."""
    by_shape = {name: value for name, value in honest.parameters.items() if name not in OF_A_SHAPE}
    for what, changes in SHAPES.items():
        yield what, msgspec.structs.replace(honest, **{"parameters": by_shape, **changes})
    for what, changes in PARAMETERS.items():
        parameters = dict(sorted({**honest.parameters, **changes}.items()))
        if parameters != honest.parameters and changes.keys() <= known:
            yield what, msgspec.structs.replace(honest, parameters=parameters)


def _accepts(policy: SitePolicy, proposal: Proposal) -> bool:
    """Tell whether a site would go on from this proposal, as it comes over the network."""
    asked = Request.from_bytes(Request(proposal, 1, ()).to_bytes())
    try:
        policy.accept(asked.proposal)
    except ParameterError:
        return False
    return True
