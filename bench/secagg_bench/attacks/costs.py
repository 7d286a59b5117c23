"""What each defence costs: bytes and CPU time of a round, and how well a model does that is trained under its noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from statistics import fmean

import numpy as np

import secagg
from secagg.extras import MissingExtra, needed
from secagg.privacy.mechanism import Mechanism
from secagg.schemes import make_scheme
from secagg_protocols import Scheme

from ..journal import Journal
from ..overhead import machine
from .defence import Defence
from .matrix import Move
from .pieces import Piece, Price, Trained

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


def costs_of(defences: Sequence[Defence], seeds: int, journal: Journal[Piece], move: Move) -> list[Cost]:
    """Return the cost of each, measuring what the journal does not have. seeds: trainings for each kind of noise."""
    costs = []
    for number, defence in enumerate(defences):
        move(number, len(defences), f"cost of {defence.name}")
        try:
            costs.append(Cost(defence, _price(defence, journal), _trained(defence, seeds, journal)))
        except MissingExtra as missing:
            costs.append(Cost(defence, None, None, str(missing)))
    return costs


def _price(defence: Defence, journal: Journal[Piece]) -> Price:
    where = (defence.name, VALUES, version("secagg"), machine())
    done = journal.get(("price", *where))
    if isinstance(done, Price):
        return done
    scheme = _scheme(defence)
    run = secagg.simulate(scheme, lambda _: np.ones(VALUES, dtype=np.uint16))
    price = Price(*where, sum(run.client_ms.values()), sum(run.server_ms.values()), fmean(run.bytes_sent.values()))
    journal.append(price)
    return price


def _scheme(defence: Defence) -> Scheme:
    noise = defence.noise
    name = defence.scheme or "plain"
    if noise is None or noise.mode == "local":
        return make_scheme(name, defence.sites, VALUES, value_bits=VALUE_BITS, adversary=_adversary(defence))
    mechanism = Mechanism(defence.sites, VALUES, noise.clip, noise.multiplier, VALUE_BITS)
    return make_scheme(name, defence.sites, VALUES, value_bits=VALUE_BITS, noise=mechanism.noise)


def _adversary(defence: Defence) -> str | None:
    """Return the server that the scheme withstands; None for no scheme."""
    return defence.adversary if defence.scheme else None


def _trained(defence: Defence, seeds: int, journal: Journal[Piece]) -> Trained:
    noise = defence.noise
    name = "" if noise is None else f"{noise.mode}, {noise.unit}"
    done = journal.get(("trained", name, seeds, version("secagg")))
    if isinstance(done, Trained):
        return done
    with needed("train"):
        from ..privacy.utility import NONE, PRIVATE, aucs, in_processes
    asked = NONE if noise is None else {**PRIVATE[noise.mode, noise.unit], "epsilon": EPSILON}
    with in_processes() as train:
        trained = Trained(name, seeds, version("secagg"), tuple(aucs(train, seeds, dataset=DATASET, **asked)))
    journal.append(trained)
    return trained
