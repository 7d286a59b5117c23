"""What a scientist asks owners for: statistics of their rows, or a model that is trained on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from numpy.typing import NDArray

from secagg.listing import listed
from secagg.round import Settings
from secagg.round.kept_averaging import KeptAveraging
from secagg.round.mailed import POLL
from secagg.round.mailed_plan import DEADLINE, ROUNDS, Plan, kept_knobs
from secagg.round.own_training import Training
from secagg.round.packed import packed
from secagg.round.updates import as_arrays
from secagg.stats import Inquiry, Query, Result, Statistic, settings_of
from secagg.stats.statistic import Over
from secagg_protocols import SYSTEM, ParameterError

from .job import Params, request_file
from .kept import Kept


class Run(Kept):
    """A query that was submitted (`submit_secure_sum`, `resume`)."""

    def result(self, timeout: float, poll: float = POLL) -> tuple[Result, ...]:
        """Step until the results are there (`wait`); return them, in the order of the statistics."""
        self.wait(timeout, poll)
        return self._rounds().results

    @property
    def survivors(self) -> tuple[int, ...]:
        """How many owners are in the last sum of each statistic."""
        return self._rounds().progress.sites

    def _rounds(self) -> Inquiry:
        query = Query.from_json(self._plan.query)
        return Inquiry(query, settings_of(self._plan.knobs), self._plan.sites, self.folder / ROUNDS)

    def _params(self, request: bytes, uploads: bool) -> Params:
        return Params(request)


class TrainingRun(Kept):
    """A training that was submitted (`submit_averaging`, `resume`)."""

    def result(self, timeout: float, poll: float = POLL) -> dict[str, NDArray[Any]]:
        """Step until the last round is over (`wait`); return the model."""
        self.wait(timeout, poll)
        return self._rounds().model

    @property
    def survivors(self) -> tuple[int, ...]:
        """How many owners are in the mean of each round; 0 where it failed."""
        return self._rounds().survivors

    def _rounds(self) -> KeptAveraging:
        assert self._plan.training is not None
        settings = Settings.of(self._plan.knobs)
        return KeptAveraging(self._plan.training, settings, self._plan.sites, self.folder / ROUNDS)

    def _params(self, request: bytes, uploads: bool) -> Params:
        model = packed(self._rounds().model) if uploads else b""
        return Params(request, self._plan.training, model)


def submit_secure_sum(
    clients: Mapping[str, Any],
    dataset: str,
    compute: Query | Sequence[Statistic | Over],
    folder: Path | str,
    *,
    minimum_owners: int = 3,
    deadline: float = DEADLINE,
    **knobs: Any,
) -> Run:
    """Ask the owners of a dataset; return the run, whose first step is submitted.

    clients: owner's e-mail address → the scientist's client that reaches it; one client may reach all. compute:
    statistics with the bounds of their columns (`Query.of`), or a query, which says more. folder: a new one. deadline:
    seconds that owners have for one step. knobs: those of `secagg.stats.settings_of` as plain values and
    paths: scheme and its parameters, adversary, identity, roster, audit, dp_…

    Raises `ParameterError`, with a remedy, for what owners could not answer; `InputError` for a folder that is in use.
    """
    folder = Path(folder)
    query = compute if isinstance(compute, Query) else Query.of(compute)
    asked = msgspec.structs.replace(query, dataset=dataset)
    plan = Plan(tuple(clients), kept_knobs(knobs, minimum_owners), deadline, query=asked.to_json().decode())
    _check_owners(clients, minimum_owners)
    plan.make_folder(folder)
    Inquiry(asked, settings_of(plan.knobs), plan.sites, folder / ROUNDS)
    plan.write(folder)
    run = Run(folder, clients=clients)
    run.step()
    return run


def submit_averaging(
    clients: Mapping[str, Any],
    training: Training,
    model: Mapping[str, object],
    folder: Path | str,
    *,
    minimum_owners: int = 3,
    deadline: float = DEADLINE,
    **knobs: Any,
) -> TrainingRun:
    """Ask owners to train a model by a function that they have registered; return the run.

    model: its arrays by name. knobs: those of `secagg.round.Settings.of`, of which clip and weight_max must be given.
    The rest is as in `submit_secure_sum`.
    """
    folder = Path(folder)
    arrays = as_arrays(model)
    request_file(Params(b"", training, packed(arrays)))  # before owners are asked for keys
    plan = Plan(tuple(clients), kept_knobs(knobs, minimum_owners), deadline, training=training)
    _check_owners(clients, minimum_owners)
    plan.make_folder(folder)
    begin = KeptAveraging.first(f"training {SYSTEM.bytes(32).hex()}", arrays)
    KeptAveraging(training, Settings.of(plan.knobs), plan.sites, folder / ROUNDS, begin)
    plan.write(folder)
    run = TrainingRun(folder, clients=clients)
    run.step()
    return run


def resume(folder: Path | str, clients: Mapping[str, Any]) -> Run | TrainingRun:
    """Return a run from its folder. Raises `InputError` for a folder without one, or a damaged file of it, with the
    entry; `LocalError` where another process is at it."""
    folder = Path(folder)
    kind = Run if Plan.read(folder).training is None else TrainingRun
    run = kind(folder, clients=clients)
    run.check()
    return run


def _check_owners(clients: Mapping[str, Any], minimum_owners: int) -> None:
    names = [owner.casefold() for owner in clients]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ParameterError(f"owner {listed(twice)} is named twice: each has one dataset, and one vote")
    if len(names) < minimum_owners:
        raise ParameterError(f"{len(names)} owners, and minimum_owners={minimum_owners}: ask more of them")
    scientists = {client.email.casefold() for client in clients.values()}
    if both := sorted(scientists & set(names)):
        raise ParameterError(f"{listed(both)} is the scientist and an owner: the sum would hide one vector fewer")
    if len(scientists) > 1:
        raise ParameterError(f"the clients are of {listed(sorted(scientists))}: one scientist asks")
