"""The weighted mean: arrays clipped coordinate by coordinate, rounded without bias, weighed before they are summed.

The vector is the layout's coordinates, then the weight, then each metric in order of name.
In an unweighted codec every weight, and weight_max, is 1. SR is stochastic rounding.

    coordinate   q = SR((clip(x) / clip * weight / weight_max + 1) / 2 * (2**value_bits - 1))
    metric       q = SR((x - low) / (high - low) * weight / weight_max * (2**value_bits - 1))
    mean         (2 * sum q / (2**value_bits - 1) - survivors) * clip * weight_max / sum weight

Scaling by the weight before rounding lets the sum alone carry the weighted mean: the aggregator sees neither a
weight nor an unweighted update. For the same reason weight and metrics ride in one coordinate each: digits in several
would be summed apart, and tell who carried.
"""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from math import isfinite
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self

import numpy as np

from secagg_protocols.errors import InputError, ParameterError
from secagg_protocols.primitives.randomness import SYSTEM, Randomness

from .interface import NO_METRICS, Codec, Terms
from .kinds import register
from .layout import Arrays, Layout
from .quantise import BLOCK, check_total, clip_in_place, dequantise, quantise, stochastic_round
from .results import Decoded, Encoded, Influence, UnsignedArray
from .scalars import check_total_weight, checked_weight, unit_metrics

CLIP_RANGE = (2.0**-100, 2.0**100)  # float64 neither overflows nor underflows between them
MAX_VALUE_BITS = 32

_CHOOSING = (
    "one site can move any value of the mean by clip · weight_max / total weight, so take clip near the largest change "
    "of one value in training (the 99.9th percentile of |new − received| on your own data), and weight_max near the "
    "number of examples of the largest site (0: a plain mean)"
)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


