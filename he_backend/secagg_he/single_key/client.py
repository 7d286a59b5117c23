"""A participant of Ckks or Bfv: which step follows which, and what it refuses."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.core.client import Client, Memory
from secagg_protocols.core.context import RoundContext
from secagg_protocols.core.machine import Terminal
from secagg_protocols.core.party import Participant
from secagg_protocols.core.step import Step
from secagg_protocols.core.wire import Envelope, Message
from secagg_protocols.errors import SERVER, ProtocolViolation, WorkerLost
from secagg_protocols.packing.sums import Output
from secagg_protocols.primitives import workers

from .. import seal
from ..envelope import Sealer
from ..group_key import GroupKey, check_group_key
from . import steps
from .messages import Aggregate, ReleaseRequest
from .params import SingleKey


class ReleaseMemory(Memory, array_like=True):
    """Everything a participant remembers between messages. The group key is not in it.

    survivors: ids. blocks: digests of the aggregate it opens; empty when it was not asked to. released: block
    numbers, in the order they were opened. aggregate: the name of the one that was announced. opened: the sum's words,
    block by block as in `released`, where the sum stays with the participants.
    """

    survivors: tuple[int, ...] = ()
    blocks: tuple[bytes, ...] = ()
    released: tuple[int, ...] = ()
    aggregate: bytes = b""
    opened: tuple[bytes, ...] = ()


class SingleKeyClient(Client):
    """Made by `Ckks.client` and `Bfv.client`, the group key as `standing`. See `core.client.Client` for the calls.

    worker_lost: why the executor's work was last done in this process, if it was.
    """

    scheme: SingleKey
    memory_type = ReleaseMemory

    def __init__(self, scheme: SingleKey, context: RoundContext, participant: int, party: Participant) -> None:
        super().__init__(scheme, context, participant, party)
        check_group_key(party.standing, GroupKey, scheme.need)
        seal.require()
        assert isinstance(party.standing, GroupKey)
        key = party.standing
        sealer = Sealer.of(key.key_id, key.parameter_hash, key.wire_key, self._address, context)
        self._holder = steps.Holder(participant, key, sealer)
        self.worker_lost: str | None = None

    @property
    def _session_binding(self) -> bytes:
        return self._holder.sealer.session

    def _forget(self) -> None:
        """The group key outlives the round; of its own a round has only what was opened of a sum."""
        self._memory.opened = ()

    @property
    def output(self) -> Output | None:
        if self.state is Terminal.ABORTED or len(self._memory.opened) < self.scheme.aggregate_blocks:
            return None
        blocks = dict(zip(self._memory.released, self._memory.opened, strict=True))
        values = b"".join(blocks[number] for number in sorted(blocks))
        return steps.sum_in(self.scheme.packing, values, self._memory.survivors)

    @property
    def survivors(self) -> tuple[int, ...]:
        survivors: tuple[int, ...] = self._memory.survivors
        return survivors

    @property
    def ended(self) -> bool:
        """Whether every block that it was to open is open; one that was not asked to open any has nothing left."""
        return bool(self._memory.aggregate) and len(self._memory.released) == len(self._memory.blocks)

    def _work(self, tasks: list[workers.Task]) -> list[Any]:
        """Return what the tasks return, wherever they run: a lost worker costs time, never the round."""
        if self.workers.executor is not None:
            try:
                return workers.run(self.workers.executor, workers.Task.__call__, tasks)
            except WorkerLost as lost:
                self.worker_lost = str(lost).partition(";")[0]  # what follows is advice, and not needed
        return steps.here(tasks)

    # --- Encrypt

    def _start(self) -> list[Envelope]:
        return []

    def _contribute(self, vector: NDArray[np.integer[Any]]) -> list[Envelope]:
        blocks = steps.upload(self.scheme, self._holder, vector, self._randomness, self.workers.parts, self._work)
        return list(map(partial(self.seal, Step.ENCRYPT.value, SERVER), blocks))

    # --- Release

    def _handle(self, kind: str, message: Message) -> list[Envelope]:
        match message:
            case ReleaseRequest():
                return self._hear_of(message)
            case Aggregate():
                return self._open(message)
        raise AssertionError(kind)

    def _hear_of(self, message: ReleaseRequest) -> list[Envelope]:
        steps.check_request(self.scheme, self.me, self.scheme.floor(self.policy), message)
        key = self._holder.key
        session = self._holder.sealer.session
        survivors = message.survivors
        self._check_survivors(survivors)
        name = steps.aggregate_name(session, survivors, message.blocks)
        opens = self.me in self.scheme.releasers(survivors, self.context.round)
        if not self.scheme.to_participants:
            key.releases.claim(key.key_id, key.budget, session, name, opens)
        self._memory.survivors = survivors
        self._memory.aggregate = name
        if opens:
            self._memory.blocks = message.blocks
            return []
        return [self.seal(Step.RELEASE.value, SERVER, steps.acknowledge())]

    def _open(self, message: Aggregate) -> list[Envelope]:
        memory = self._memory
        block = message.block
        sealer = self._holder.sealer.of_aggregate(memory.aggregate)
        body = steps.open_aggregate(sealer, memory.blocks, memory.released, message)
        opened = steps.open_block(self.scheme, self._holder, memory.survivors, block, body, self._work)
        memory.released = (*memory.released, block)
        if self.scheme.to_participants:
            return self._keep(bytes(opened))
        return [self.seal(Step.RELEASE.value, SERVER, steps.release_block(sealer, self.me, block, opened))]

    def _keep(self, opened: bytes) -> list[Envelope]:
        """Keep one block of a sum that stays with the participants; acknowledge when all of it is here."""
        self._memory.opened = (*self._memory.opened, opened)
        if len(self._memory.opened) < self.scheme.aggregate_blocks:
            return []
        if self.output is None:
            raise ProtocolViolation(
                f"what was opened is no sum of {len(self._memory.survivors)} valid vectors: some participant sent "
                "garbage, or the server another aggregate; nobody can be named"
            )
        return [self.seal(Step.RELEASE.value, SERVER, steps.acknowledge())]
