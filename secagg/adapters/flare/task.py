"""FLARE's Shareables: what a train task is about, what training gave, and our bytes on their way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from nvflare.apis.dxo import DXO, DataKind, MetaKey, from_shareable
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.shareable import ReservedHeaderKey, Shareable
from nvflare.app_common.app_constant import AppConstants

from secagg.round import received_digest
from secagg.round.updates import Arrays, as_arrays, change, scalars_of
from secagg_protocols import InputError

TRAIN, VALIDATE = AppConstants.TASK_TRAIN, AppConstants.TASK_VALIDATION
ROUND, WEIGHT_KEY, _ANSWERS = AppConstants.CURRENT_ROUND, MetaKey.NUM_STEPS_CURRENT_ROUND, "secagg"
_SHOWN = (AppConstants.START_ROUND, ROUND, AppConstants.NUM_ROUNDS)


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
        return cls(as_arrays(dxo.data), dxo.meta, {name: shareable.get_header(name) for name in _SHOWN})

    @property
    def received(self) -> bytes:
        """The digest of all that a trainer is shown (`secagg.round.received_digest`), but for the round's number."""
        return received_digest(self.arrays, TRAIN, [self.meta, {**self.headers, ROUND: None}])

    def for_trainer(self, given: Shareable) -> Shareable:
        """Return a task of that, and of FLARE's own headers. Trainers may write into their arrays."""
        fresh = DXO(DataKind.WEIGHTS, {name: one.copy() for name, one in self.arrays.items()}, self.meta).to_shareable()
        flares = vars(ReservedHeaderKey).values()
        own = {name: value for name, value in given[ReservedHeaderKey.HEADERS].items() if name in flares}
        fresh[ReservedHeaderKey.HEADERS] = {**own, **self.headers}
        return fresh

    def trained(self, result: Shareable) -> tuple[Arrays, dict[str, object]]:
        """Return what training changed, and what it reports: its metrics and its weight. Raises `InputError`."""
        dxo = _dxo(result, DataKind.WEIGHTS, DataKind.WEIGHT_DIFF)
        changes = change(self.arrays, as_arrays(dxo.data), relative=dxo.data_kind == DataKind.WEIGHT_DIFF)
        weight = {name: value for name, value in dxo.meta.items() if name == WEIGHT_KEY}
        return changes, {**(dxo.meta.get(MetaKey.INITIAL_METRICS) or {}), **weight}


def validated(result: Shareable) -> Shareable:
    """Return a validation's few numbers by name, and nothing else of it. Raises `InputError`."""
    return DXO(DataKind.METRICS, scalars_of(_dxo(result, DataKind.METRICS).data)).to_shareable()


def answering(answers: bytes) -> Shareable:
    """Return a result that holds our bytes: as an array, since FLARE streams those."""
    return DXO(DataKind.WEIGHTS, {_ANSWERS: np.frombuffer(answers, np.uint8)}).to_shareable()


def answers_in(result: Shareable, limit: int) -> bytes | str:
    """Return our bytes in a result, at most so many; or in words why there are none."""
    try:
        if (code := result.get_return_code()) != ReturnCode.OK:
            return f"its task ended with {str(code)[:40]}"
        block = _dxo(result, DataKind.WEIGHTS).data.get(_ANSWERS)
    except (InputError, ValueError) as refused:  # it must not raise: FLARE would end the task for all
        return str(refused)
    if isinstance(block, np.ndarray) and block.dtype == np.uint8 and block.size <= limit:
        return block.tobytes()
    return f"no masked vector of at most {limit} bytes: are our filters in every scope of the site?"


def _dxo(shareable: Shareable, *kinds: str) -> DXO:
    try:
        dxo = from_shareable(shareable)
    except (ValueError, TypeError) as error:
        raise InputError(f"there is no model in it: {error}") from None
    if dxo.data_kind not in kinds or not isinstance(dxo.data, dict) or not isinstance(dxo.meta, dict):
        raise InputError(f"its data are of kind {str(dxo.data_kind)[:40]!r}, not {' or '.join(kinds)}")
    return dxo
