"""Gradient suppression: one site gets the model, all others one that teaches nothing, and the sum is that site's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from secagg.extras import needed
from secagg.schemes import make_scheme
from secagg_he.envelope import Content, Sealer
from secagg_protocols import SERVER, Envelope, InsecureDeterministicRandomness, Keys, RoundContext, Scheme

from ..attack import Attack, Curve, Effort, Finding, Line, Metric
from ..defence import Defence
from ..released import Floats, codec_for

SITES = 6
VICTIM = 4
HELPER = 1
"""Any machine that makes an envelope: nothing is signed where its key is everybody's."""
ROWS = 8
NEURONS = 256
"""Of the layer that is attacked: enough for the cosine of noise to be near 0."""
DEAD = -1e6
"""A bias with which a neuron never fires, and so passes no gradient on."""
CONTEXT = RoundContext("attack", 1, b"\x01" * 32)
OTHER = RoundContext("attack", 1, b"\xee" * 32)
UNREFUSED = "participants do not refuse another model, and bind it into their masks all the same"


class Suppression(Attack):
    """One site's update, alone in the sum."""

    name: ClassVar[str] = "suppression"
    title: ClassVar[str] = "One site's update, when all others get a model that teaches nothing"
    source: ClassVar[str] = "Pasquini, Francati, Ateniese, Eluding Secure Aggregation, CCS 2022"
    adversary: ClassVar[str] = (
        "the server: sends sites different models, does not mind itself, and follows the protocol as far as it gets"
    )
    metric: ClassVar[Metric] = Metric("cosine of what it learns to the site's update", success=0.5)

    def no_view(self, defence: Defence) -> str:
        return ""

    def view(self, defence: Defence) -> str:
        if defence.scheme is None:
            return "each update"
        bound = defence.broken or f"model {'bound' if defence.bound_context else 'not bound'}"
        return f"{defence.scheme}, {defence.adversary}, {bound}"

    def held_by(self, defence: Defence) -> bool:
        return defence.active and defence.bound_context

    def weak(self) -> Defence:
        return Defence(
            "unbound", "secure sum, bonawitz", "bonawitz", bound_context=False, broken="the model is not in the context"
        )

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        updates = updates_of(seed)
        victim = updates[VICTIM]
        guess = np.random.default_rng([seed, 3]).normal(size=victim.shape)
        baseline = abs(cosine(guess, victim))
        codec = codec_for(defence, list(updates.values()))
        if defence.scheme is None:
            randomness = InsecureDeterministicRandomness(seed)
            vector = codec.encode([victim], randomness=randomness).vector.astype(np.uint64)
            return Finding(cosine(_mean(codec.decode(vector, 1)), victim), baseline)
        scheme = make_scheme(defence.scheme, SITES, codec.length, adversary=defence.adversary)
        vectors = {
            who: codec.encode([update], randomness=InsecureDeterministicRandomness(seed + who)).vector
            for who, update in updates.items()
        }
        if defence.broken == UNREFUSED:
            return Finding(abs(cosine(under_all_masks(scheme, vectors), victim)), baseline)
        ended = attacked(scheme, vectors, bound=defence.bound_context)
        if ended.total is None:
            return Finding(0.0, baseline, note=ended.note)
        return Finding(
            abs(cosine(_mean(codec.decode(ended.total, ended.survivors)), victim)), baseline, note=ended.note
        )

    def curves(self, effort: Effort) -> tuple[Curve, ...]:
        """Return what the model in the masks is worth by itself, seed by seed: in the matrix it is refused before."""
        careless = Defence("careless", "secure sum, bonawitz", "bonawitz", broken=UNREFUSED)
        shown = {"the model is not bound": self.weak(), "it is bound, and nobody refuses another": careless}
        seeds = [float(seed) for seed in effort.seeds]
        found = {name: [self.run(defence, seed, effort) for seed in effort.seeds] for name, defence in shown.items()}
        lines = [Line(name, seeds, [one.value for one in runs]) for name, runs in found.items()]
        lines.append(Line("a guess", seeds, [one.baseline for one in found["the model is not bound"]], dashed=True))
        return (Curve("With the refusal left out", "seed", self.metric.name, lines),)


@dataclass(frozen=True)
class Ended:
    """What became of the round. total: None, where there is no sum; then over how many it is."""

    total: NDArray[Any] | None
    survivors: int
    note: str


