"""What an owner answers with: its table, for statistics; or a function that it registered, for an update of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import msgspec

from secagg.round import Request
from secagg.round.approvals import Asked
from secagg.round.own_training import Fit, OwnTraining, Training
from secagg.stats import Query, StatPolicy, StatSite
from secagg.stats.site import Step
from secagg_protocols.errors import Declined
from secagg_protocols.primitives.domain import frame

from .job import Params


@dataclass(frozen=True)
class AskedJob(Asked):
    """params: of the job that asks."""

    params: Params


class Answering(Protocol):
    """One kind of request."""

    def read(self, params: Params, request: Request) -> tuple[str, bytes]:
        """Return when it expires, and what is asked for in all rounds. Raises `SecAggError` for what is never
        answered."""

    def words(self, asked: AskedJob) -> str:
        """Say what is asked for."""

    def answer(self, asked: AskedJob) -> bytes:
        """Answer it."""

    def unfit(self, asked: AskedJob) -> str:
        """Say what of the owner's table does not fit, as far as the scientist may know."""


class Statistics:
    """Steps of queries."""

    def __init__(self, policy: StatPolicy, data: Mapping[str, Any], now: Callable[[], datetime]) -> None:
        self._policy = policy
        self._now = now
        self._sites = {name: StatSite(policy, table, now=now) for name, table in data.items()}

    def read(self, params: Params, request: Request) -> tuple[str, bytes]:
        step = Step.of(request.proposal)
        _check_dataset(step.query.dataset, self._sites)
        self._policy.floor.check_query(step.query, self._now())
        return step.query.expires, frame("statistics", step.terms.nonce, step.query.to_json(), step.terms.gain)

    def words(self, asked: AskedJob) -> str:
        return Step.of(asked.request.proposal).words

    def answer(self, asked: AskedJob) -> bytes:
        return self._site(self._query(asked)).take(asked.params.request)

    def unfit(self, asked: AskedJob) -> str:
        query = self._query(asked)
        return self._site(query).unfit(query)

    def _query(self, asked: AskedJob) -> Query:
        return Step.of(asked.request.proposal).query

    def _site(self, query: Query) -> StatSite:
        return self._sites[query.dataset]


class Trainings:
    """Rounds of federated averaging."""

    def __init__(
        self, policy: StatPolicy, functions: Mapping[str, Fit], data: Mapping[str, Any], now: Callable[[], datetime]
    ) -> None:
        self._policy = policy
        self._own = OwnTraining(policy.site, functions, data, now)

    def read(self, params: Params, request: Request) -> tuple[str, bytes]:
        training = _training(params)
        self._policy.check_coordinator()
        _check_dataset(training.dataset, self._own.data)
        self._own.check(training, request.proposal)
        same = (request.proposal.terms, request.proposal.length)  # the length is in the words that are approved
        return training.expires, frame("training", msgspec.json.encode(training), *same)

    def words(self, asked: AskedJob) -> str:
        return self._own.words(_training(asked.params), asked.request.proposal)

    def answer(self, asked: AskedJob) -> bytes:
        return self._own.take(asked.params.request, _training(asked.params), asked.params.model)

    def unfit(self, asked: AskedJob) -> str:
        return ""


def _training(params: Params) -> Training:
    assert params.training is not None
    return params.training


def _check_dataset(name: str, data: Mapping[str, Any]) -> None:
    if name not in data:
        raise Declined(f"this owner answers nothing about dataset {name!r}")
