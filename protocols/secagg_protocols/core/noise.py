"""Noise under the sum: what every participant adds to its vector, so that the sum that comes out is private.

Each adds discrete Gaussians over the integers, D(0, s). Their sum is D(0, S), S² the sum of the variances, as long as
no part is narrower than 2 (docs/privacy.md). Nobody knows beforehand who will vanish, so everyone adds enough for the
worst case that is tolerated, the part that is then too much in layers that can be taken off again (XNoise: Jiang et
al., EuroSys'24; how the layers' seeds are kept back is ours: `bonawitz.noise`).
"""

from __future__ import annotations

import hashlib
import re
import reprlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from decimal import ROUND_CEILING, Decimal, localcontext
from functools import lru_cache
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError
from ..packing.masks import Keystream
from ..primitives.domain import Use, digest
from ..primitives.gaussian import WIDEST, gaussian
from ..primitives.randomness import Randomness
from ..primitives.rounding import rounder
from ..primitives.suites import Ciphersuite
from .numbers import whole

NARROWEST = 2
"""The narrowest part: two parts so wide add up to one Gaussian but for a factor 1 ± 2.8·10⁻¹⁷."""

ROUNDING = "2"
"""The width with which a codec rounds (`primitives.rounding`)."""

TAIL = Decimal("10.3")
"""A value with its noise is cut off at so many standard deviations: a chance of 2⁻⁷⁵ a coordinate and participant."""

EXACTLY = 16
"""Up to so many tolerated dropouts there is one layer for each; beyond, a layer stands for several."""

_RESIDUAL = Decimal("1.02")
"""Then at most so much more noise stays than was promised."""

_WIDEST_IN_ALL = 1 << 15
"""Of all parts together: tables for so much take 2 s and 200 MB, and a proposal must not cost a participant more."""

_MOST_LEVELS = 48
"""All their tables are kept at a time; beyond, each would be made anew for every participant."""

_DIGITS = 40
_PLACES = Decimal("1e-9")
_PIECE = 1 << 16
"""Coordinates whose noise is drawn at a time: in the same pieces at both ends."""


@dataclass(frozen=True, slots=True)
class Noise:
    """What honest survivors' noise adds up to.

    variance: of their sum, in squared units of the integers that are summed; a decimal number. tolerated: T, how many
    may vanish before the noise would be less; with more there is no sum. colluders: c, participants whose noise is not
    counted, since they may tell it. rounded: whether the vectors given are rounded with noise already (a codec's
    `rounder`): its variance, 4 a participant, is then part of the whole.
    """

    variance: str
    tolerated: int = 0
    colluders: int = 0
    rounded: bool = False

    def __post_init__(self) -> None:
        for name in ("tolerated", "colluders"):
            value = whole(f"noise {name}", getattr(self, name))
            if value < 0:
                raise ParameterError(f"noise: {name}={value} is negative")
            object.__setattr__(self, name, value)
        if not isinstance(self.rounded, bool):
            raise ParameterError(f"noise: rounded={self.rounded!r} is neither True nor False")
        object.__setattr__(self, "variance", _canonical(self.variance))

    def __str__(self) -> str:
        rounded = "true" if self.rounded else "false"
        return f"variance={self.variance} tolerated={self.tolerated} colluders={self.colluders} rounded={rounded}"

    @classmethod
    def of(cls, said: Noise | str) -> Self:
        """Return noise as it was said, or as `str` writes it. Raises `ParameterError`."""
        if isinstance(said, cls):
            return said
        if not isinstance(said, str):
            raise ParameterError(f"noise={reprlib.repr(said)} is neither a Noise nor its text: {_EXAMPLE}")
        rows = [row.partition("=") for row in said.split()]
        values: dict[str, Any] = {name: value for name, _, value in rows}
        if len(values) < len(rows) or values.keys() - {item.name for item in fields(cls)} or "variance" not in values:
            raise ParameterError(f"noise={reprlib.repr(said)} is not as in {_EXAMPLE}")
        for name in ("tolerated", "colluders"):
            if not _NUMBER.fullmatch(values.get(name, "0")):
                raise ParameterError(f"noise={reprlib.repr(said)}: {name} is not a whole number")
            values[name] = int(values.get(name, "0"))
        if values.get("rounded", "false") not in ("true", "false"):
            raise ParameterError(f"noise={reprlib.repr(said)}: rounded is neither true nor false")
        values["rounded"] = values.get("rounded") == "true"
        return cls(**values)

    def share(self, participants: int, layered: bool) -> NoiseShare:
        """Return what each of so many participants adds. layered: whether what is too much can be taken off again.

        Raises `ParameterError` where a part would be too narrow or too wide, or too few honest ones would be left.
        """
        return _share(self, participants, layered)