def attacked(scheme: Scheme, vectors: Mapping[int, NDArray[Any]], *, bound: bool) -> Ended:
    """Run the round.

    bound: whether each participant's context says the model that it got, which is another one for the victim. The
    server's own machine then does not mind: what is refused, sites refuse.
    """
    with needed("conformance"):
        import pytest  # noqa: F401  (the bench is a part of the suite)

        from secagg.conformance.attack import Attack as Bench
        from secagg.conformance.weakened import without
        from secagg.conformance.weaknesses import MODEL_CONTEXT
    settings: dict[str, Any] = {"vectors": vectors, "context": CONTEXT, "contexts": {VICTIM: OTHER} if bound else {}}
    if bound and scheme.traits.keys == Keys.GROUP:
        bench = Bench(scheme, {VICTIM: {scheme.upload_step.value: for_the_others}}, **settings).run()
    elif bound:
        bench = Bench(without(scheme, MODEL_CONTEXT), schemes=dict.fromkeys(vectors, scheme), **settings).run()
    else:
        bench = Bench(scheme, **settings).run()
    if bench.failure is not None:
        refused = sum(bool(bench.by(who)) for who in bench.clients)
        sent = len(bench.sent[scheme.upload_step.value])
        return Ended(None, 0, f"{refused} of {len(bench.clients)} sites refused, and {sent} sent a masked vector")
    survivors = bench.server.output.survivors if bench.server.output is not None else tuple(bench.clients)
    note = "" if VICTIM in survivors else "the site with another model is in no sum"
    return Ended(bench.total(), len(survivors), note)


def for_the_others(bench: Any, envelopes: list[Envelope]) -> list[Envelope]:
    """Have the victim's ciphertexts pass as made for the others' model: who checks a tag can make one."""
    kept = bench.server._standing
    sealer = Sealer.of(kept.key_id, kept.parameter_hash, kept.wire_key, bench.server._address, OTHER)
    return [_tagged_again(bench, sealer, envelope) for envelope in envelopes]


def _tagged_again(bench: Any, sealer: Sealer, envelope: Envelope) -> Envelope:
    message = bench.server.open(envelope)
    body = sealer.open(Content.FRESH, VICTIM, message.block, message.words)
    words = bench.server._sealer.seal(Content.FRESH, VICTIM, message.block, body)
    again = bench.clients[HELPER].seal(envelope.kind, SERVER, msgspec.structs.replace(message, words=words))
    forged: Envelope = msgspec.structs.replace(again, sender=VICTIM)
    return forged


def under_all_masks(scheme: Scheme, vectors: Mapping[int, NDArray[Any]]) -> Floats:
    """Return what the server gets of a round in which nobody refuses another model: in the middle of the ring is 0.

    It keeps up both stories, and is given the self masks that it could not have had opened. The pairwise masks between
    the victim and the others are for two models, and stay.
    """
    from secagg.conformance import hostile
    from secagg.conformance.weakened import without
    from secagg.conformance.weaknesses import COHORT_FLOOR, MODEL_CONTEXT

    script = {
        "KeyList": lambda bench, _: bench.everyones_keys(),
        "SealedShares": lambda bench, _: bench.shares_for_all(),
    }
    careless = without(scheme, MODEL_CONTEXT, COHORT_FLOOR)
    bench = hostile.Attack(careless, {SERVER: script}, vectors=vectors, context=CONTEXT, contexts={VICTIM: OTHER}).run()
    values: Floats = np.asarray(bench.without_self_masks(), dtype=np.float64)
    values -= 2.0 ** (scheme.domain.sum_bits - 1)
    return values


def updates_of(seed: int) -> dict[int, Floats]:
    """Return each site's gradient of the first layer, over its rows of the breast-cancer data."""
    with needed("train"):
        import torch
    from sklearn.datasets import load_breast_cancer
    from sklearn.preprocessing import scale

    table = load_breast_cancer()
    order = np.random.default_rng(seed).permutation(len(table.data))[: SITES * ROWS].reshape(SITES, ROWS)
    x = torch.from_numpy(scale(table.data))
    y = torch.from_numpy(table.target.astype(np.float64))
    updates = {}
    for who, rows in enumerate(order, start=1):
        torch.manual_seed(seed)
        first = torch.nn.Linear(x.shape[1], NEURONS, dtype=torch.float64)
        model = torch.nn.Sequential(first, torch.nn.ReLU(), torch.nn.Linear(NEURONS, 1, dtype=torch.float64))
        if who != VICTIM:
            torch.nn.init.constant_(first.bias, DEAD)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x[rows])[:, 0], y[rows])
        (gradient,) = torch.autograd.grad(loss, [first.weight])
        updates[who] = gradient.numpy().ravel()
    return updates


def cosine(one: Floats, other: Floats) -> float:
    """Return the cosine of the angle between two vectors; 0 where one is nothing."""
    norms = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / norms if norms else 0.0


def _mean(decoded: Any) -> Floats:
    (array,) = decoded.arrays
    return np.asarray(array, dtype=np.float64)
