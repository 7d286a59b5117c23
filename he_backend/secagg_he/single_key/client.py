"""A participant of Ckks or Bfv: which step follows which, and what it refuses."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.core.client import Client, Memory
from secagg_protocols.core.context import RoundContext
from secagg_protocols.core.machine import CONTRIBUTE, START, Terminal, Transitions
from secagg_protocols.core.party import Participant
from secagg_protocols.core.step import Step
from secagg_protocols.core.wire import Envelope, Message
from secagg_protocols.errors import SERVER, ProtocolViolation, StateError, WorkerLost
from secagg_protocols.packing.sums import Output
from secagg_protocols.primitives import workers

from .. import seal
from ..envelope import Content, Sealer
from ..group_key import GroupKey, check_group_key
from . import rounds
from .messages import Aggregate, Encrypt, Release, ReleaseRequest
from .params import SingleKey

_NONCE_BYTES = 16


class Waiting(StrEnum):
    """What a participant waits for next."""

    VECTOR = "waiting for its vector"
    RELEASE_REQUEST = "waiting for ReleaseRequest"
    AGGREGATE = "waiting for Aggregate"


TRANSITIONS: Transitions = MappingProxyType(
    {
        (Terminal.NEW, START): Waiting.VECTOR,
        (Waiting.VECTOR, CONTRIBUTE): Waiting.RELEASE_REQUEST,
        (Waiting.RELEASE_REQUEST, "ReleaseRequest"): Waiting.AGGREGATE,
        (Waiting.AGGREGATE, "Aggregate"): Waiting.AGGREGATE,
    }
)


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
    messages = MappingProxyType({kind.__name__: kind for kind in (ReleaseRequest, Aggregate)})
    memory_type = ReleaseMemory

    def __init__(self, scheme: SingleKey, context: RoundContext, participant: int, party: Participant) -> None:
        super().__init__(scheme, context, participant, party)
        check_group_key(party.standing, GroupKey, scheme.need)
        seal.require()
        assert isinstance(party.standing, GroupKey)
        self._key = key = party.standing
        self._sealer = Sealer.of(key.key_id, key.parameter_hash, key.wire_key, self._address, context)
        self.worker_lost: str | None = None

    @property
    def transitions(self) -> Transitions:
        return TRANSITIONS

    def _binding(self, kind: str) -> bytes:
        return self._address if kind == Step.ENCRYPT.value else self._sealer.session

    def _forget(self) -> None:
        """The group key outlives the round; of its own a round has only what was opened of a sum."""
        self._memory.opened = ()

    @property
    def output(self) -> Output | None:
        if self.state is Terminal.ABORTED or len(self._memory.opened) < self.scheme.aggregate_blocks:
            return None
        blocks = dict(zip(self._memory.released, self._memory.opened, strict=True))
        values = b"".join(blocks[number] for number in sorted(blocks))
        return rounds.sum_in(self.scheme.packing, values, self._memory.survivors)

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
        return [task() for task in tasks]

    # --- Encrypt

    def _start(self) -> list[Envelope]:
        return []

    def _contribute(self, vector: NDArray[np.integer[Any]]) -> list[Envelope]:
        scheme, parameters = self.scheme, self.scheme.parameters
        words = scheme.packing.words_of(vector).reshape(-1, parameters.degree)
        secret = self._key.polynomial(parameters.degree)
        envelopes = []
        for block in range(scheme.fresh_blocks):
            start = block * scheme.fresh_rows
            rows = words[start : start + scheme.fresh_rows]
            tasks = []
            for piece in np.array_split(rows, min(self.workers.parts, len(rows))):
                arguments = parameters, secret, piece, start
                tasks.append(workers.Task(rounds.encrypt, arguments, self._randomness.bytes(_NONCE_BYTES)))
                start += len(piece)
            body = rounds.join_fresh(parameters, self._work(tasks))
            sealed = self._sealer.seal(Content.FRESH, self.me, block, body)
            envelopes.append(self.seal(Step.ENCRYPT.value, SERVER, Encrypt(block, sealed)))
        return envelopes

    # --- Release

    def _handle(self, kind: str, message: Message) -> list[Envelope]:
        match message:
            case ReleaseRequest():
                return self._hear_of(message)
            case Aggregate():
                return self._open(message)
        raise AssertionError(kind)

    def _hear_of(self, message: ReleaseRequest) -> list[Envelope]:
        survivors, floor = message.survivors, self.scheme.floor(self.policy)
        if self.me not in survivors or survivors[-1] > self.scheme.participants:
            raise ProtocolViolation("the survivors are not members of this round with me among them", {SERVER})
        if len(survivors) < floor:
            raise ProtocolViolation(
                f"the survivor list counts {len(survivors)} participants; this one takes part with {floor} or more",
                {SERVER} if len(survivors) < self.scheme.quorum else (),  # an honest server does not know this floor
            )
        if len(message.blocks) != self.scheme.aggregate_blocks:
            raise ProtocolViolation(
                f"an aggregate of {len(message.blocks)} blocks cannot be: {self.scheme.aggregate_blocks} hold a sum",
                {SERVER},
            )
        session = self._sealer.session
        name = rounds.aggregate_name(session, survivors, message.blocks)
        opens = self.me in self.scheme.releasers(survivors, self.context.round)
        if not self.scheme.to_participants:
            self._key.releases.claim(self._key.key_id, self._key.budget, session, name, opens)
        self._memory.survivors, self._memory.aggregate = survivors, name
        if opens:
            self._memory.blocks = message.blocks
            return []
        return [self._acknowledgement()]

    def _acknowledgement(self) -> Envelope:
        return self.seal(Step.RELEASE.value, SERVER, Release(0, memoryview(b"")))

    def _open(self, message: Aggregate) -> list[Envelope]:
        memory, block = self._memory, message.block
        sealer = self._sealer.of_aggregate(memory.aggregate)
        body = sealer.open(Content.AGGREGATE, SERVER, block, message.words)
        if not 0 <= block < len(memory.blocks):
            raise ProtocolViolation(
                f"block {block} of an aggregate was not announced: {len(memory.blocks)} blocks were", {SERVER}
            )
        if block in memory.released:
            raise StateError(f"block {block} of this aggregate has been released")
        if hashlib.sha256(body).digest() != memory.blocks[block]:
            raise ProtocolViolation(f"block {block} is not of the aggregate that was announced", {SERVER})
        parameters, limit = self.scheme.parameters, self.scheme.packing.limit(len(memory.survivors))
        key = self._key.for_release(parameters.degree)
        number = block * self.scheme.aggregate_rows
        arguments = parameters, key, self._sealer.session, block, bytes(body), limit, number
        task = workers.Task(rounds.release, arguments)
        (words,) = self._work([task])
        opened = self.scheme.packing.released.to_bytes(words)
        memory.released = (*memory.released, block)
        if self.scheme.to_participants:
            return self._keep(bytes(opened))
        sealed = sealer.seal(Content.RELEASED, self.me, block, opened)
        return [self.seal(Step.RELEASE.value, SERVER, Release(block, sealed))]

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
        return [self._acknowledgement()]
