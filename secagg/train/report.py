"""The HTML report: one file, no network, made to be read by someone who was not there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from secagg.pages import environment
from secagg.privacy.views import epsilon_text
from secagg.schemes import ONE_KEY, PROTECTING
from secagg_protocols.errors import InputError

from . import figures
from .glossary import WORDS, word
from .result import TrainResult

MOVES = {
    "row": "one given row was trained on",
    "patient": "one given patient's rows were trained on",
    "institution": "one given institution sent what it has, and not zeros,",
}
"""A unit of protection → what anyone may try to learn."""

ADJACENT = {
    "row": "one training row of one site more or less",
    "patient": "all training rows of one patient at one site more or less (one coin draws them, and the mean of their "
    "gradients is clipped as one); without sampling, a patient at two sites has half the noise",
    "institution": "one institution's update replaced by zeros, as participation is public",
}
"""A unit of protection → what two neighbouring federations differ by."""

SEEN = {
    "released model": ("anyone with the released model", "the model after every round"),
    "server": ("the server", "every sum, and who is in it"),
    "server with colluders": ("the server with its colluding sites", "the sum of the other sites"),
    "fellow participant": ("a fellow participant", "the model after every round, and its own update"),
    "too many colluders": ("as many sites as open secrets", "every vector alone, with a part of the noise"),
}
"""A view → who that is, and what they see."""


def write_report(result: TrainResult, path: Path) -> None:
    """Write the report of a finished run. Raises: InputError when the file cannot be written."""
    try:
        path.write_text(render(result), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write the report to {str(path)!r}: {error.strerror}; choose another file") from error


def render(result: TrainResult) -> str:
    """Return the report as HTML."""
    drawn = {
        "scores": figures.scores(result),
        "silos": figures.silo_sizes(result),
        "alone": figures.alone_against_together(result),
    }
    if result.succeeded:
        drawn["learning"] = figures.learning_curves(result)
    private = result.delta is not None
    if private:
        drawn["epsilon"] = figures.epsilon_curve(result, result.settings["epsilon"])
    drawn |= {f"sweep {swept.setting}": figures.sweep_curve(swept) for swept in result.sweeps}
    template = environment("secagg.train").get_template("report.html.j2")
    return template.render(
        result=result,
        table=result.table(),
        figures={name: Markup(svg) for name, svg in drawn.items()},
        private=private,
        odds=None if result.promised_epsilon is None else math.exp(result.promised_epsilon),
        seen=SEEN,
        moves=MOVES[result.unit],
        adjacent=ADJACENT[result.unit],
        word=word,
        epsilon_text=epsilon_text,
        words=WORDS,
        masked=result.scheme in PROTECTING,
        one_key=result.scheme in ONE_KEY,
        names={site.id: site.name for site in result.sites},
        settings=_shown(result.settings),
        derived=_shown(result.derived),
        largest_error=max((r.codec_error for r in result.rounds if r.codec_error is not None), default=None),
        largest_bound=max((r.codec_bound for r in result.rounds if r.codec_bound is not None), default=None),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _shown(values: Mapping[str, Any]) -> dict[str, str]:
    """Return settings as text; one that was left out is a dash."""
    return {name: _text(value) for name, value in values.items()}


def _text(value: Any) -> str:
    if value is None or value == ():
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value))
    return str(value)
