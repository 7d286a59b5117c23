"""What an owner answers with: its table, for statistics; or a function that it registered, for an update of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import msgspec

from secagg.round import Request, Site
from secagg.round.approvals import Asked
from secagg.round.packed import unpacked
from secagg.round.updates import Arrays, Integers, as_arrays, change, vector_of
from secagg.stats import Query, StatPolicy, StatSite
from secagg.stats.site import Step
from secagg_protocols import ProtocolViolation, SecAggError
from secagg_protocols.errors import Declined
from secagg_protocols.primitives.domain import frame

from .job import Params, Training

Fit = Callable[[dict[str, Any], Any], tuple[Mapping[str, object], Mapping[str, object]]]
"""Trains: the model's arrays and the dataset → the trained arrays, and a report that has "num-examples"."""


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
        self._whole = policy
        self._policy = policy.site
        self._functions = functions
        self._data = data
        self._now = now

    def read(self, params: Params, request: Request) -> tuple[str, bytes]:
        training = _training(params)
        self._whole.check_coordinator()
        if training.function not in self._functions:
            raise Declined(f"this owner has registered no function {training.function!r} that trains")
        _check_dataset(training.dataset, self._data)
        if request.proposal.round > training.rounds:
            raise ProtocolViolation(f"round {request.proposal.round} of a training of {training.rounds}: not answered")
        if training.expires and self._now() > datetime.fromisoformat(training.expires):
            raise Declined(f"the training has expired at {training.expires} (expires): ask anew")
        self._policy.codec_terms(request.proposal.terms)
        return training.expires, frame("training", msgspec.json.encode(training), request.proposal.terms)

    def words(self, asked: AskedJob) -> str:
        training = _training(asked.params)
        terms = self._policy.codec_terms(asked.request.proposal.terms)
        return "\n".join(
            [
                f"Your function {training.function!r} is to train a model on dataset {training.dataset!r}, "
                f"{training.rounds} times.",
                f"Only the mean of all owners' updates leaves the secure sum: {asked.request.proposal.length} values, "
                f"by codec {terms.kind}.",
                f"It expires at {training.expires}." if training.expires else "It does not expire.",
                "The mean is exact: a model that was built to remember rows can give them away.",
            ]
        )

    def answer(self, asked: AskedJob) -> bytes:
        turn = Site(self._policy, terms=self._policy.codec_terms, now=self._now).take(asked.params.request)
        if not turn.awaits_vector:
            return turn.answers
        training = _training(asked.params)
        try:
            arrays = unpacked(asked.params.model)
        except SecAggError as error:
            return turn.refuse(error)
        return turn.contribute(lambda: self._update(training, arrays, asked), training.received(arrays))

    def unfit(self, asked: AskedJob) -> str:
        return ""

    def _update(self, training: Training, arrays: Arrays, asked: AskedJob) -> Integers:
        own = {name: one.copy() for name, one in arrays.items()}
        trained, report = self._functions[training.function](own, self._data[training.dataset])
        terms = self._policy.codec_terms(asked.request.proposal.terms)
        return vector_of(change(arrays, as_arrays(trained)), report, terms, asked.scheme)


def _training(params: Params) -> Training:
    assert params.training is not None
    return params.training


def _check_dataset(name: str, data: Mapping[str, Any]) -> None:
    if name not in data:
        raise Declined(f"this owner answers nothing about dataset {name!r}")
