"""Whether a round fits into memory: said before it begins, as a system ends who takes too much without a word."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from secagg.cli.output import readable_bytes
from secagg_protocols import ParameterError, Scheme

_MACHINE_BYTES = 2000
_DEALT_BYTES = 100
"""What a participant's machine, and what is dealt from one to another, take at least; measured, and rounded down."""


def check_fits(scheme: Scheme) -> None:
    """Raise `ParameterError` for a round that would surely take more than is free, all its parties in this process."""
    least = least_bytes(scheme.participants, scheme.length, scheme.value_bits)
    if scheme.traits.opens:
        least += scheme.participants * getattr(scheme, "neighbours", scheme.participants - 1) * _DEALT_BYTES
    refuse_beyond(least, scheme.participants, scheme.length)


def least_bytes(participants: int, length: int, value_bits: int) -> int:
    """Return what any round takes: one vector, one upload and the sum, and a machine for each participant."""
    each = np.min_scalar_type((1 << value_bits) - 1).itemsize + 2 * value_bits / 8
    return int(length * each) + participants * _MACHINE_BYTES


def refuse_beyond(least: int, participants: int, length: int) -> None:
    """Raise `ParameterError` when `least` bytes are more than what is free."""
    if least > (free := free_bytes()):
        raise ParameterError(
            f"length={length} for {participants} participants needs at least {readable_bytes(least)} of memory, and "
            f"{readable_bytes(free)} are free: lower length, or take fewer participants"
        )


def free_bytes() -> int:
    """Return how much memory this process may still take: what the machine has free, or where it does not say, all."""
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
