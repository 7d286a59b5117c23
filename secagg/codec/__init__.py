"""Codecs: named arrays, their weight and a few metrics <-> one vector of small integers that can be summed."""

from .calibration import CALIBRATE, CalibrationCodec, CalibrationTerms
from .fit import fit
from .interface import Codec, Terms
from .kinds import read_terms, register, terms_called
from .layout import Arrays, Layout
from .mean import MeanCodec, MeanTerms
from .norm import NormCodec, NormTerms
from .proposed import ProposedClips
from .results import Decoded, Encoded, Influence

__all__ = [
    "CALIBRATE",
    "Arrays",
    "CalibrationCodec",
    "CalibrationTerms",
    "Codec",
    "Decoded",
    "Encoded",
    "Influence",
    "Layout",
    "MeanCodec",
    "MeanTerms",
    "NormCodec",
    "NormTerms",
    "ProposedClips",
    "Terms",
    "fit",
    "read_terms",
    "register",
    "terms_called",
]
