"""Flower's SecAgg+, with a server that follows it to the end and then lists one node as active and as dead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, Message, MessageType, RecordDict
from flwr.common import bytes_to_ndarray
from flwr.common.secure_aggregation.crypto.shamir import combine_shares
from flwr.common.secure_aggregation.crypto.symmetric_encryption import generate_shared_key
from flwr.common.secure_aggregation.ndarrays_arithmetic import (
    factor_extract,
    get_parameters_shape,
    parameters_addition,
    parameters_mod,
    parameters_subtraction,
)
from flwr.common.secure_aggregation.quantization import dequantize
from flwr.common.secure_aggregation.secaggplus_constants import RECORD_KEY_CONFIGS, Key, Stage
from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen
from flwr.server.workflow.secure_aggregation.secaggplus_workflow import WorkflowState
from flwr.supercore.primitives.asymmetric import bytes_to_private_key, bytes_to_public_key
from numpy.typing import NDArray

from ...peers.flower import DirectGrid, server_context, workflow_of
from ...peers.task import CLIP, Task
from .flower_round import identity

Values = NDArray[np.floating[Any]]

TASK = Task(clients=5, length=20, dropped=0, neighbours=4, threshold=3)


@dataclass(frozen=True)
class Learnt:
    """update: of the victim. guess: another node's, for want of anything better. read: what the server made of it.

    step: how far apart the values are that it can have sent.
    """

    update: Values
    guess: Values
    read: Values
    step: float


class Keeping(DirectGrid):
    """Keeps what each node sent at each stage, as any server can."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.kept: dict[tuple[str, int], Any] = {}

    def send_and_receive(self, messages: Iterable[Any], *, timeout: float | None = None) -> list[Any]:
        asked = list(messages)
        replies = super().send_and_receive(asked, timeout=timeout)
        for message, reply in zip(asked, replies, strict=True):
            stage = message.content.config_records[RECORD_KEY_CONFIGS][Key.STAGE]
            self.kept[stage, reply.metadata.src_node_id] = reply.content.config_records[RECORD_KEY_CONFIGS]
        return replies


def asked_for_both(victim: int, seed: int) -> Learnt:
    """Run a round, and read the victim's update."""
    task = replace(TASK, seed=seed)
    everyone = range(1, task.clients + 1)
    with identity():
        grid = Keeping(task)
        context = server_context(task, grid)
        workflow = workflow_of(task)
        state = WorkflowState()
        for stage in (workflow.setup_stage, workflow.share_keys_stage, workflow.collect_masked_vectors_stage):
            if not stage(grid, context, state):
                raise ArithmeticError("Flower's round did not get as far as the masked vectors")
        asked = {
            Key.STAGE: Stage.UNMASK,
            Key.ACTIVE_NODE_ID_LIST: list(everyone),
            Key.DEAD_NODE_ID_LIST: [victim],
        }
        content = RecordDict({RECORD_KEY_CONFIGS: ConfigRecord(asked)})
        grid.send_and_receive([Message(content, node, MessageType.TRAIN) for node in everyone])
    answers = [grid.kept[Stage.UNMASK, node] for node in everyone]
    places = [place for place, node in enumerate(answers[0][Key.NODE_ID_LIST]) if node == victim]
    mask_seed, mask_key = (combine_shares([answer[Key.SHARE_LIST][place] for answer in answers]) for place in places)
    public = {node: state.nid_to_publickeys[node][0] for node in everyone if node != victim}
    masked = [bytes_to_ndarray(part) for part in grid.kept[Stage.COLLECT_MASKED_VECTORS, victim][Key.MASKED_PARAMETERS]]
    factor, values = factor_extract(unmasked(masked, victim, mask_seed, mask_key, public))
    share = factor / workflow.quantization_range
    (read,) = dequantize(values, CLIP, workflow.quantization_range)
    step = 2 * CLIP / workflow.quantization_range / share
    return Learnt(task.update(victim), task.update(victim + 1), read / share, step)


def unmasked(masked: list[Any], node: int, seed: bytes, key: bytes, public: dict[int, bytes]) -> list[Any]:
    """Take all masks of a node off what it sent, with Flower's own functions."""
    modulus = 1 << 32
    shape = get_parameters_shape(masked)
    values = parameters_subtraction(masked, pseudo_rand_gen(seed, modulus, shape))
    for other, its_key in public.items():
        shared = generate_shared_key(bytes_to_private_key(key), bytes_to_public_key(its_key))
        remove = parameters_subtraction if node > other else parameters_addition
        values = remove(values, pseudo_rand_gen(shared, modulus, shape))
    found: list[Any] = parameters_mod(values, modulus)
    return found