_NUMBER = re.compile("[0-9]{1,9}")
_DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?")
_EXAMPLE = "'variance=2560 tolerated=3 colluders=1 rounded=false'"


def _canonical(variance: str) -> str:
    if not (isinstance(variance, str) and len(variance) <= _DIGITS and _DECIMAL.fullmatch(variance)):
        raise ParameterError(f"noise: variance={reprlib.repr(variance)} is no decimal number, as '2560.5'")
    with localcontext() as context:  # not the program's, which may round
        context.prec = _DIGITS
        value = Decimal(variance)
        if not 1 <= value <= 1 << 64:
            raise ParameterError(f"noise: variance={variance} is not between 1 and 2^64")
        return f"{value.normalize():f}"


@dataclass(frozen=True)
class NoiseShare:
    """What one participant adds. base: the width of what always stays. layers: those of what can be taken off.

    levels: entry k is how many dropouts base and layers 1 … k are enough for. bound: what every coordinate is raised
    by, so that nothing is negative.
    """

    base: str
    layers: tuple[str, ...]
    levels: tuple[int, ...]
    bound: int
    rounded: bool

    def kept(self, dropouts: int) -> int | None:
        """Return how many layers stay in the sum after so many dropouts; None for more than are tolerated."""
        return next((layer for layer, level in enumerate(self.levels) if dropouts <= level), None)

    def variance(self, dropouts: int) -> float:
        """Return the variance that one survivor's noise keeps after so many dropouts, rounding included.

        Raises `ParameterError` for more than are tolerated.
        """
        stay = self.kept(dropouts)
        if stay is None:
            raise ParameterError(f"{dropouts} dropouts are more than tolerated={self.levels[-1]}: there is no sum")
        widths = (self.base, *self.layers[:stay], *([ROUNDING] if self.rounded else []))
        return sum(float(width) ** 2 for width in widths)

    @property
    def digest(self) -> bytes:
        """32 bytes that name every table that is drawn from: both ends must hold the same."""
        tables = [gaussian(width).exactly.digest for width in (self.base, *self.layers)]
        if self.rounded:
            tables.append(rounder(ROUNDING).digest)
        return digest(Use.NOISE_TABLES, hashlib.sha256(b"".join(tables)).digest())

    def add_to(
        self, vector: NDArray[np.integer[Any]], top: int, base: bytes, layers: Sequence[bytes]
    ) -> NDArray[np.uint64]:
        """Return a vector with its noise, raised by `bound`, in 0 … top.

        base, layers: a key each, used for nothing else. vector: up to top − 2 · bound. What lies outside 0 … top, which
        it does with a chance of 2⁻⁷⁵, is cut to it.
        """
        noisy = np.empty(vector.size, dtype=np.uint64)
        for part, noise in self._drawn(vector.size, (self.base, *self.layers), (base, *layers)):
            noise += self.bound
            noise += vector[part].astype(np.int64)
            np.clip(noise, 0, top, out=noise)
            noisy[part] = noise.view(np.uint64)
        return noisy

    def take_off(self, total: NDArray[np.int64], layers: Sequence[bytes]) -> None:
        """Subtract from a sum, in place, the last layers of one participant. layers: the keys of as many."""
        widths = self.layers[len(self.layers) - len(layers) :]
        for part, noise in self._drawn(total.size, widths, layers):
            total[part] -= noise

    @staticmethod
    def _drawn(length: int, widths: Sequence[str], keys: Sequence[bytes]) -> Iterator[tuple[slice, NDArray[np.int64]]]:
        """Yield (coordinates, the sum of all parts there), a piece at a time."""
        samplers = [gaussian(width) for width in widths]
        streams = [Keystream(key) for key in keys]
        for start in range(0, length, _PIECE):
            count = min(_PIECE, length - start)
            drawn = np.zeros(count, dtype=np.int64)
            for sampler, stream in zip(samplers, streams, strict=True):
                drawn += sampler.sample(count, stream)
            yield slice(start, start + count), drawn


