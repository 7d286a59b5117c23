"""What the server of Bonawitz can hold against a wrong share: commitments, and lists of hashes under signed roots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..core.secrets import rows_to_open
from ..primitives import merkle
from ..primitives.blame import Verdict
from ..primitives.randomness import Randomness
from ..primitives.recovery import Recovery
from . import steps
from .messages import AdvertiseKeys
from .params import Bonawitz

_HASH_WORK = 1_000
_COMMITMENT_WORK = 8_000
_KEY_WORK = 80_000
"""Nanoseconds, about."""


class Told:
    """What a server was told of the secrets beside their shares: commitments, and (active) hashes of all shares.

    advertised, digests: by dealer, what it signed at AdvertiseKeys and at ShareKeys. rows: by dealer, what is opened.
    """

    def __init__(
        self,
        scheme: Bonawitz,
        address: bytes,
        advertised: Mapping[int, AdvertiseKeys],
        digests: Mapping[int, bytes],
        rows: Mapping[int, int],
    ) -> None:
        self._scheme = scheme
        self._address = address
        self._advertised = advertised
        self._digests = digests
        self._rows = rows
        self._one_list: dict[int, bool] = {}

    @property
    def signed(self) -> bool:
        return self._scheme.active

    def verify(self, dealer: int, secret: bytes) -> bool:
        row = self._rows[dealer]
        return steps.verify_secret(self._scheme, self._address, dealer, self._advertised[dealer], row, secret)

    def verify_work(self, dealer: int) -> int:
        return _KEY_WORK if self._rows[dealer] == steps.MASK_KEY else _COMMITMENT_WORK

    def verdicts(self, dealer: int, holders: Sequence[int], shares: Sequence[bytes]) -> list[Verdict]:
        """Tell whose fault wrong shares are: the holder's unless it returned just what the dealer signed."""
        if not self.signed:
            return [Verdict.UNSIGNED] * len(holders)
        if not self._signed_one_list(dealer):
            return [Verdict.DEALER] * len(holders)
        row = self._rows[dealer]
        signed = np.frombuffer(self._digests[dealer], dtype=np.uint8)
        signed = signed.reshape(-1, len(self._scheme.secrets), merkle.HASH_BYTES)
        found = np.frombuffer(steps.share_digests_at(dealer, holders, row, shares), dtype=np.uint8)
        others = signed[np.asarray(holders) - 1, row] != found.reshape(-1, merkle.HASH_BYTES)
        return [Verdict.HOLDER if other else Verdict.DEALER for other in others.any(axis=1).tolist()]

    def verdicts_work(self, dealer: int, count: int) -> int:
        hashes = 2 * self._scheme.participants if self.signed and dealer not in self._one_list else 0
        return _HASH_WORK * (hashes + 2 * count)

    def _signed_one_list(self, dealer: int) -> bool:
        """Tell whether the hashes that a dealer sent are those under the root that it signed before. Checked once."""
        if dealer not in self._one_list:
            root = merkle.root(steps.holder_leaves(self._scheme, self._digests[dealer]))
            self._one_list[dealer] = root == self._advertised[dealer].share_root
        return self._one_list[dealer]


def recovery_of(scheme: Bonawitz, address: bytes, known: steps.Transcript, randomness: Randomness) -> Recovery:
    """Return what puts the opened secrets together, with all that can be held against a wrong share."""
    rows = rows_to_open(scheme.secrets, known.dealers, known.survivors)
    return Recovery(scheme.quorum, Told(scheme, address, known.advertised, known.digests, rows), randomness)
