"""The view test: of two sets of vectors with one sum, which was it? Whoever can tell has seen more than the sum.

Two participants' values are swapped, or not, coordinate by coordinate: the sum stays. The attacker is told of half of
the coordinates who has what, looks for anything in its view that goes along with it, and says the same of the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from secagg_protocols import SERVER
from secagg_protocols.bonawitz import steps
from secagg_protocols.core.channels import PairwiseKeys
from secagg_protocols.primitives.domain import Use

from ..attack import Effort, Finding, Metric
from ..defence import Defence
from ..released import Floats, mechanism_for
from .base import ProtocolAttack
from .leaky import BESIDE, LEAKY
from .schemes import has_own_keys, scheme_of
from .uploads import read

PARTICIPANTS = 8
LENGTH = 4000
PAIR = (1, 2)
"""Whose values are swapped."""
GONE = 3
"""Drops out before its upload."""
COLLUDERS = 2
SHIFTS = 64
"""Places at which a row of values is looked for, from the start of whatever was seen."""
MASKS = "mask_keys"
"""What schemes open whose uploads the coalition can take some masks off."""


class EqualSums(ProtocolAttack):
    """Who of two participants has which value, from all that the server and its colluders see."""

    name: ClassVar[str] = "view"
    title: ClassVar[str] = "Who of two participants has which value, where the sum does not say"
    source: ClassVar[str] = "Bonawitz et al., CCS 2017, theorem 6.3: the view can be simulated from the sum"
    adversary: ClassVar[str] = (
        "the server with as many colluders as the scheme withstands, curious: all messages, and all that colluders hold"
    )
    metric: ClassVar[Metric] = Metric("share of values whose owner is told", success=0.75)

    def view(self, defence: Defence) -> str:
        noise = defence.noise
        shared = f", shares of noise z = {noise.multiplier:g}" if noise and noise.mode == "distributed" else ""
        return super().view(defence) + shared

    def held_by(self, defence: Defence) -> bool:
        if defence.scheme is None:
            return False
        (_, what), *_ = _scheme(defence).leakage
        return bool(what.startswith("the sum"))

    def weak(self) -> Defence:
        return Defence("telling", "secure sum, bonawitz", "bonawitz", broken=BESIDE)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        scheme = _scheme(defence)
        sides = np.where(np.random.default_rng([seed, 1]).random(LENGTH) < 0.5, -1.0, 1.0)
        view, bench = _view(scheme, seed, sides)
        if not effort.quick and _sizes(view) != _sizes(_view(scheme, seed, -sides)[0]):
            return Finding(1.0, 0.5, note="messages have other lengths where the values are swapped")
        return Finding(_told(view, bench, sides), 0.5)


def _scheme(defence: Defence) -> Any:
    parameters: dict[str, Any] = {"colluders": COLLUDERS} if has_own_keys(defence) else {}
    if defence.noise is not None and defence.noise.mode == "distributed":
        mechanism = replace(mechanism_for(defence.noise, PARTICIPANTS, LENGTH, rows=1), tolerated=1)  # GONE
        parameters |= {"value_bits": mechanism.value_bits, "noise": mechanism.noise}
    broken = {what: partial(kind, colluders=COLLUDERS) for what, kind in LEAKY.items()}
    return scheme_of(defence, PARTICIPANTS, LENGTH, broken, **parameters)


def _view(scheme: Any, seed: int, sides: Floats) -> tuple[Any, Any]:
    """Return what the coalition sees of a round, and the bench. sides: 1 where the first of the pair has the value."""
    from secagg.conformance import attack, hostile
    from secagg.conformance.driver import vectors_for

    kind = hostile.Attack if MASKS in scheme.traits.opens else attack.Attack
    colluders = tuple(range(PARTICIPANTS - scheme.guarantee.colluders + 1, PARTICIPANTS + 1))
    vectors = vectors_for(scheme, seed)
    for who, side in zip(PAIR, (1, -1), strict=True):
        vectors[who] = np.where(sides == side, scheme.domain.largest, 0).astype(np.uint64)
    bench = kind(scheme, vectors=vectors, absent={GONE: scheme.upload_step}, colluders=colluders).run()
    return bench.view(SERVER, *colluders), bench


def _sizes(view: Any) -> list[tuple[int, int, int]]:
    return [(one.sender, one.recipient, len(one.envelope.payload)) for one in view.transcript]


def _told(view: Any, bench: Any, sides: Floats) -> float:
    """Return the share of the second half whose side is told by what goes along with the first half's."""
    half = LENGTH // 2
    best, strongest, turned = np.zeros(LENGTH), 0.0, 1.0
    for rows in _rows(view, bench):
        centred = rows - rows[:, :half].mean(axis=1, keepdims=True)
        spread = np.sqrt((centred[:, :half] ** 2).mean(axis=1)) + 1e-12
        along = centred[:, :half] @ sides[:half] / spread / half
        found = int(np.abs(along).argmax())
        if abs(along[found]) > strongest:
            best, strongest, turned = centred[found], abs(float(along[found])), np.sign(along[found])
    return float(np.mean(np.where(best[half:] * turned > 0, 1.0, -1.0) == sides[half:]))


def _rows(view: Any, bench: Any) -> Iterator[Floats]:
    """Yield what may go along with values, (places, LENGTH): all that was seen, as bits and as integers."""
    seen = [bytes(one.envelope.payload) for one in view.transcript]
    seen += [msgspec.msgpack.encode(memory) for memories in view.memories.values() for memory in memories]
    for data in seen:
        yield from _windows(np.unpackbits(np.frombuffer(data, dtype=np.uint8), bitorder="little"))
        for size in (1, 2, 4, 8):
            for start in range(size):
                count = (len(data) - start) // size
                if count > 0:
                    yield from _windows(np.frombuffer(data, dtype=f"<u{size}", count=count, offset=start))
    uploads = [view.sent(who, bench.scheme.upload_step.value)[0] for who in PAIR]
    yield _pair(*(read(bench, upload, bench.vectors[upload.sender]).unpacked for upload in uploads))
    if MASKS in bench.scheme.traits.opens:
        seeds = {who: bench.secret(who, steps.SELF_MASK_SEED) for who in PAIR}
        yield _pair(*(bench.unmask(who, seed, {}) for who, seed in seeds.items()))
        yield _pair(*(bench.unmask(who, seed, _shared(view, bench, who)) for who, seed in seeds.items()))


def _pair(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> Floats:
    return np.stack([one, other, one - other, one + other]).astype(np.float64)


def _shared(view: Any, bench: Any, who: int) -> dict[int, bytes]:
    """Return the keys of the masks that a participant shares with colluders, and with those whose secrets are open."""
    keys = {}
    for peer in set(bench.dealers(who)) - {who}:
        own = (memory.own.mask_secret for memory in view.memories.get(peer, ()) if memory.own is not None)
        secret = next(own, None) or bench.secret(peer, steps.MASK_KEY)
        if secret is not None:
            agreed = PairwiseKeys(bench.scheme.suite, Use.MASK_KEY, bench.server._session, peer, secret)
            keys[peer] = agreed.with_peer(who, bench.advertised(who).mask_key)
    return keys


def _windows(values: NDArray[Any]) -> Iterator[Floats]:
    """Yield rows of LENGTH neighbours, from each of the first places."""
    if len(values) >= LENGTH:
        yield sliding_window_view(values, LENGTH)[:SHIFTS].astype(np.float64)
