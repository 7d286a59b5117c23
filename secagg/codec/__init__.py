"""Codec: named arrays, their weight and a few metrics <-> one vector of small integers that can be summed."""

from secagg.codec.codec import Codec
from secagg.codec.influence import Influence, influence
from secagg.codec.layout import Arrays, Layout
from secagg.codec.results import Decoded, Encoded

__all__ = ["Arrays", "Codec", "Decoded", "Encoded", "Influence", "Layout", "influence"]
