"""Practical secure aggregation with dropout recovery (Bonawitz et al., CCS'17)."""

from .params import Bonawitz

__all__ = ["Bonawitz"]
