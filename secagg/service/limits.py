"""What a caller may cost: bytes, seconds, calls and connections, all of them checked before anything is parsed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

HEAD_BYTES = 1 << 14
"""Longest head of a call."""
HEAD_SECONDS = 10.0
"""In which a call's head must have come."""
IDLE_SECONDS = 60
"""After which a connection on which nothing is asked is closed."""
POLL_SECONDS = 30.0
"""Longest that a call for the next request is held open."""
CALLS_AT_ONCE = 4
"""Of one party: it makes one after another, and may have lost a few."""
ANSWERS_AT_ONCE = 1
"""Of one party: no more bodies than sites are held."""
ADDRESSES_KEPT = 1024
"""Whose rate is known. An address beyond them begins anew, and the one that was quiet for longest is forgotten."""
REQUEST_BYTES = 1 << 28
"""Longest request that a site reads."""


def body_seconds(length: int) -> float:
    """Return in how many seconds a body must have come: 20, and one more for every 20 kB."""
    return 20.0 + length / 20_000


@dataclass(frozen=True)
class Connections:
    """How many may be open, of one address and in all: sites may stand behind one address."""

    of_address: int
    in_all: int

    @classmethod
    def of(cls, sites: int) -> Connections:
        """Return what is enough for so many sites."""
        return cls(16 + 2 * sites, 64 + 4 * sites)


@dataclass
class _Bucket:
    left: float
    at: float


class Rate:
    """Calls a second of each caller, on average; `burst` at once. clock: seconds."""

    def __init__(self, each_second: float, burst: float, clock: Callable[[], float]) -> None:
        self._each_second = each_second
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def allows(self, caller: str) -> bool:
        """Count one call; tell whether it may go on."""
        now = self._clock()
        bucket = self._buckets.pop(caller, None) or _Bucket(self._burst, now)
        self._buckets[caller] = bucket
        if len(self._buckets) > ADDRESSES_KEPT:
            self._buckets.popitem(last=False)
        bucket.left = min(self._burst, bucket.left + (now - bucket.at) * self._each_second)
        bucket.at = now
        if bucket.left < 1:
            return False
        bucket.left -= 1
        return True