@dataclass(frozen=True)
class MeanCodec(Codec):
    """The weighted mean of arrays within ±clip, and of metrics within their ranges.

    layout      the arrays
    clip        coordinates are clipped to [-clip, clip]; in the arrays' own unit
    value_bits  bits per coordinate on the wire, 1..32
    weight_max  None: plain mean. Else weights are integers in 1..weight_max (numbers of examples), and stay hidden; at
                most 2**value_bits - 1, since a weight rides in one coordinate
    metrics     name -> (low, high): scalars averaged like the arrays, to within
                (high - low) / (2**value_bits - 1) * survivors * weight_max / total weight
    on_clip     a value out of range is clipped and counted ("count"), or refused ("refuse"); a local choice

    Choosing clip: encode updates (new - old), not weights. The rounding error grows with `step`, for every
    coordinate; the clipping error is borne by the few that exceed clip. Start from the 99.9th percentile of |x| of an
    update on public or own data, watch `Encoded.clipped`, and err upwards: twice too large costs one of value_bits.
    Survivors' rounding errors cancel: their standard deviation is at most
    step / 2 * sqrt(survivors) * weight_max / total weight, so keep weight_max close to the largest real weight.

    Raises ParameterError.
    """

    layout: Layout
    _: KW_ONLY
    clip: float
    value_bits: int = 16
    weight_max: int | None = None
    metrics: Mapping[str, tuple[float, float]] = field(default_factory=dict, hash=False)
    on_clip: Literal["count", "refuse"] = "count"

    def __post_init__(self) -> None:
        if not (type(self.value_bits) is int and 1 <= self.value_bits <= MAX_VALUE_BITS):
            raise ParameterError(f"value_bits must be an int in 1..{MAX_VALUE_BITS}, not {self.value_bits!r}")
        lowest = CLIP_RANGE[0]
        highest = min(CLIP_RANGE[1], *(float(np.finfo(name).max) for name in self.layout.dtypes))
        if not (_is_number(self.clip) and lowest <= self.clip <= highest):
            raise ParameterError(f"clip must be in [{lowest:.3g}, {highest:.3g}] for this layout, not {self.clip!r}")
        if not (self.weight_max is None or (type(self.weight_max) is int and self.weight_max >= 1)):
            raise ParameterError(f"weight_max must be None or an int of at least 1, not {self.weight_max!r}")
        if self.weight_max is not None and self.weight_max > self._levels:
            wider = self.weight_max.bit_length()
            remedy = f"raise value_bits to {wider}" if wider <= MAX_VALUE_BITS else "count weights in larger units"
            raise ParameterError(
                f"weight_max={self.weight_max} does not fit one coordinate of value_bits={self.value_bits}, which "
                f"holds up to {self._levels}: {remedy}, or lower weight_max, and pass larger weights as that"
            )
        if self.on_clip not in ("count", "refuse"):
            raise ParameterError(f"on_clip must be 'count' or 'refuse', not {self.on_clip!r}")
        for name, ends in self.metrics.items():
            if not (isinstance(ends, Sequence) and len(ends) == 2 and all(map(_is_number, ends))):
                raise ParameterError(f"metric {name!r} needs a range (low, high) of two numbers, not {ends!r}")
            low, high = ends
            if not (low < high and isfinite(high - low)):
                raise ParameterError(f"metric {name!r} needs finite low < high, not ({low}, {high})")
        object.__setattr__(self, "metrics", MappingProxyType(dict(sorted(self.metrics.items()))))

    def __reduce__(self) -> tuple[Any, ...]:  # a mappingproxy cannot be pickled, and codecs go to worker processes
        fields = {name: getattr(self, name) for name in ("clip", "value_bits", "weight_max", "on_clip")}
        return partial(MeanCodec, self.layout, metrics=dict(self.metrics), **fields), ()

    @property
    def length(self) -> int:
        """Number of ring coordinates: what the scheme must be made with."""
        return self.layout.size + self._weights + len(self.metrics)

    @property
    def step(self) -> float:
        """Distance between neighbouring levels, in the arrays' unit: 2 clip / (2**value_bits - 1)."""
        return 2 * self.clip / self._levels

    @property
    def terms(self) -> "MeanTerms":
        """All that participants must agree on: not on_clip, which is each one's own."""
        ranges = {name: (float(low), float(high)) for name, (low, high) in self.metrics.items()}
        return MeanTerms(float(self.clip), self.value_bits, self.weight_max or 0, ranges)

    def encode(
        self,
        arrays: Arrays,
        *,
        weight: int | None = None,
        metrics: Mapping[str, float] = NO_METRICS,
        randomness: Randomness = SYSTEM,
    ) -> Encoded:
        """Participant: its arrays, which are left as they are, as the vector that the scheme takes.

        weight      int in 1..weight_max; None for an unweighted codec
        metrics     one finite number for each of the codec's metrics
        randomness  4 bytes are drawn per coordinate and per metric

        Raises InputError: NaN or infinity, wrong names, shapes or dtypes, weight out of range; when on_clip is
        "refuse", also values out of range.
        """
        count = checked_weight(weight, self.weight_max)
        share = count / (self.weight_max or 1)
        units, clipped = unit_metrics(self.metrics, metrics)
        self._refuse_clipped("the metrics", clipped)
        vector = np.empty(self.length, dtype=np.min_scalar_type(self._levels))
        start = 0
        for name, part in self.layout.parts(arrays):
            outside = 0
            for offset in range(0, part.size, BLOCK):
                values = part[offset : offset + BLOCK].astype(np.float64)
                outside += clip_in_place(name, values, self.clip)
                stop = start + values.size
                vector[start:stop] = quantise(values, self.clip, share, self._levels, randomness)
                start = stop
            self._refuse_clipped(f"array {name!r}", outside)
            clipped += outside
        if self.weight_max is not None:
            vector[start] = count
        vector[start + self._weights :] = stochastic_round(units * (share * self._levels), randomness)
        return Encoded(vector, clipped)

    def decode(self, total: UnsignedArray, survivors: int) -> Decoded:
        """Server: the sum of the survivors' vectors as their weighted mean.

        total      unsigned integers (length,), as the scheme's output holds them
        survivors  how many vectors are in the sum

        Raises InputError when total cannot be the sum of that many encodings: wrong length or dtype, a coordinate or
        the total weight out of reach.
        """
        check_total(total, self.length, survivors, self._levels)
        tail = [int(summed) for summed in total[self.layout.size :]]
        weight = survivors if self.weight_max is None else tail[0]
        check_total_weight(weight, survivors, self.weight_max)
        scale = self.step * ((self.weight_max or 1) / weight)
        mean = np.empty(self.layout.size, dtype=self.layout.dtype)
        for start in range(0, mean.size, BLOCK):
            stop = min(start + BLOCK, mean.size)
            mean[start:stop] = dequantise(total[start:stop], survivors, self.clip, scale, self._levels)
        metrics = {}
        for summed, (name, (low, high)) in zip(tail[self._weights :], self.metrics.items(), strict=True):
            unit = summed * (self.weight_max or 1) / (weight * self._levels)
            metrics[name] = low + min(unit, 1.0) * (high - low)
        return Decoded(self.layout.unflatten(mean), None if self.weight_max is None else weight, metrics)

    def in_range(self, arrays: Arrays) -> Arrays:
        """The arrays as float64, clipped to ±clip. Raises InputError as `encode` does."""
        flat = {}
        for name, part in self.layout.parts(arrays):
            flat[name] = part.astype(np.float64)
            clip_in_place(name, flat[name], self.clip)
        shaped = {name: flat[name].reshape(shape) for name, shape in zip(flat, self.layout.shapes, strict=True)}
        return shaped if self.layout.kind == "mapping" else list(shaped.values())

    def error_bound(self, survivors: int, weight: int | None = None) -> float:
        """Bound, never exceeded, on |decoded - exact weighted mean of the clipped inputs| of any coordinate.

        survivors  how many vectors are in the sum
        weight     their total weight; None: the worst case, in which every weight is 1

        With A = survivors * weight_max / weight (1 when unweighted), the sum of three parts:
        A * step           stochastic rounding: each survivor is off by less than one level
        A * clip * 2**-48  float64: encoding and decoding make fewer than 16 roundings of 2**-53 each, of 2 A clip
        clip * 2**-24      the output's dtype (for float32): half a unit in the last place

        Raises InputError.
        """
        weight = survivors if weight is None else weight
        check_total_weight(weight, survivors, self.weight_max)
        amplification = survivors * (self.weight_max or 1) / weight
        # A narrow array is rounded to the widest dtype first, then to its own.
        infos = [np.finfo(dtype) for dtype in set(self.layout.dtypes)]
        output = sum(float(info.eps) / 2 * self.clip + float(info.smallest_subnormal) for info in infos)
        return amplification * (self.step + self.clip * 2.0**-48) + output

    def influence(self, survivors: int, weight: int | None = None) -> Influence:
        """The influence of one site on a mean of so many survivors with this total weight. Raises InputError.

        The mean is (2 Σq / L − s) · clip · weight_max / weight with q in 0 … L, so one q moves it by
        clip · weight_max / weight about the middle. `decode` clips to ±clip, so nothing moves by more than 2 clip.
        A site that keeps to its own range may weigh each coordinate as if it had weight_max examples, whatever weight
        it sends: the two are not tied together. As s · weight_max ≥ weight, the range of the sum always covers ±clip.
        """
        weight = survivors if weight is None else weight
        check_total_weight(weight, survivors, self.weight_max)
        return Influence(min(self.clip * (self.weight_max or 1) / weight, 2 * self.clip), self.clip)

    @property
    def _levels(self) -> int:
        return (1 << self.value_bits) - 1

    @property
    def _weights(self) -> int:
        """Coordinates of the weight: one or none."""
        return int(self.weight_max is not None)

    def _refuse_clipped(self, what: str, outside: int) -> None:
        if outside and self.on_clip == "refuse":
            raise InputError(
                f"{outside} of the values of {what} are out of range (clip is {self.clip}): "
                "scale them down, agree on a wider range, or clip and count them with on_clip='count'"
            )


