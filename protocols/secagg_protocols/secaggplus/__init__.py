"""Secure single-server aggregation with (poly)logarithmic overhead (Bell et al., CCS'20), semi-honest."""

from .params import SecAggPlus

__all__ = ["SecAggPlus"]
