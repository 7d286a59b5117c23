"""A wrong published sum: the server computes one sum and says another. Who can tell?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np

import secagg
from secagg.round.audit import Log, Seen, ServerTrail, SiteTrail, Stamp, compare, model_digest, verify
from secagg_protocols import SERVER, Bonawitz, Identity, InsecureDeterministicRandomness, RoundContext

from ..attack import Attack, Effort, Finding, Metric
from ..defence import Defence
from .schemes import scheme_of, seen

PARTICIPANTS = 5
LENGTH = 20
NOT_RECORDED = "nobody keeps a log"
PLAIN = Defence("", "", "plain")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
VICTIM = 2

TRUE = "the true sum"
LIE = "another sum"
LIES: dict[str, tuple[str, str, str]] = {
    "another sum to all, and in the record": (LIE, LIE, LIE),
    "another sum to all, the true one in the record": (TRUE, LIE, LIE),
    "another sum to one site": (TRUE, TRUE, LIE),
}
"""Which → what the server's record says that came of the round, what all sites are sent then, and what one is sent."""


class WrongSum(Attack):
    """A sum that is not what was summed, and that no log shows."""

    name: ClassVar[str] = "wrong-sum"
    title: ClassVar[str] = "A published sum that is not what was summed"
    source: ClassVar[str] = "Xu et al., VerifyNet, TIFS 2020, on servers that return a wrong aggregate"
    adversary: ClassVar[str] = (
        "the server: follows the protocol, and says another sum; logs of all parties are compared afterwards"
    )
    metric: ClassVar[Metric] = Metric("share of lies that no log shows", success=0.3)

    def no_view(self, defence: Defence) -> str:
        return ""

    def view(self, defence: Defence) -> str:
        return seen("published sum", defence)

    def weak(self) -> Defence:
        return Defence("not-recorded", "secure sum, bonawitz", "bonawitz", broken=NOT_RECORDED)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        known = {NOT_RECORDED: Bonawitz}
        scheme = scheme_of(defence if defence.scheme else PLAIN, PARTICIPANTS, LENGTH, known)
        rounds = [_round(scheme, seed, number) for number in (1, 2)]
        unseen = []
        for lie, said in LIES.items():
            with TemporaryDirectory() as folder:
                logs = [] if defence.broken == NOT_RECORDED else _logs(Path(folder), rounds, said)
                if not compare(logs):
                    unseen.append(lie)
        note = f"no log shows: {'; '.join(unseen)}"
        if "releasers" in scheme.guarantee.sum_known_to:
            note += " (whoever released the sum knows it, and could compare)"
        return Finding(len(unseen) / len(LIES), 0.0, note=note)


def _round(scheme: Any, seed: int, number: int) -> secagg.Simulation:
    """Run one round, in which the server keeps to the protocol."""
    vectors = np.random.default_rng([seed, number]).integers(0, scheme.domain.largest, (PARTICIPANTS, LENGTH))
    context = RoundContext("attack", number, bytes(32))
    randomness = InsecureDeterministicRandomness(seed)
    simulation = secagg.Simulation(scheme, list(vectors), context=context, randomness=randomness)
    simulation.run()
    return simulation


def _logs(folder: Path, rounds: Sequence[secagg.Simulation], said: tuple[str, str, str]) -> list[Log]:
    """Return what all parties wrote of two rounds, of which the second is about what is said to be the first's sum."""
    first, second = rounds
    output = first.server.output
    assert output is not None
    sums = {TRUE: output.total, LIE: output.total + np.uint64(1)}
    recorded, sent, sent_to_one = (model_digest({"sum": sums[one]}) for one in said)
    before = Stamp(now=NOW, model=bytes(32), model_after=recorded)
    identities = {party: Identity.generate(f"party {party}") for party in (SERVER, *first.clients)}
    paths = {party: folder / f"{party}.jsonl" for party in identities}
    server = ServerTrail(paths[SERVER], identities[SERVER])
    sites = {who: SiteTrail(paths[who], identities[who]) for who in first.clients}
    for simulation, stamp in ((first, before), (second, Stamp(now=NOW, model=sent, model_after=sent))):
        server.write(simulation.server, stamp)
        for who, client in simulation.clients.items():
            told = sent_to_one if simulation is second and who == VICTIM else stamp.model
            seen_there = Seen.by_participant(client, contributed=True)
            sites[who].note(client.scheme, client.context, seen_there, Stamp(now=NOW, model=told))
    return [Log(path, list(verify(path, identities[party].public_key))) for party, path in paths.items()]