class Noisy(Protocol):
    """What a scheme says of its noise."""

    @property
    def noise_share(self) -> NoiseShare | None: ...
    @property
    def value_bits(self) -> int: ...
    @property
    def suite(self) -> Ciphersuite: ...


def with_noise(
    scheme: Noisy, vector: NDArray[np.integer[Any]], randomness: Randomness, layers: Sequence[bytes] = ()
) -> NDArray[np.integer[Any]]:
    """Return a vector with this participant's noise; as it is where the scheme has none.

    What always stays is drawn fresh, from a key that is forgotten. layers: the keys of what can be taken off again.
    """
    share = scheme.noise_share
    if share is None:
        return vector
    top = (1 << scheme.value_bits) - 1
    return share.add_to(vector, top, randomness.bytes(scheme.suite.mask_key_bytes), layers)


@lru_cache(maxsize=32)
def _share(noise: Noise, participants: int, layered: bool) -> NoiseShare:
    honest = participants - noise.colluders
    if noise.tolerated + noise.colluders + 2 > participants:
        raise ParameterError(
            f"noise: tolerated={noise.tolerated} and colluders={noise.colluders} leave fewer than 2 of "
            f"participants={participants} to hide one another: lower tolerated or colluders"
        )
    levels = _levels(honest, noise.tolerated) if layered else (noise.tolerated,)
    if len(levels) > _MOST_LEVELS:
        raise ParameterError(
            f"noise: tolerated={noise.tolerated} of {honest} honest participants takes {len(levels)} layers, and at "
            f"most {_MOST_LEVELS} are kept: lower tolerated"
        )
    with localcontext() as context:
        context.prec = _DIGITS
        rounding = Decimal(ROUNDING) ** 2 if noise.rounded else Decimal(0)
        whole_variance = Decimal(noise.variance)
        each = [whole_variance / (honest - level) for level in levels]
        parts = [each[0] - rounding, *(after - before for before, after in zip(each, each[1:], strict=False))]
        if min(parts) < NARROWEST**2:
            raise ParameterError(
                f"noise: variance={noise.variance} makes a part of it narrower than {NARROWEST}, and such do not "
                f"add up: variance={_least(honest, levels, rounding)} is the least that works, or lower tolerated"
            )
        widths = [part.sqrt().quantize(_PLACES, ROUND_CEILING) for part in parts]
        if max(widths) > WIDEST:
            raise ParameterError(
                f"noise: variance={noise.variance} makes a part of it wider than {WIDEST}, of which there is no "
                "table: lower value_bits, and with it the scale"
            )
        if sum(widths) > _WIDEST_IN_ALL:
            raise ParameterError(
                f"noise: variance={noise.variance} makes {len(widths)} parts, {sum(widths):.0f} wide in all; tables "
                f"are made for {_WIDEST_IN_ALL} at most: lower value_bits, and with it the scale, or tolerated"
            )
        variance = sum((width * width for width in widths), rounding)
        bound = int((TAIL * variance.sqrt()).to_integral_value(ROUND_CEILING))
        if noise.rounded:  # so much a rounded vector may be away from what was rounded: it has that room itself
            bound -= rounder(ROUNDING).bound + 1
    base, *layers = (f"{width.normalize():f}" for width in widths)
    return NoiseShare(base, tuple(layers), levels, bound, noise.rounded)


def _levels(honest: int, tolerated: int) -> tuple[int, ...]:
    """Return for how many dropouts there are layers, 0 first: for each number, or so that little too much stays."""
    if tolerated <= EXACTLY:
        return tuple(range(tolerated + 1))
    levels = [0]
    while levels[-1] < tolerated:
        # One more than the level before has (honest − that) left, where the next level is enough for (honest − it).
        left = honest - levels[-1] - 1
        furthest = honest - int((left / _RESIDUAL).to_integral_value(ROUND_CEILING))
        levels.append(min(tolerated, max(levels[-1] + 1, furthest)))
    return tuple(levels)


def _least(honest: int, levels: Sequence[int], rounding: Decimal) -> Decimal:
    """Return the smallest variance of which no part is too narrow."""
    least = Decimal(NARROWEST**2)
    needs = [(least + rounding) * (honest - levels[0])]
    for before, after in zip(levels, levels[1:], strict=False):
        needs.append(least * (honest - before) * (honest - after) / (after - before))
    return max(needs).quantize(Decimal("0.001"), ROUND_CEILING)
