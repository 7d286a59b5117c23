"""Codecs: named arrays, their weight and a few metrics <-> one vector of small integers that can be summed."""

from .fit import fit
from .interface import Codec, Terms
from .kinds import read_terms, register, terms_called
from .layout import Arrays, Layout
from .mean import MeanCodec, MeanTerms
from .results import Decoded, Encoded, Influence

__all__ = [
    "Arrays",
    "Codec",
    "Decoded",
    "Encoded",
    "Influence",
    "Layout",
    "MeanCodec",
    "MeanTerms",
    "Terms",
    "fit",
    "read_terms",
    "register",
    "terms_called",
]
