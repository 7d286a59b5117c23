"""Figures as people read them."""

from __future__ import annotations


def duration(ms: float | None) -> str:
    """Return milliseconds with a unit a person reads at a glance; a dash for none."""
    if ms is None:
        return "–"
    if ms >= 1000:
        return f"{ms / 1000:,.1f} s"
    return f"{ms:.0f} ms" if ms >= 100 else f"{ms:.1f} ms" if ms >= 0.1 else f"{1000 * ms:.0f} µs"
