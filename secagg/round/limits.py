"""The most that one proposal may make a participant compute or hold.

The proposal itself sets all of these numbers, and a hostile one sets them all at once.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from secagg_protocols import ParameterError, Scheme

from .keys import PREFIX, WHERE, Keys, its_own

_SAMPLE = 10
"""One sample of noise takes as long as so many masked values."""


@dataclass(frozen=True)
class Limits:
    """bits: of a value. length: of a vector. participants: of a round. dealt: bytes of shares that it deals in a round.
    work: participants × (length + threshold × bytes of a share), and 10 × length for each part of the noise. keys: how
    they are written, and where, for errors.
    """

    bits: int = 32
    length: int = 1 << 28
    participants: int = 10_000
    dealt: int = 1 << 28
    work: int = 1 << 36
    prefix: str = PREFIX + "maximum-"
    where: str = WHERE

    @classmethod
    def read(cls, keys: Keys) -> Limits:
        """Read the keys `maximum-…`."""
        numbers = {item.name: item.default for item in fields(cls) if isinstance(item.default, int)}
        read = {name: keys.number(f"maximum-{name}", default) for name, default in numbers.items()}
        return cls(**read, prefix=keys.called("maximum-"), where=keys.where)

    def check_shape(self, participants: int, length: int) -> None:
        """Raise `ParameterError` for numbers that are too large as they stand: deriving a scheme is work, too."""
        self._check("participants", participants, self.participants)
        self._check("length", length, self.length)
        self._check("work", participants * length, self.work)

    def check_scheme(self, scheme: Scheme) -> None:
        """Raise `ParameterError` for a scheme that asks for too much."""
        share_bytes = scheme.share_bytes
        self._check("bits", scheme.value_bits, self.bits)
        self._check("dealt", scheme.participants * share_bytes, self.dealt)
        parts = 0 if scheme.noise is None else scheme.layers + 1
        noise = _SAMPLE * parts * scheme.length
        self._check("work", scheme.participants * (scheme.length + scheme.quorum * share_bytes) + noise, self.work)

    def _check(self, name: str, value: int, limit: int) -> None:
        if value > limit:
            raise ParameterError(
                f"the proposal's {name}={value} is above {self.prefix}{name}={limit}: if this node is to bear that, "
                f"raise it in {its_own(self.where, 'its')}"
            )
