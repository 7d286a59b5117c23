"""SecAggPlus: the public parameters and how they are derived."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Self

from ..bonawitz import Bonawitz
from ..bonawitz.params import NOISE_SEEDS, SECRETS
from ..core.exchange import Exchange
from ..core.guarantee import Adversary, Coalition, Guarantee, Keys, Traits
from ..core.policy import Policy
from ..core.scheme import Scheme
from ..core.secrets import names
from ..core.step import Step
from ..dealing.graph import Graph
from ..dealing.messages import KeyEntry
from ..errors import ParameterError
from ..primitives.graphs import LEAST_THRESHOLD, Requirements, Risks, Tails, derive, fewest_left, harary
from ..primitives.randomness import Randomness
from .graph import HararyGraph
from .messages import EXCHANGE, WITH_NOISE, NeighbourList
from .steps import neighbour_lists


@dataclass(frozen=True)
class SecAggPlus(Bonawitz):
    """Bonawitz on a sparse random graph: a participant's cost grows with log n (Bell et al., CCS'20, semi-honest).

    participants, length, value_bits, ciphersuite: as in `Bonawitz`. corrupt_rate, dropout_rate:
    fractions of the participants that may work with the server, and that may vanish. neighbours: k; threshold: t of
    the k + 1 holders of a secret; both derived when not given, and refused when a requirement fails. sigma, eta: bits
    of statistical security and of correctness. colluders follows from corrupt_rate and cannot be given.

    A wrong k or t fails the round or opens one participant, so whatever is not met raises `ParameterError` with the
    event that is too likely. `adversary="active"` is refused: the paper's malicious protocol lets participants choose
    their neighbours from a signed Merkle tree of keys, which is not built here.
    """

    corrupt_rate: float = field(default=0.05, kw_only=True)
    dropout_rate: float = field(default=0.05, kw_only=True)
    neighbours: int | None = field(default=None, kw_only=True)
    sigma: int = field(default=40, kw_only=True)
    eta: int = field(default=20, kw_only=True)

    name: ClassVar[str] = "secagg-plus"
    traits: ClassVar[Traits] = Traits(
        protects=True,
        adversaries=frozenset({Adversary.SEMI_HONEST}),
        keys=Keys.OWN,
        early_keys=True,
        opens=names(SECRETS) | {NOISE_SEEDS},
    )
    exchange: ClassVar[Exchange] = EXCHANGE

    def __post_init__(self) -> None:
        if self.active:
            raise ParameterError('secagg-plus is semi-honest here: adversary="active" is refused; choose bonawitz')
        Scheme.__post_init__(self)
        for name in ("corrupt_rate", "dropout_rate"):
            self.check_fraction(name)
        for name in ("sigma", "eta", *(("neighbours",) if self.neighbours is not None else ())):
            self.check_integer(name)
        if self.colluders != 0 and self.colluders != self.requirements.corrupt_count:
            raise ParameterError(f"colluders={self.colluders}: SecAggPlus takes corrupt_rate, a fraction, instead")
        self._derive()
        object.__setattr__(self, "colluders", self.requirements.corrupt_count)
        if self.noise is not None:
            object.__setattr__(self, "exchange", WITH_NOISE)
        super().__post_init__()

    def _derive(self) -> None:
        if self.neighbours is None:
            neighbours, threshold = derive(self.requirements)
            object.__setattr__(self, "neighbours", neighbours)
            object.__setattr__(self, "threshold", threshold if self.threshold is None else self.threshold)
        assert self.neighbours is not None
        if not 2 <= self.neighbours < self.participants:
            raise ParameterError(
                f"neighbours={self.neighbours} is not between 2 and participants − 1 = {self.participants - 1}"
            )
        if self.neighbours % 2 and self.participants % 2:
            raise ParameterError(
                f"neighbours={self.neighbours} and participants={self.participants} cannot both be odd"
            )
        if self.threshold is None:
            raise ParameterError("neighbours is given: give threshold as well")
        if not LEAST_THRESHOLD <= self.threshold <= self.neighbours:
            raise ParameterError(
                f"threshold={self.threshold} is not between {LEAST_THRESHOLD} and neighbours={self.neighbours}"
            )
        problem = self.risks.problem(self.requirements)
        if problem is not None:
            raise ParameterError(
                f"neighbours={self.neighbours}, threshold={self.threshold} are refused: {problem}; leave both out to "
                "have them derived, or lower the rates, sigma or eta"
            )

    @property
    def requirements(self) -> Requirements:
        """What the graph must withstand."""
        return Requirements(self.participants, self.corrupt_rate, self.dropout_rate, self.sigma, self.eta)

    @property
    def risks(self) -> Risks:
        """Probabilities of the three bad events for this k and t."""
        assert self.neighbours is not None
        return Tails(self.requirements, self.neighbours).risks(self.quorum)

    @cached_property
    def fewest_left(self) -> int:
        """How many participants must be in a sum: below that the server ends the round."""
        return max(self.quorum, fewest_left(self.requirements, self.degree, self.quorum))

    @property
    def degree(self) -> int:
        """k."""
        assert self.neighbours is not None
        return self.neighbours

    def minimum_threshold(self, colluders: int) -> int:
        # Against more colluders than the rates state, no threshold among k neighbours is known to be enough.
        return LEAST_THRESHOLD if colluders <= self.requirements.corrupt_count else self.participants

    def floor(self, policy: Policy) -> int:
        """As in `Dealing.floor`, but counted in its neighbourhood, which is all that a participant sees."""
        if self.degree == self.participants - 1:
            return super().floor(policy)
        return max(self.quorum, policy.minimum_cohort)

    def check_policy(self, policy: Policy) -> None:
        super().check_policy(policy)
        if self.floor(policy) > self.degree + 1:
            raise ParameterError(
                f"this participant's policy asks for {self.floor(policy)} participants in what it sees of a sum; with "
                f"neighbours={self.degree} it sees {self.degree + 1}"
            )
        company = policy.minimum_cohort + max(policy.colluders, self.colluders)
        # What lies beyond its neighbours it cannot count: there the server's rule is all there is.
        if max(self.floor(policy), self.fewest_left) < company:
            raise ParameterError(
                f"this participant's policy asks for {company} participants in a sum, colluders among them; this graph "
                f"lets {self.fewest_left} be enough: raise corrupt_rate, neighbours or participants"
            )

    @property
    def leakage(self) -> tuple[tuple[str, str], ...]:
        corrupt = self.requirements.corrupt_count
        return (
            ("the released sum, to the server", "the sum over the survivors, who survived, who vanished at which step"),
            (
                "other participants",
                "their neighbours, and which of those survive; not the sum, unless it is sent to them",
            ),
            (
                f"the server with up to {corrupt} colluding participants, chosen before the graph",
                f"the sum over the survivors that do not collude (but for a chance of 2^-{self.sigma})",
            ),
            (
                "a server and participants beyond that number, or chosen after the graph",
                f"a participant's vector, once t = {self.quorum} of its {self.degree} neighbours help",
            ),
            (
                "a server that departs from the protocol",
                'any participant\'s vector (it draws the graph): choose bonawitz with adversary="active"',
            ),
        )

    @property
    def guarantee(self) -> Guarantee:
        return replace(super().guarantee, statistical_bits=self.sigma)

    @property
    def opened_by(self) -> tuple[Coalition, ...]:
        # Up to `colluders` anywhere do not meet in one neighbourhood, but for the chance that `sigma` bounds.
        return (Coalition(self.quorum, "a vector", among=f"of its {self.degree} neighbours"),)

    @classmethod
    def against(cls, participants: int, colluders: int, dropout_rate: float) -> dict[str, Any]:
        # It counts in rates; what is not said is the five per cent that it takes by default.
        return {"corrupt_rate": colluders / participants or 0.05, "dropout_rate": dropout_rate or 0.05}

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        return (cls(1000, 1),)  # among ten there is no sparse graph to speak of

    # --- the graph

    knows_holders: ClassVar[bool] = False

    def draw_graph(self, members: tuple[int, ...], randomness: Randomness) -> HararyGraph:
        # Over all participants: the risks are computed for this graph, whoever turns up.
        everyone = range(1, self.participants + 1)
        return HararyGraph.among(harary(everyone, self.degree, randomness), members)

    def key_lists(
        self, graph: Graph, entries: Mapping[int, KeyEntry]
    ) -> Iterator[tuple[tuple[int, ...], NeighbourList]]:
        return neighbour_lists(graph, entries)

    @property
    def fewest_listed(self) -> int:
        return 0  # of its neighbours any number may have vanished

    def needed(self, step: Step) -> int:
        # Until inputs are in, so many that the graph still hides what it was drawn to hide.
        return super().needed(step) if step is self.opening_step else max(super().needed(step), self.fewest_left)

    def why_needed(self, step: Step) -> str:
        needed = self.needed(step)
        if needed != self.fewest_left or needed == self.quorum:  # it is not the graph that needs more
            return super().why_needed(step)
        return (
            f"with {self.degree} neighbours each, {needed} of {self.participants} must stay: with larger "
            "gaps in the graph parts of the sum could show; nothing was opened; a higher dropout_rate gives more "
            "neighbours"
        )

    def told_absent(self, survivors: int) -> int | None:
        return None if self.noise is None else self.participants - survivors

    def reach(self, members: int) -> float:
        # Edges go to everyone, and who is at their end is gone as often as anyone.
        return 1 + self.degree * (members - 1) / (self.participants - 1)

    @property
    def most_listed(self) -> int:
        return self.degree + 1
