"""What liars make of the last step: every mix of `secagg bench liars`, played against the server of a scheme."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg_protocols import RoundFailed
from secagg_protocols.dealing import Dealing

from ...liars.mixes import MIXES, Script, bad_dealers
from ...liars.stage import BadDealers, Stage, real, short

PARTICIPANTS = 8
VALUE_BITS = 29
"""Eight such values fill 32 bits but for seven numbers: garbage looks like a sum, and only the shares tell it."""


@dataclass(frozen=True)
class Ended:
    """How one mix ended. guilty: who lied. total: None where there is no sum. blamed: each set that was named."""

    mix: str
    guilty: frozenset[int]
    total: NDArray[np.uint64] | None
    true: NDArray[np.uint64]
    blamed: tuple[frozenset[int], ...]

    @property
    def wrong(self) -> bool:
        """Whether a wrong sum came out."""
        return self.total is not None and not np.array_equal(self.total, self.true)

    @property
    def framed(self) -> bool:
        """Whether somebody was named, and nobody who lied."""
        return any(names and not names & self.guilty for names in self.blamed)


def played(scheme: Any, seed: int) -> Iterator[Ended]:
    """Yield how each mix ends that this scheme can meet. What a scheme of sums opens is bound to what was dealt."""
    from secagg.conformance.driver import vectors_for

    vectors = vectors_for(scheme, seed)
    stage = _staged(scheme, vectors, {})
    script = Script(stage, seed)
    for mix in (mix for mix in MIXES if not mix.bad_dealers):
        if stage.by_dealer or not mix.name.endswith("few dealers"):
            lie = mix.play(script)
            yield _ended(mix.name, stage, lie.answers, lie.liars)
    if stage.by_dealer:
        stage = _staged(scheme, vectors, bad_dealers(scheme.participants, script.spare, seed))
        script = Script(stage, seed)
        for mix in (mix for mix in MIXES if mix.bad_dealers):
            lie = mix.play(script)
            yield _ended(mix.name, stage, lie.answers, lie.liars)


def _staged(scheme: Dealing, vectors: Mapping[int, NDArray[np.uint64]], bad: BadDealers) -> Stage:
    prepare = short if "mask_keys" in scheme.traits.opens else real
    return prepare(scheme, vectors.__getitem__, bad, lambda done, total, text: None)


def _ended(mix: str, stage: Stage, answers: Any, liars: frozenset[int]) -> Ended:
    server, advance = stage.close(answers)
    blamed = []
    try:
        advance()
    except RoundFailed as failure:
        blamed.append(failure.culprits)
    blamed += [correction.culprits for correction in server.corrections]
    total = None if server.output is None else server.output.total
    return Ended(mix, liars | stage.bad.keys(), total, stage.total, tuple(blamed))
