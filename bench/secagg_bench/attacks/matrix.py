"""Attack × defence: every cell is run, once for each seed, or says why there is nothing to run."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from statistics import fmean, stdev

from scipy import stats

from secagg.extras import MissingExtra
from secagg_protocols import InputError

from ..journal import Journal
from .attack import Attack, Curve, Effort, Records
from .defence import Defence
from .pieces import Axes, Piece, Run

CONFIDENCE = 0.95

Move = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Cell:
    """One attack against one defence. reason: why nothing was run, "" where it was. weak: broken on purpose."""

    attack: Attack
    defence: Defence
    reason: str = ""
    missing: bool = False
    runs: tuple[Run, ...] = ()
    weak: bool = False

    @property
    def value(self) -> float:
        """The mean over the seeds."""
        return fmean(run.value for run in self.runs)

    @property
    def baseline(self) -> float:
        """The mean of what a guess without information scores."""
        return fmean(run.baseline for run in self.runs)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Student's interval of the mean at `CONFIDENCE`, as far as the metric goes; None for one seed."""
        if len(self.runs) < 2:
            return None
        values = [run.value for run in self.runs]
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
        metric = self.attack.metric
        return max(metric.least, self.value - half), min(metric.most, self.value + half)

    @property
    def succeeded(self) -> bool:
        """Whether the mean reaches what counts as success."""
        return bool(self.runs) and self.value >= self.attack.metric.success

    @property
    def claimed(self) -> bool:
        """Whether the defence is claimed to stop the attack."""
        said = self.attack.name in self.defence.claims or self.attack.held_by(self.defence)
        return said and not self.weak

    @property
    def wrong(self) -> str:
        """What does not hold; "" where all does."""
        if self.runs and self.weak and not self.succeeded:
            return "the attack fails where it must succeed, so its other figures say nothing"
        if self.claimed and self.succeeded:
            return "the defence is claimed to stop this attack, and does not"
        return ""


@dataclass(frozen=True)
class Matrix:
    """All cells, row by row; curves by attack."""

    attacks: Sequence[Attack]
    defences: Sequence[Defence]
    effort: Effort
    cells: Sequence[Cell]
    curves: dict[str, tuple[Curve, ...]]

    @property
    def wrong(self) -> list[Cell]:
        """The cells that do not hold."""
        return [cell for cell in self.cells if cell.wrong]

    def cell(self, attack: Attack, defence: Defence) -> Cell:
        """Return one cell."""
        return next(cell for cell in self.cells if cell.attack is attack and cell.defence is defence)

    def weak(self, attack: Attack) -> Cell:
        """Return the cell of the attack's own broken defence."""
        return next(cell for cell in self.cells if cell.attack is attack and cell.weak)


def run_matrix(
    attacks: Sequence[Attack], defences: Sequence[Defence], effort: Effort, journal: Journal[Piece], move: Move
) -> Matrix:
    """Run what the journal does not have yet. `move` hears how far it is."""
    cells: list[Cell] = []
    curves: dict[str, tuple[Curve, ...]] = {}
    total = len(attacks) * (len(defences) + 2)
    for attack in attacks:
        for cell in _row(attack, defences, effort, journal):
            move(len(cells) + len(curves), total, f"{attack.name} × {cell.defence.name}")
            cells.append(cell)
        move(len(cells) + len(curves), total, f"{attack.name}, along its axes")
        curves[attack.name] = _curves(attack, effort, journal)
    move(total, total, "")
    return Matrix(attacks, defences, effort, cells, curves)


def _row(attack: Attack, defences: Sequence[Defence], effort: Effort, journal: Journal[Piece]) -> Iterator[Cell]:
    for defence in defences:
        reason = attack.no_view(defence)
        yield Cell(attack, defence, reason) if reason else _cell(attack, defence, effort, journal)
    yield _cell(attack, attack.weak(), effort, journal, weak=True)


def _cell(attack: Attack, defence: Defence, effort: Effort, journal: Journal[Piece], *, weak: bool = False) -> Cell:
    try:
        runs = tuple(_run(attack, defence, seed, effort, journal) for seed in effort.seeds)
    except (MissingExtra, InputError) as error:
        return Cell(attack, defence, str(error), missing=True, weak=weak)
    return Cell(attack, defence, runs=runs, weak=weak)


def _run(attack: Attack, defence: Defence, seed: int, effort: Effort, journal: Journal[Piece]) -> Run:
    where = (attack.name, attack.view(defence), seed, effort.quick, digest_of(effort.records), version("secagg"))
    done = journal.get(("run", *where))
    if isinstance(done, Run):
        return done
    start = time.monotonic()
    found = attack.run(defence, seed, effort)
    seconds = time.monotonic() - start
    run = Run(*where, float(found.value), float(found.baseline), found.note, found.figures, seconds)
    journal.append(run)
    return run


def _curves(attack: Attack, effort: Effort, journal: Journal[Piece]) -> tuple[Curve, ...]:
    where = (attack.name, tuple(effort.seeds), effort.quick, digest_of(effort.records), version("secagg"))
    done = journal.get(("axes", *where))
    if isinstance(done, Axes):
        return done.curves
    try:
        axes = Axes(*where, attack.curves(effort))
    except (MissingExtra, InputError):  # its cells say so
        return ()
    journal.append(axes)
    return axes.curves


def digest_of(records: Records | None) -> str:
    """Name rows by what they are, so that another table is another run."""
    if records is None:
        return ""
    rows = hashlib.sha256(records.x.tobytes() + records.y.tobytes()).hexdigest()[:16]
    return f"{records.name} {rows}"
