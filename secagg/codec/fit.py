"""Does a scheme sum what a codec encodes? It is proved here, once, before anything is made or sent."""

from __future__ import annotations

from secagg_protocols import ParameterError
from secagg_protocols.core.noise import Noise
from secagg_protocols.core.parameters import Parameters

from .interface import Codec

SUM_BITS = 64
"""Sums are handed out as uint64."""


def fit(scheme: Parameters, codec: Codec) -> None:
    """Raise `ParameterError` unless every sum of vectors of `codec` comes out of `scheme` whole and exact.

    Of n participants each gives `codec.length` integers of 0 … `codec.top`. A scheme takes vectors of exactly its own
    length, values of at most its own value_bits, its noise included, and sums them modulo 2^sum_bits: so the sum is
    right if n times the largest with noise is below 2^sum_bits. A sum over fewer is smaller. Sums are exact, but for a
    scheme that has an option `raw_precision` (how far a coordinate may be off) and is made with it.
    """
    if scheme.length != codec.length:
        raise ParameterError(
            f"length={scheme.length} of {scheme.name} is not the codec's {codec.length}: make the scheme with "
            f"length={codec.length}, for the arrays that are really sent"
        )
    if scheme.value_bits < codec.value_bits:
        raise ParameterError(
            f"value_bits={scheme.value_bits} of {scheme.name} does not hold the codec's values of {codec.value_bits} "
            f"bits: make the scheme with value_bits={codec.value_bits}, or the codec with fewer"
        )
    if scheme.domain.largest < codec.top:
        raise ParameterError(
            f"noise={str(scheme.noise)!r} of {scheme.name} leaves room for values up to {scheme.domain.largest}, and "
            f"the codec makes up to {codec.top}: take the codec that goes with the noise (`Mechanism.codec`)"
        )
    if isinstance(scheme.noise, Noise) and scheme.noise.rounded != codec.rounds_with_noise:
        raise ParameterError(
            f"noise={str(scheme.noise)!r} of {scheme.name} counts on a codec that "
            f"{'rounds with noise' if scheme.noise.rounded else 'does not round with noise'}, and this one does "
            f"{'not' if scheme.noise.rounded else 'so'}: with Mechanism.codec take Mechanism.noise"
        )
    top = codec.top + 2 * scheme.domain.noise_bound
    ring_bits = min(scheme.domain.sum_bits, SUM_BITS)
    if (needed := (scheme.participants * top).bit_length()) > ring_bits:
        raise ParameterError(
            f"participants={scheme.participants} with values of {codec.value_bits} bits have sums of {needed} bits, "
            f"and {scheme.name} sums modulo 2^{ring_bits}: make the codec with a smaller value_bits"
        )
    if raw := getattr(scheme, "raw_precision", 0):
        raise ParameterError(
            f"raw_precision={raw}: sums of {scheme.name} may then be off by {raw}, and a codec takes exact ones: leave "
            "raw_precision out, of a group key as well"
        )
