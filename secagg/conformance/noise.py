"""Noise under the sum, known: so that the suite compares sums bit for bit where there is noise in them, too.

A participant's noise follows from keys: one that it draws when it gives its vector, and those of its layers. Both are
noted here, and what they come to is taken from the promise (how many layers stay after so many dropouts), not from
what the server did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from secagg_protocols import Client, Envelope, Randomness, Scheme

Make: TypeAlias = Callable[..., Scheme]
"""(participants, length, **parameters) → scheme."""


@dataclass
class Overheard:
    """A source of randomness, and what was drawn from it."""

    source: Randomness
    drawn: list[bytes] = field(default_factory=list)

    def bytes(self, count: int) -> bytes:
        self.drawn.append(self.source.bytes(count))
        return self.drawn[-1]


@dataclass(frozen=True)
class KnownNoise:
    """What everybody in a round added. keys: participant → the key of what always stays, and those of its layers."""

    scheme: Scheme
    keys: dict[int, tuple[bytes, Sequence[bytes]]] = field(default_factory=dict)

    def contribute(self, client: Client, vector: NDArray[Any]) -> list[Envelope]:
        """Have a participant give its vector, and note its noise; return what it sends."""
        if self.scheme.noise_share is None or not isinstance(client, Client):  # a stand-in's noise stays its own
            return client.contribute(vector)
        source = client._randomness
        overheard = Overheard(source)
        client._randomness = overheard
        layers = client._layer_keys()
        try:
            envelopes = client.contribute(vector)
        finally:
            client._randomness = source
        self.keys[client.participant] = overheard.drawn[0], layers
        return envelopes

    def of(self, survivors: Sequence[int]) -> NDArray[np.int64]:
        """Return what is promised to be in the sum over these survivors beside their vectors."""
        scheme = self.scheme
        total = np.zeros(scheme.length, dtype=np.int64)
        if scheme.noise_share is None:
            return total
        stay = scheme.noise_share.kept(scheme.participants - len(survivors))
        assert stay is not None, "with more dropouts than are tolerated there is no sum"
        share = replace(scheme.noise_share, layers=scheme.noise_share.layers[:stay])
        for survivor in survivors:
            base, layers = self.keys[survivor]
            raised = share.add_to(np.zeros(scheme.length, dtype=np.uint64), 2 * share.bound, base, layers[:stay])
            total += raised.astype(np.int64) - share.bound
        return total


def with_noise(make: Make) -> Make:
    """Return the same scheme with noise that is enough after as many dropouts as it recovers itself."""

    def noisy(participants: int, length: int, **parameters: Any) -> Scheme:
        bare = make(participants, length, **parameters)
        tolerated = max(0, min(participants - bare.quorum, participants - 2))
        return make(participants, length, noise=f"variance={VARIANCE} tolerated={tolerated}", **parameters)

    return noisy


VARIANCE = 1 << 13
"""Of the noise in a sum: enough for forty participants of whom nineteen may vanish."""
