"""What a codec is: arrays, their weight and a few metrics <-> one vector of small integers that can be summed.

A codec is a frozen value that all parties of a round hold alike. What they must agree on travels as its `Terms`; the
layout follows from the model. A further codec is a class of each, and `@register` on the terms: `fit` says whether a
scheme sums what it encodes, and the round and its runtimes take it as they take ours.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self

from secagg_protocols.core.wire import Message, encode
from secagg_protocols.errors import ParameterError
from secagg_protocols.primitives.domain import frame
from secagg_protocols.primitives.randomness import SYSTEM, Randomness

from .layout import Arrays, Layout
from .results import Decoded, Encoded, Influence, IntegerArray

NO_METRICS: Mapping[str, Any] = MappingProxyType({})
PROBE = Layout(("probe",), ((1,),), ("float32",))


class Codec(ABC):
    """The public agreement on how arrays become integers, and their sum a result.

    layout      the arrays
    value_bits  bits of every integer: 0 to 2**value_bits - 1
    weight_max  None: all weigh the same. Else weights are integers in 1..weight_max
    metrics     name -> (low, high): scalars that ride in the sum
    """

    rounds_with_noise: ClassVar[bool] = False
    """Whether what it makes is rounded as `Noise(rounded=True)` says (docs/privacy.md)."""

    layout: Layout
    value_bits: int
    weight_max: int | None = None
    metrics: Mapping[str, tuple[float, float]] = NO_METRICS

    @property
    @abstractmethod
    def length(self) -> int:
        """Number of integers in a vector."""

    @property
    def top(self) -> int:
        """The largest integer that it makes."""
        return (1 << self.value_bits) - 1

    @property
    @abstractmethod
    def terms(self) -> Terms:
        """What travels: `terms.codec(layout)` is this codec, but for choices of one participant alone."""

    @abstractmethod
    def encode(
        self,
        arrays: Arrays,
        *,
        weight: int | None = None,
        metrics: Mapping[str, float] = NO_METRICS,
        randomness: Randomness = SYSTEM,
    ) -> Encoded:
        """Participant: its arrays, which are left as they are, as the vector that the scheme takes. Raises InputError.

        weight   int in 1..weight_max; None where all weigh the same
        metrics  one finite number for each of the codec's metrics
        """

    @abstractmethod
    def decode(self, total: IntegerArray, survivors: int) -> Decoded:
        """Whoever gets the sum: what it says. Raises InputError when no such vectors have that sum.

        total      integers (length,), as the scheme's output holds them
        survivors  how many vectors are in the sum
        """

    @abstractmethod
    def in_range(self, arrays: Arrays) -> Arrays:
        """The arrays that the vector stands for, as float64: what `decode` gives is of these, to `error_bound`."""

    @abstractmethod
    def error_bound(self, survivors: int, weight: int | None = None) -> float:
        """Bound on |decoded - exact weighted mean of what is `in_range`| of any coordinate. Raises InputError.

        survivors  how many vectors are in the sum
        weight     their total weight; None: the worst case
        """

    @abstractmethod
    def influence(self, survivors: int, weight: int | None = None) -> Influence:
        """The most that one site can have done to a result. Arguments and errors as for `error_bound`."""

    @property
    def digest(self) -> bytes:
        """SHA-256 (32 bytes) of all that participants must agree on: for the context digest."""
        terms = self.terms
        agreed = frame("secagg.codec/3", self.layout.digest, terms.kind, str(terms.version), encode(terms))
        return hashlib.sha256(agreed).digest()


class Terms(Message, frozen=True):
    """What all parties must agree on about a codec, but for the layout. Its fields are the aggregator's knobs.

    kind: the codec's name. version: of its terms and of what it makes of a vector; another version is refused.
    """

    kind: ClassVar[str]
    version: ClassVar[int]

    @classmethod
    def of(cls, knobs: Mapping[str, Any]) -> Self:
        """Aggregator: the terms that some knobs ask for, by the names of the fields. Raises `ParameterError`."""
        try:
            return cls(**knobs)
        except TypeError as error:
            raise ParameterError(f"codec={cls.kind!r}: {error}; it takes {', '.join(cls.__struct_fields__)}") from None

    def __str__(self) -> str:
        return f"{self.kind} ({', '.join(f'{name}={getattr(self, name)}' for name in self.__struct_fields__)})"

    def check(self) -> None:
        """Raise `ParameterError` for terms that fit no model at all; what else they need is seen with the model."""
        self.codec(PROBE)

    def codec(self, layout: Layout) -> Codec:
        """Return the codec for a model's layout. Raises `ParameterError` for terms that cannot be."""
        raise NotImplementedError
