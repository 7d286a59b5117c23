"""What each defence costs: bytes and CPU time of a round, and how well a model does that is trained under its noise."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from statistics import fmean
from typing import cast

import numpy as np

import secagg
from secagg.extras import needed
from secagg.privacy.mechanism import Mechanism
from secagg.schemes import make_scheme
from secagg_protocols import InputError, Scheme

from ..journal import Journal
from ..overhead import machine
from .defence import Defence
from .pieces import Piece, Price, Trained
from .workers import Task

VALUES = 10_000
VALUE_BITS = 16
EPSILON = 3.0
"""Of a whole training, under each kind of noise."""
DATASET = "breast-cancer"


@dataclass(frozen=True)
class Cost:
    """What a defence costs. price, trained: None where `missing` says what is not installed."""

    defence: Defence
    price: Price | None
    trained: Trained | None
    missing: str = ""


def tasks_of(defences: Sequence[Defence], seeds: int, journal: Journal[Piece]) -> list[Task]:
    """Return what the journal does not have yet. seeds: trainings for each kind of noise."""
    tasks = [task for one in defences for task in (_trained_task(one, seeds), _price_task(one))]
    by_key = {task.key: task for task in tasks}
    return [task for task in by_key.values() if journal.get(task.key) is None]


def costs_of(
    defences: Sequence[Defence], seeds: int, journal: Journal[Piece], skipped: Mapping[Hashable, str]
) -> list[Cost]:
    """Return the cost of each, from what is finished. skipped: why a piece is not."""
    costs = []
    for defence in defences:
        price, trained = _price_task(defence).key, _trained_task(defence, seeds).key
        missing = skipped.get(price) or skipped.get(trained) or ""
        costs.append(
            Cost(defence, cast(Price | None, journal.get(price)), cast(Trained | None, journal.get(trained)), missing)
        )
    return costs


def _price_task(defence: Defence) -> Task:
    where = (defence.name, VALUES, version("secagg"), machine())
    return Task(("price", *where), f"cost of {defence.name}", partial(_price, defence, where))


def _price(defence: Defence, where: tuple[str, int, str, str]) -> Price:
    run = secagg.simulate(_scheme(defence), lambda _: np.ones(VALUES, dtype=np.uint16))
    return Price(*where, sum(run.client_ms.values()), sum(run.server_ms.values()), fmean(run.bytes_sent.values()))


def _scheme(defence: Defence) -> Scheme:
    noise = defence.noise
    name = defence.scheme or "plain"
    adversary = defence.adversary if defence.scheme else None
    if noise is None or noise.mode == "local":
        return make_scheme(name, defence.sites, VALUES, value_bits=VALUE_BITS, adversary=adversary)
    mechanism = Mechanism(defence.sites, VALUES, noise.clip, noise.multiplier, VALUE_BITS)
    return make_scheme(name, defence.sites, VALUES, value_bits=VALUE_BITS, noise=mechanism.noise, adversary=adversary)


def _trained_task(defence: Defence, seeds: int) -> Task:
    noise = defence.noise
    kind = None
    if noise is not None and defence.protects(noise.unit):  # too little noise costs hardly more than none
        # Each row of the data set is a patient: noise over patients is noise over its rows.
        kind = noise.mode, "row" if noise.unit == "patient" else noise.unit
    name = ", ".join(kind or ())
    where = (name, seeds, version("secagg"))
    return Task(("trained", *where), f"AUC of models, {name or 'no'} noise", partial(_trained, kind, where))


def _trained(kind: tuple[str, str] | None, where: tuple[str, int, str]) -> Trained:
    with needed("train"):
        from ..privacy.utility import NONE, PRIVATE, auc_of, aucs
    if kind is not None and kind not in PRIVATE:
        raise InputError(f"no model is trained here under {kind[0]} noise over {kind[1]}s")
    asked = NONE if kind is None else {**PRIVATE[kind], "epsilon": EPSILON}
    _, seeds, _ = where
    return Trained(*where, tuple(aucs(partial(map, auc_of), seeds, dataset=DATASET, **asked)))
