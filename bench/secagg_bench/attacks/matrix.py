"""Attack × defence: every cell is run, once for each seed, or says why there is nothing to run."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.metadata import version
from statistics import fmean, stdev

from scipy import stats

from ..journal import Journal
from .attack import Attack, Effort, Records
from .defence import Defence
from .pieces import Axes, Piece, Run
from .workers import Task

CONFIDENCE = 0.95
DEAD = "So this attack does not work on such rows, whatever the defence: that it is stopped says nothing."


@dataclass(frozen=True)
class Cell:
    """One attack against one defence. reason: why nothing was run, "" where it was.

    weak: broken on purpose. own: on rows of a user's, with which an attack may not work at all.
    """

    attack: Attack
    defence: Defence
    reason: str = ""
    missing: bool = False
    runs: tuple[Run, ...] = ()
    weak: bool = False
    own: bool = False

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
    def view(self) -> str:
        """What the attacker sees; where nothing was run, why."""
        return self.reason or self.attack.view(self.defence)

    @property
    def words(self) -> str:
        """What was found, in plain words."""
        said = self.attack.in_words(self.value, self.baseline, self.defence)
        return f"{said} {DEAD}" if self.dead else said

    @property
    def succeeded(self) -> bool:
        """Whether the mean reaches what counts as success, and is more than a guess."""
        return bool(self.runs) and self.value >= self.attack.metric.success and self.value > self.baseline

    @property
    def verdict(self) -> str:
        """Say whether it succeeds, or is stopped, or "in part": less than a success, and surely more than a guess."""
        if self.succeeded:
            return "succeeds"
        metric = self.attack.metric
        if self.baseline + metric.leeway >= metric.success:  # an audit: all that is below its claim is what is promised
            return "stopped"
        low, high = self.interval or (self.value, self.value)
        # Where all seeds find the same, they do not say how much is chance.
        surely = low if low < high else self.value - metric.leeway
        return "in part" if surely > self.baseline else "stopped"

    @property
    def dead(self) -> bool:
        """Whether the attack fails even here, where the defence is broken: then its other figures say nothing."""
        return bool(self.runs) and self.weak and not self.succeeded

    @property
    def claimed(self) -> bool:
        """Whether the defence is claimed to stop the attack."""
        said = self.attack.name in self.defence.claims or self.attack.held_by(self.defence)
        return said and not self.weak

    @property
    def beyond(self) -> bool:
        """Whether more was found than chance or an ε allows. Of a user's few rows chance allows more than is known."""
        return bool(self.runs) and not self.own and self.value > self.baseline + self.attack.metric.leeway

    @property
    def wrong(self) -> str:
        """What does not hold; "" where all does."""
        if self.dead and not self.own:
            return "the attack fails where it must succeed, so its other figures say nothing"
        if self.claimed and (self.succeeded or self.beyond):
            return "the defence is claimed to stop this attack, and does not"
        return ""


@dataclass(frozen=True)
class Matrix:
    """All cells, row by row; how attacks fare along their axes, by name."""

    attacks: Sequence[Attack]
    defences: Sequence[Defence]
    effort: Effort
    cells: Sequence[Cell]
    axes: Mapping[str, Axes]

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

    def by_view(self, attack: Attack) -> list[list[Cell]]:
        """Return the cells of an attack, those together that share a view: they have the same figures."""
        views: dict[tuple[bool, str], list[Cell]] = {}
        for cell in (one for one in self.cells if one.attack is attack):
            views.setdefault((cell.weak, cell.view), []).append(cell)
        return list(views.values())

    def seconds(self, attack: Attack) -> float:
        """Return the CPU seconds of everything that was run of an attack."""
        runs = {run.key: run.seconds for cell in self.cells if cell.attack is attack for run in cell.runs}
        axes = self.axes.get(attack.name)
        return sum(runs.values()) + (axes.seconds if axes else 0)


