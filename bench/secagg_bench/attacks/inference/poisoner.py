"""One poisoner: how far a single site moves the mean, within its range, and beyond it, where only the room of all ends.

A masked vector shows nobody whether it is in range, whatever else is signed and checked. Bonawitz runs here, against a
semi-honest server; other schemes sum in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

import secagg
from secagg.codec import Layout, MeanCodec, NormCodec
from secagg.schemes import make_scheme
from secagg_protocols import Envelope, InsecureDeterministicRandomness
from secagg_protocols.bonawitz.messages import MaskedInput
from secagg_protocols.packing.lanes import new_words

from ..attack import Attack, Curve, Effort, Finding, Line, Metric
from ..defence import Defence
from ..released import Floats, codec_for, mechanism_for
from .clinical import Table

ROWS = 4
"""Of each site."""
POISONER = 1
NEARLY = 0.99
"""Of the clip, what the poisoner wants the mean to be: whoever asks for more is beyond the room of all, and there is no
sum."""
Lie = Callable[[Any, list[Envelope]], list[Envelope]]

CLIPS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""In units of the largest honest value."""


class Poisoner(Attack):
    """How far one site moves the mean of all."""

    name: ClassVar[str] = "poisoner"
    title: ClassVar[str] = "How far one site moves the mean, by integers that no codec would send"
    source: ClassVar[str] = "Bagdasaryan et al., How to backdoor federated learning, AISTATS 2020"
    adversary: ClassVar[str] = "one site: knows about what the others send, and sends any integers that it likes"
    metric: ClassVar[Metric] = Metric("shift of the mean, over the largest honest value", success=0.5, most=1e6)

    def no_view(self, defence: Defence) -> str:
        return ""

    def view(self, defence: Defence) -> str:
        if defence.scheme is None:
            return "each vector"
        noise = defence.noise
        noisy = f", {noise}" if noise is not None and noise.mode == "distributed" else ""
        return f"sum of {defence.sites}, clip {defence.clip}{noisy}"

    def held_by(self, defence: Defence) -> bool:
        return defence.clip is not None

    def weak(self) -> Defence:
        return Defence(
            "wide-clip",
            "secure sum of 16, bonawitz",
            "bonawitz",
            clip=100.0,
            broken="a clip far beyond what sites send",
        )

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        poisoned = Poisoned.of(defence, seed)
        within = poisoned.within()
        if defence.scheme is None:
            note = "beyond its range the server, who sees the vector, can refuse it"
            return Finding(within, 1 / defence.sites, note=note)
        return Finding(poisoned.beyond(), 1 / defence.sites, note=f"within its range {within:.3g}")

    def curves(self, effort: Effort) -> tuple[Curve, ...]:
        within, beyond, stated = [], [], []
        for clip in CLIPS:
            rounds = [Poisoned.of(Defence("", "", "bonawitz"), seed, clip) for seed in effort.seeds[:3]]
            within.append(fmean(one.within() for one in rounds))
            beyond.append(fmean(one.beyond() for one in rounds))
            stated.append(fmean(2 * one.codec.influence(len(one.vectors)).anywhere / one.honest for one in rounds))
        lines = [
            Line("within its range", list(CLIPS), within),
            Line("beyond its range", list(CLIPS), beyond),
            Line("from one end of the clip to the other", list(CLIPS), stated, dashed=True),
        ]
        title = "Influence of one poisoner of 16 against the clip"
        return (Curve(title, "clip, over the largest honest value", "shift, over the same", lines, logarithmic=True),)


@dataclass(frozen=True, eq=False)
class Poisoned:
    """A round with one poisoner. vectors: what all would send, the poisoner first. expected: the mean then.

    plain: sums as the scheme does, where all keep to their range. honest: the largest value that any site has.
    """

    scheme: secagg.Scheme
    plain: secagg.Scheme
    codec: MeanCodec | NormCodec
    vectors: Sequence[NDArray[Any]]
    expected: Floats
    honest: float
    seed: int

    @classmethod
    def of(cls, defence: Defence, seed: int, clip: float | None = None) -> Poisoned:
        """Make one of logistic models' first gradients. clip: over the largest honest value; None: the defence's."""
        table = Table.of(Effort((seed,)), seed)[: defence.sites * ROWS]
        gradients = (0.5 - table.y)[:, None] * table.x
        updates = list(gradients.reshape(defence.sites, ROWS, -1).sum(axis=1))
        honest = float(np.abs(updates).max())
        noise = None
        codec: MeanCodec | NormCodec = codec_for(
            defence if clip is None else replace(defence, clip=clip * honest), updates
        )
        if defence.noise is not None and defence.noise.mode == "distributed":
            most = 1 if defence.noise.unit == "institution" else ROWS
            mechanism = mechanism_for(defence.noise, defence.sites, updates[0].size, most)
            noise, codec = mechanism.noise, mechanism.codec(Layout.of([updates[0]]))
        count, bits = defence.sites, codec.value_bits
        plain = make_scheme("plain", count, codec.length, value_bits=bits, noise=noise)
        scheme = make_scheme("bonawitz", count, codec.length, value_bits=bits, noise=noise)
        randomness = InsecureDeterministicRandomness(seed)
        vectors = [codec.encode([update], randomness=randomness).vector for update in updates]
        expected = np.mean([next(iter(codec.in_range([update]))) for update in updates], axis=0)
        return cls(scheme, plain, codec, vectors, expected, honest, seed)

    def _extra(self) -> NDArray[np.int64]:
        """Return what the poisoner adds to what it would send: each value of the mean then is nearly at the clip."""
        units = self.codec.scale if isinstance(self.codec, NormCodec) else 1 / self.codec.step
        wanted = NEARLY * self.clip - self.expected
        return np.rint(len(self.vectors) * units * wanted).astype(np.int64)

    @property
    def clip(self) -> float:
        """The codec's: of each value, or of the norm of all."""
        assert isinstance(self.codec.clip, float)
        return self.codec.clip

    def within(self) -> float:
        """Return how far the mean goes, where the poisoner sends the largest vector that its codec makes."""
        randomness = InsecureDeterministicRandomness(self.seed)
        largest = self.codec.encode([np.full(self.expected.size, self.clip)], randomness=randomness).vector
        run = secagg.simulate(self.plain, [largest, *self.vectors[1:]], randomness=randomness)
        return self._shift(run)

    def beyond(self) -> float:
        """Return how far it goes, where the poisoner adds to its masked vector whatever it likes."""
        randomness = InsecureDeterministicRandomness(self.seed)
        lies = {POISONER: adding(self._extra())}
        return self._shift(secagg.simulate(self.scheme, self.vectors, misbehave=lies, randomness=randomness))

    def _shift(self, run: secagg.Run) -> float:
        mean = np.asarray(next(iter(self.codec.decode(run.total, len(run.survivors)).arrays)), dtype=np.float64)
        return float(np.abs(mean - self.expected).mean()) / self.honest


def adding(extra: NDArray[np.int64]) -> Lie:
    """Return a participant that adds integers to its masked vector, whatever its machine would let it send."""

    def lie(machine: Any, envelopes: list[Envelope]) -> list[Envelope]:
        if not envelopes or envelopes[0].kind != "MaskedInput":
            return envelopes
        (block,) = (msgspec.msgpack.decode(envelope.payload, type=MaskedInput) for envelope in envelopes)
        lanes = machine.scheme.domain.lanes
        words = new_words(lanes.words)
        lanes.add_bytes(words, block.words)
        words += lanes.pack(extra)
        return [machine.seal("MaskedInput", 0, MaskedInput(block.block, lanes.to_bytes(words)))]

    return lie
