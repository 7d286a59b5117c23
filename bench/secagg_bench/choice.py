"""Which scheme to choose: who is measured, and what each promises for its cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from secagg.schemes import PROTECTING, SCHEMES, parameters_of
from secagg_protocols import ParameterError, Policy

from .peers.ours import scheme_for
from .peers.runner import Contestant, Outcome, Status
from .peers.task import Task

CHOICES = ("plain", "bonawitz", "threshold-ckks", "bfv", "ckks")
"""Of our own, those that the page compares."""
FLARE = "FLARE HE"
LAST = "last"
"""In the place of a step's name: the last one of whatever scheme."""


def choices() -> tuple[str, ...]:
    """Return who is measured unless somebody asks for others: `CHOICES`, and the schemes of other packages."""
    return (*CHOICES, *(name for name in SCHEMES if name not in SCHEMES.own))


def fit(name: str, task: Task, losses: Mapping[str, int]) -> Task:
    """Return the task for the scheme called `name`: its threshold, and its losses by step.

    task: `dropped` of its participants drop out before they upload. losses: step → how many more drop out before its
    message; `LAST` for its last one. Raises `ParameterError` when the scheme refuses the parameters, has no such step,
    or too few are left.
    """
    task = replace(task, scheme=name, threshold=task.threshold if name in PROTECTING else 0)
    scheme = scheme_for(task)
    known = [step.value for step in scheme.steps]
    if strange := [step for step in losses if step not in (*known, LAST)]:
        raise ParameterError(f"it has no step {strange[0]}; its steps are {', '.join(known)}")
    upload = scheme.upload_step.value
    lost = {step: losses.get(step, 0) for step in known}
    lost[upload] += task.dropped
    lost[known[-1]] += losses.get(LAST, 0)
    finish = task.clients - sum(lost.values())
    needed = scheme.floor(Policy())
    if finish < needed:
        raise ParameterError(f"{needed} participants must finish; {finish} are left")
    early = sum(lost[step] for step in known[: known.index(upload) + 1])
    threshold = scheme.quorum if "threshold" in parameters_of(name) else 0
    return replace(task, threshold=threshold, dropped=early, losses=lost)


def line_up(names: Sequence[str], task: Task, losses: Mapping[str, int]) -> tuple[list[Contestant], list[Outcome]]:
    """Return (FLARE and the schemes that can be measured, those that cannot). Everybody stands against FLARE.

    FLARE has no steps to drop out at: whoever is in no sum is left out of its round. Raises `ParameterError` when no
    scheme can be measured.
    """
    contestants = []
    skipped = []
    for name in names:
        try:
            contestants.append(Contestant(name, "ours", fit(name, task, losses), FLARE))
        except ParameterError as refusal:
            entry = Contestant(name, "ours", replace(task, scheme=name), FLARE)
            skipped.append(Outcome(entry, Status.SKIPPED, reason=str(refusal)))
    if not contestants:
        raise ParameterError("; ".join(f"{outcome.contestant.label}: {outcome.reason}" for outcome in skipped))
    spared = replace(task, dropped=contestants[0].task.dropped)
    return [Contestant(FLARE, "flare", spared, FLARE), *contestants], skipped


# --- what each gives for its cost


@dataclass(frozen=True, slots=True)
class Promise:
    """round_trips: messages each participant sends and waits after. sums: how exact they are.

    opened_by: the least coalition that reads one participant's vector. result: who learns the sum in the round.
    """

    round_trips: int
    sums: str
    opened_by: str
    result: str


def promise_of(contestant: Contestant) -> Promise:
    """Return what a contestant promises, in as few words as fit a table. The whole of it: `Scheme.leakage`."""
    if contestant.module == "flare":
        return Promise(1, "approximate", "server + any one client", "the clients, not the server")
    scheme = scheme_for(contestant.task)
    promised = scheme.guarantee
    return Promise(len(scheme.steps), "exact", promised.opened, promised.sum_known_to)


def vector_bytes(outcome: Outcome) -> float:
    """Return the bytes of the message that carries a participant's vector."""
    contestant = outcome.contestant
    cost = outcome.cost
    assert cost is not None
    if contestant.module == "flare":
        return cost.upload_bytes
    return cost.sent_by_step[scheme_for(contestant.task).upload_step.value]