def names_of(cells: Sequence[Cell]) -> str:
    """Return the names of defences that share a view; of the attack's own broken one what is broken."""
    first = cells[0]
    if first.weak:
        return f"{first.attack.broken_is}: {first.defence.broken}"
    return ", ".join(cell.defence.name for cell in cells)


def tasks_of(
    attacks: Sequence[Attack], defences: Sequence[Defence], effort: Effort, journal: Journal[Piece]
) -> list[Task]:
    """Return what the journal does not have yet: first what takes longest, so that nothing long is left at the end."""
    tasks = [_axes_task(attack, effort) for attack in attacks]
    for attack in attacks:
        for defence in (*(one for one in defences if not attack.no_view(one)), attack.weak()):
            tasks.extend(_run_task(attack, defence, seed, effort) for seed in effort.seeds)
    by_key = {task.key: task for task in reversed(tasks)}
    return [task for task in reversed(by_key.values()) if journal.get(task.key) is None]


def matrix_of(
    attacks: Sequence[Attack],
    defences: Sequence[Defence],
    effort: Effort,
    journal: Journal[Piece],
    skipped: Mapping[Hashable, str],
) -> Matrix:
    """Return all cells, from what is finished. skipped: why a piece is not."""
    cells: list[Cell] = []
    for attack in attacks:
        for defence in defences:
            reason = attack.no_view(defence)
            cells.append(Cell(attack, defence, reason) if reason else _cell(attack, defence, effort, journal, skipped))
        cells.append(replace(_cell(attack, attack.weak(), effort, journal, skipped), weak=True))
    axes = {attack.name: journal.get(_axes_task(attack, effort).key) for attack in attacks}
    return Matrix(attacks, defences, effort, cells, {name: one for name, one in axes.items() if isinstance(one, Axes)})


def _cell(
    attack: Attack, defence: Defence, effort: Effort, journal: Journal[Piece], skipped: Mapping[Hashable, str]
) -> Cell:
    keys = [_run_task(attack, defence, seed, effort).key for seed in effort.seeds]
    reasons = [skipped[key] for key in keys if key in skipped]
    if reasons:
        return Cell(attack, defence, reasons[0], missing=True)
    runs = tuple(run for key in keys if isinstance(run := journal.get(key), Run))
    return Cell(attack, defence, runs=runs, own=effort.records is not None)


def _run_task(attack: Attack, defence: Defence, seed: int, effort: Effort) -> Task:
    where = (attack.name, attack.view(defence), seed, effort.quick, digest_of(effort.records), version("secagg"))
    what = f"{attack.name} × {defence.name}, seed {seed}"
    return Task(("run", *where), what, partial(_run, attack, defence, effort, where))


def _run(attack: Attack, defence: Defence, effort: Effort, where: tuple[str, str, int, bool, str, str]) -> Run:
    _, _, seed, *_ = where
    start = time.process_time()
    found = attack.run(defence, seed, effort)
    seconds = time.process_time() - start
    return Run(*where, float(found.value), float(found.baseline), found.note, found.figures, seconds)


def _axes_task(attack: Attack, effort: Effort) -> Task:
    where = (attack.name, tuple(effort.seeds), effort.quick, digest_of(effort.records), version("secagg"))
    return Task(("axes", *where), f"{attack.name}, along its axes", partial(_axes, attack, effort, where))


def _axes(attack: Attack, effort: Effort, where: tuple[str, tuple[int, ...], bool, str, str]) -> Axes:
    start = time.process_time()
    curves = attack.curves(effort)
    return Axes(*where, curves, time.process_time() - start)


@cache
def digest_of(records: Records | None) -> str:
    """Name rows by what they are, so that another table is another run."""
    if records is None:
        return ""
    rows = hashlib.sha256(records.x.tobytes() + records.y.tobytes()).hexdigest()[:16]
    return f"{records.name} {rows}"
