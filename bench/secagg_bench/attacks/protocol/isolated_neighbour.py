"""Isolated neighbour: on a sparse graph, colluders sit beside one participant and all its other neighbours drop out."""

from __future__ import annotations

from functools import partial
from statistics import fmean
from typing import Any, ClassVar

from secagg.schemes import parameters_of
from secagg_protocols import SERVER, Aggregator, Envelope, InsecureDeterministicRandomness, SecAggPlus
from secagg_protocols.bonawitz import steps
from secagg_protocols.core.channels import PairwiseKeys
from secagg_protocols.primitives.domain import Use

from ..attack import Curve, Effort, Finding, Line, Metric
from ..defence import Defence
from .base import CONTEXT, KNOWN, LENGTH, VICTIM, ProtocolAttack, Vector, by_guessing, known
from .schemes import scheme_of

PARTICIPANTS = 40
COLLUDERS = 2, 3
NEIGHBOURS = 6
"""As many as the scheme derives for so many participants, two of whom may collude."""
TWO_OPEN = "two neighbours open a participant, and nobody is counted as a colluder"


class IsolatedNeighbour(ProtocolAttack):
    """One participant's vector, when nobody honest that it shares masks with is left."""

    name: ClassVar[str] = "isolated-neighbour"
    title: ClassVar[str] = "One participant's vector, in a sparse graph that the server draws around it"
    source: ClassVar[str] = "Bell et al., CCS 2020: why an active server must not draw the graph"
    adversary: ClassVar[str] = (
        f"the server and {len(COLLUDERS)} of {PARTICIPANTS}, which are counted: draws graphs until both are the "
        "participant's neighbours, says that its other neighbours dropped out, and goes on with the rest"
    )
    metric: ClassVar[Metric] = KNOWN

    def no_view(self, defence: Defence) -> str:
        if defence.scheme is None:
            return super().no_view(defence)
        if "neighbours" not in parameters_of(defence.scheme):
            return "there is no graph: everyone's vector is hidden by all others"
        return ""

    def weak(self) -> Defence:
        return Defence("two-open", f"secure sum of {PARTICIPANTS}, secagg-plus", "secagg-plus", broken=TWO_OPEN)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        return with_gone(NEIGHBOURS, defence, seed)

    def curves(self, effort: Effort) -> tuple[Curve, ...]:
        counts = range(NEIGHBOURS - len(COLLUDERS) + 1)
        defence = Defence("", "", "secagg-plus")
        shares = [fmean(with_gone(gone, defence, seed).value for seed in effort.seeds) for gone in counts]
        title = f"Values of a participant learnt, by how many of its {counts[-1]} honest neighbours drop out"
        return (Curve(title, "dropouts", "share learnt", [Line("secagg-plus", list(counts), shares)]),)


def with_gone(most: int, defence: Defence, seed: int) -> Finding:
    """Attack when so many of the honest neighbours, or all, drop out."""
    from secagg.conformance.driver import vectors_for
    from secagg.conformance.hostile import Attack as Bench

    two_open = partial(SecAggPlus, corrupt_rate=0.0, neighbours=NEIGHBOURS, threshold=len(COLLUDERS))
    scheme = scheme_of(defence, PARTICIPANTS, LENGTH, {TWO_OPEN: two_open}, colluders=len(COLLUDERS))
    vectors = vectors_for(scheme, seed)
    randomness, circle = _drawn_around(scheme, seed)
    honest = [who for who in circle if who not in (VICTIM, *COLLUDERS)]
    gone = dict.fromkeys(honest[:most], scheme.upload_step)
    secrets: dict[int, bytes] = {}

    def hand_over(bench: Bench, envelopes: list[Envelope]) -> list[Envelope]:
        who = envelopes[0].sender
        bench.hand_over(who)
        return envelopes

    def tell_secrets(bench: Bench, envelopes: list[Envelope]) -> list[Envelope]:
        who = envelopes[0].sender
        secrets[who] = bench.clients[who]._memory.own.mask_secret
        return envelopes

    def go_on(bench: Bench, envelopes: list[Envelope]) -> list[Envelope]:
        bench.server._survivors = tuple(who for who in bench.clients if who not in gone)
        return envelopes or bench.server._request_opening(bench.server._survivors)

    scripts = {who: {"ShareKeys": tell_secrets, "MaskedInput": hand_over} for who in COLLUDERS}
    scripts[SERVER] = {"UnmaskRequest": go_on}
    bench = Bench(scheme, scripts, vectors=vectors, context=CONTEXT, absent=gone)
    bench.server = scheme.server(CONTEXT, Aggregator(randomness=randomness))
    learnt = _taken_off(bench.run(), secrets)
    note = f"{len(gone)} of {len(honest)} honest neighbours dropped out"
    if bench.failure is not None:
        note += f"; an honest server gives up: {bench.failure}"
    return Finding(known(vectors[VICTIM], learnt), by_guessing(scheme), note=note)


def _drawn_around(scheme: Any, seed: int) -> tuple[InsecureDeterministicRandomness, tuple[int, ...]]:
    """Return randomness with which both colluders are the victim's neighbours, and who all those are."""
    everyone = tuple(range(1, PARTICIPANTS + 1))
    attempt = 0
    circle: tuple[int, ...] = ()
    while not set(COLLUDERS) <= set(circle):
        attempt += 1
        circle = scheme.draw_graph(everyone, InsecureDeterministicRandomness(seed, str(attempt))).circle(VICTIM)
    return InsecureDeterministicRandomness(seed, str(attempt)), circle


def _taken_off(bench: Any, secrets: dict[int, bytes]) -> Vector | None:
    """Return the victim's vector, if all its masks are known: by what was opened, and by what colluders tell."""
    seed = bench.secret(VICTIM, steps.SELF_MASK_SEED)
    keys = {}
    for peer in set(bench.dealers(VICTIM)) - {VICTIM}:
        secret = secrets.get(peer) or bench.secret(peer, steps.MASK_KEY)
        if secret is None:
            learnt: Vector | None = bench.expose(VICTIM)
            return learnt
        agreed = PairwiseKeys(bench.scheme.suite, Use.MASK_KEY, bench.server._session, peer, secret)
        keys[peer] = agreed.with_peer(VICTIM, bench.advertised(VICTIM).mask_key)
    return None if seed is None else bench.unmask(VICTIM, seed, keys)
