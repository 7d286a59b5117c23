"""Whose fault a wrong share is, as far as signed content shows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import Enum
from typing import Protocol

import msgspec

from ..errors import SecAggError


class Unrecoverable(SecAggError):
    """A dealer's secret cannot be reconstructed from the shares that came. `culprits`: who may be at fault."""

    def __init__(self, dealer: int, have: int, culprits: frozenset[int]) -> None:
        super().__init__(f"the secret that participant {dealer} shared cannot be reconstructed from {have} shares")
        self.dealer = dealer
        self.have = have
        self.culprits = culprits


class Correction(msgspec.Struct, frozen=True, gc=False):
    """A wrong share that was found and left out.

    dealer: whose share; 0 where it is a sum over the shares of all survivors. at_fault: see `culprits`.
    """

    dealer: int
    holder: int
    at_fault: Collection[int]

    @property
    def culprits(self) -> frozenset[int]:
        """Who may be at fault, as far as signed content shows."""
        return frozenset(self.at_fault)


class Verdict(Enum):
    """What signed content says of a share that a holder returned."""

    UNSIGNED = "nothing is signed: dealer, holder and server look alike"
    DEALER = "the dealer signed this very share, or two lists that contradict each other"
    HOLDER = "the dealer signed another share"


class Evidence(Protocol):
    """What the server knows of a dealer's secret beside its shares. Work is in units of about a nanosecond."""

    @property
    def signed(self) -> bool:
        """Whether dealers signed their shares."""

    def verify(self, dealer: int, secret: bytes) -> bool:
        """Tell whether this is the secret that the dealer committed to."""

    def verify_work(self, dealer: int) -> int:
        """Return the work of one `verify`."""

    def verdicts(self, dealer: int, holders: Sequence[int], shares: Sequence[bytes]) -> list[Verdict]:
        """Return what signed content says of the shares that holders returned."""

    def verdicts_work(self, dealer: int, count: int) -> int:
        """Return the work of the next `verdicts`, on so many shares of a dealer."""
