"""The range of each array: one clip for all, or a clip by name and pattern of names.

An array's own name decides; else the one pattern that fits it (as in a shell, `*running_var`); else `*`.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TypeAlias

import numpy as np

from secagg.listing import listed
from secagg_protocols.errors import ParameterError

Clip: TypeAlias = float | Mapping[str, float]
"""±clip, in the arrays' own unit; or name or pattern → that."""

REST = "*"
MAX_PATTERNS = 64
"""Patterns of one clip, since each is tried on every array. Names are looked up, and may be as many as terms hold."""


def is_number(value: object) -> bool:
    """Whether it is a number, and no int beyond what a float holds."""
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) <= sys.float_info.max
    return isinstance(value, float | np.integer | np.floating)


def read_clip(text: str) -> Clip:
    """A clip as it is written in a configuration: "0.5", or "*running_var:1000, *:0.5". Raises ParameterError."""
    clips: dict[str, float] = {}
    for row in text.split(","):
        name, colon, number = row.strip().rpartition(":")
        try:
            value = float(number)
        except ValueError:
            raise ParameterError(
                f'clip: {row.strip()!r} is neither a number nor name:number; write 0.5, or "*running_var:1000, *:0.5", '
                'or "calibrate"'
            ) from None
        if not colon and "," not in text:
            return value
        if not name or name in clips:
            raise ParameterError(f"clip: {row.strip()!r} is of no array, or its array has a clip already")
        clips[name] = value
    return clips


def clip_text(clips: Mapping[str, float]) -> str:
    """The text that `read_clip` reads: the commonest clip as that of the rest, all others by name."""
    (common, _), *_ = Counter(clips.values()).most_common(1)
    rows = [f"{name}:{value!r}" for name, value in clips.items() if value != common]
    return ", ".join([*rows, f"{REST}:{common!r}"])


def clips_by_array(clip: Mapping[str, float], names: Iterable[str]) -> dict[str, float]:
    """The clip of every array. Raises ParameterError: an array without one or with two, an entry for no array."""
    held = list(names)
    entries = dict(clip)
    patterns = [entry for entry in entries if entry not in set(held) and entry != REST]
    if len(patterns) > MAX_PATTERNS:
        raise ParameterError(
            f"clip has {len(patterns)} patterns or names of no array ({listed(patterns)}): at most {MAX_PATTERNS} are "
            "tried; give arrays by their names"
        )
    used = dict.fromkeys(held)
    chosen: dict[str, list[str]] = {}
    for name in held:
        fitting = [pattern for pattern in patterns if fnmatchcase(name, pattern)]
        used.update(dict.fromkeys(fitting))
        chosen[name] = [name] if name in entries else fitting or [REST] * (REST in entries)
    if unused := [pattern for pattern in patterns if pattern not in used]:
        raise ParameterError(f"clip names {listed(unused)}, which fits no array: the arrays are {listed(held)}")
    if left_out := [name for name, fitting in chosen.items() if not fitting]:
        raise ParameterError(f"clip has no entry for array {listed(left_out)}: add one, or '*' for the rest")
    for name, fitting in chosen.items():
        if len(fitting) > 1:
            raise ParameterError(
                f"clip has {len(fitting)} patterns for array {name!r} ({listed(fitting)}): give it by its name"
            )
    return {name: entries[fitting[0]] for name, fitting in chosen.items()}