@register
class MeanTerms(Terms, frozen=True):
    """What travels of a `MeanCodec`. weight_max: 0 for a plain mean. metrics: by name, ascending."""

    kind: ClassVar[str] = "mean"
    version: ClassVar[int] = 1

    clip: float
    value_bits: int
    weight_max: int
    metrics: dict[str, tuple[float, float]]

    def __post_init__(self) -> None:
        if list(self.metrics) != sorted(self.metrics):
            raise ParameterError("the metrics of a codec's terms are not sorted by name")

    @classmethod
    def of(cls, knobs: Mapping[str, Any]) -> Self:
        """Aggregator: as `Terms.of`; clip and weight_max must be among the knobs, value_bits is 24 unless said."""
        if missing := [name for name in ("clip", "weight_max") if knobs.get(name) is None]:
            raise ParameterError(
                f"the codec is not given {' and '.join(missing)}, for which there is no safe default: {_CHOOSING}"
            )
        ranges = {name: (float(low), float(high)) for name, (low, high) in sorted(knobs.get("metrics", {}).items())}
        clip = float(knobs["clip"]) if _is_number(knobs["clip"]) else knobs["clip"]  # `codec` refuses others
        return super().of({"value_bits": 24, **knobs, "clip": clip, "metrics": ranges})

    def codec(self, layout: Layout) -> MeanCodec:
        return MeanCodec(
            layout,
            clip=self.clip,
            value_bits=self.value_bits,
            weight_max=self.weight_max or None,
            metrics=self.metrics,
        )
