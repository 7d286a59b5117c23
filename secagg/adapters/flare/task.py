"""FLARE's Shareables: what a train task is about, what training gave, and our bytes on their way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from nvflare.apis.dxo import DXO, DataKind, MetaKey, from_shareable
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import ReservedHeaderKey, Shareable
from nvflare.app_common.app_constant import AppConstants

from secagg.round import received_digest
from secagg.round.updates import Arrays, as_arrays, change, scalars_of
from secagg_protocols import InputError, WireError

TRAIN, VALIDATE = AppConstants.TASK_TRAIN, AppConstants.TASK_VALIDATION
WEIGHT_KEY = MetaKey.NUM_STEPS_CURRENT_ROUND

_ROUND = AppConstants.CURRENT_ROUND
_TOLD = (AppConstants.START_ROUND, _ROUND, AppConstants.NUM_ROUNDS)
"""Headers that a trainer is shown. (FLARE's own, which begin with underscores, stay as they are.)"""
_ANSWERS = "secagg"
_MAX_METRICS = 64


def job_name(fl_ctx: FLContext) -> str:
    """Return what both sides call a job: a round's number counts within it."""
    return f"flare job {fl_ctx.get_job_id()}"


@dataclass(frozen=True)
class Task:
    """What a trainer is shown of what a site is sent."""

    arrays: Arrays
    meta: dict[str, Any]
    headers: dict[str, Any]

    @classmethod
    def of(cls, shareable: Shareable) -> Task:
        """Read a train task. Raises `InputError`."""
        dxo = _dxo(shareable, DataKind.WEIGHTS)
        headers = {name: shareable.get_header(name) for name in _TOLD}
        return cls(as_arrays(dxo.data), dxo.meta, headers)

    @property
    def received(self) -> bytes:
        """The digest of all that a trainer sees (`secagg.round.received_digest`), but for the round's number."""
        return received_digest(self.arrays, TRAIN, [self.meta, {**self.headers, _ROUND: None}])

    def check_round(self, expected: int) -> None:
        """Raise `InputError` where the task gives the round another number than the proposal does."""
        if (said := self.headers.get(_ROUND)) != expected or isinstance(said, bool):
            raise InputError(f"the task says {_ROUND}={said!r}, the proposal says {expected}")

    def for_trainer(self, given: Shareable) -> Shareable:
        """Return a task of what the digest covers. Trainers may write into their arrays."""
        data = {name: values.copy() for name, values in self.arrays.items()}
        fresh = DXO(DataKind.WEIGHTS, data, dict(self.meta)).to_shareable()
        own = {name: value for name, value in given[ReservedHeaderKey.HEADERS].items() if name.startswith("__")}
        fresh[ReservedHeaderKey.HEADERS] = {**own, **self.headers}
        return fresh

    def trained(self, result: Shareable) -> tuple[Arrays, dict[str, object]]:
        """Return what training changed, and what it reports: its weight and its metrics. Raises `InputError`."""
        dxo = _dxo(result, DataKind.WEIGHTS, DataKind.WEIGHT_DIFF)
        metrics = dxo.meta.get(MetaKey.INITIAL_METRICS) or {}
        if not isinstance(metrics, dict):
            raise InputError(f"the trainer's metrics are {type(metrics).__name__}, not numbers by name")
        weight = {WEIGHT_KEY: dxo.meta[WEIGHT_KEY]} if WEIGHT_KEY in dxo.meta else {}
        changes = change(self.arrays, as_arrays(dxo.data), relative=dxo.data_kind == DataKind.WEIGHT_DIFF)
        return changes, {**metrics, **weight}


def validated(result: Shareable) -> Shareable:
    """Return a validation's few numbers by name, and nothing else of it. Raises `InputError`."""
    numbers = scalars_of(_dxo(result, DataKind.METRICS).data, _MAX_METRICS)
    return DXO(DataKind.METRICS, numbers).to_shareable()


def answering(answers: bytes) -> Shareable:
    """Return a result that holds our bytes: as an array, since FLARE streams those."""
    return DXO(DataKind.WEIGHTS, {_ANSWERS: np.frombuffer(answers, np.uint8)}).to_shareable()


def answers_in(result: Shareable, limit: int) -> bytes:
    """Return our bytes in a result, at most so many. Raises `WireError`: whoever sends another is none of ours."""
    try:
        data = _dxo(result, DataKind.WEIGHTS).data
    except InputError as error:
        raise WireError(f"it is no masked vector: {error}, {result.get_return_code()}") from None
    block = data.get(_ANSWERS)
    if len(data) != 1 or not isinstance(block, np.ndarray) or (block.dtype, block.ndim) != (np.uint8, 1):
        raise WireError("it is no masked vector: are our filters in every scope of the site?")
    if block.size > limit:
        raise WireError(f"it is {block.size} bytes long; at most {limit} are allowed")
    return block.tobytes()


def _dxo(shareable: Shareable, *kinds: str) -> DXO:
    try:
        dxo = from_shareable(shareable)
    except (ValueError, TypeError) as error:
        raise InputError(f"this is no model ({error})") from None
    if dxo.data_kind not in kinds or not isinstance(dxo.data, dict) or not isinstance(dxo.meta, dict):
        raise InputError(f"its data are {str(dxo.data_kind)[:40]!r}, not {' or '.join(kinds)}")
    return dxo
