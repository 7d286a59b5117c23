"""The server of Ckks or Bfv: it adds ciphertexts, has the sum released, and compares the answers. It opens nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from secagg_protocols.core.context import RoundContext
from secagg_protocols.core.party import Aggregator
from secagg_protocols.core.server import Server
from secagg_protocols.core.step import Step
from secagg_protocols.core.wire import Envelope, Message
from secagg_protocols.errors import ProtocolViolation, RoundFailed, StateError
from secagg_protocols.packing.lanes import Words
from secagg_protocols.packing.sums import Output
from secagg_protocols.primitives import workers

from .. import seal
from ..envelope import Sealer
from ..group_key import GroupKeyHandle, check_group_key
from ..parameters import Parameters
from . import steps
from .messages import Encrypt, Release
from .params import SingleKey


class Uploads:
    """The sum of first polynomials that arrive in blocks, each whole or not at all, and the others' seeds."""

    def __init__(self, scheme: SingleKey) -> None:
        self._scheme = scheme
        self._parameters = scheme.parameters
        shape = (scheme.ciphertexts, len(self._parameters.primes), self._parameters.degree)
        self.first: Words = np.zeros(shape, dtype=np.uint64)
        self.seeds: dict[int, bytes] = {}
        self._open: dict[int, dict[int, tuple[Words, memoryview]]] = {}

    def check_block(self, sender: int, block: int) -> None:
        """Raise `ProtocolViolation` for a block that cannot be, `StateError` for one that is already here."""
        if not 0 <= block < self._scheme.fresh_blocks:
            raise ProtocolViolation(f"block {block} of {self._scheme.fresh_blocks} cannot be", {sender})
        if block in self._open.get(sender, {}):
            raise StateError(f"participant {sender} has already sent block {block}")

    def take(self, sender: int, block: int, opened: tuple[Words, memoryview]) -> bool:
        """Take one block, as `steps.open_upload` returns it; return whether the upload is complete, and then added."""
        upload = self._open.setdefault(sender, {})
        upload[block] = opened
        if len(upload) < self._scheme.fresh_blocks:
            return False
        del self._open[sender]
        for number, (polynomials, _) in upload.items():
            start = number * self._scheme.fresh_rows
            steps.add_polynomials(self._parameters, self.first[start : start + len(polynomials)], polynomials)
        self.seeds[sender] = b"".join(upload[number][1] for number in sorted(upload))
        return True

    def forget(self, sender: int) -> None:
        """Free an upload that will not be completed."""
        self._open.pop(sender, None)


class Answers:
    """What was released: each block as the first who released it says, and who says otherwise."""

    def __init__(self, scheme: SingleKey) -> None:
        self._count = scheme.aggregate_blocks
        self._first: dict[int, tuple[int, bytes]] = {}
        self._seen: dict[int, set[int]] = {}
        self.disagreeing: set[int] = set()

    def check_block(self, sender: int, block: int) -> None:
        """Raise `ProtocolViolation` for a block that cannot be, `StateError` for one that is already here."""
        if not 0 <= block < self._count:
            raise ProtocolViolation(f"released block {block} of {self._count} cannot be", {sender})
        if block in self._seen.get(sender, ()):
            raise StateError(f"participant {sender} has already released block {block}")

    def take(self, sender: int, block: int, values: bytes) -> bool:
        """Take one released block; return whether the sender has released all of them."""
        who, known = self._first.setdefault(block, (sender, values))
        if known != values:
            self.disagreeing |= {who, sender}
        seen = self._seen.setdefault(sender, set())
        seen.add(block)
        return len(seen) == self._count

    def values(self) -> bytes:
        """Return all blocks, in order."""
        return b"".join(self._first[block][1] for block in range(self._count))


class SingleKeyServer(Server):
    """Made by `Ckks.server` and `Bfv.server`, the key's handle as `standing`. See `core.server.Server` for the calls.

    With release_to="participants" its `output` says who survived, and has no words.
    """

    scheme: SingleKey

    def __init__(
        self,
        scheme: SingleKey,
        context: RoundContext,
        party: Aggregator,
    ) -> None:
        super().__init__(scheme, context, party)
        check_group_key(party.standing, GroupKeyHandle, scheme.need)
        seal.require()
        assert isinstance(party.standing, GroupKeyHandle)
        key = party.standing
        self._sealer = Sealer.of(key.key_id, key.parameter_hash, key.wire_key, self._address, context)
        self._uploads = Uploads(scheme)
        self._answers = Answers(scheme)
        self._survivors: tuple[int, ...] = ()
        self._releasers: tuple[int, ...] = ()

    @property
    def upload_bytes(self) -> int:
        return self._uploads.first.nbytes

    @property
    def _session_binding(self) -> bytes:
        return self._sealer.session

    def _lose(self, participant: int) -> None:
        self._uploads.forget(participant)

    def _handle(self, sender: int, message: Message, envelope: Envelope) -> bool:
        match message:
            case Encrypt():
                self._uploads.check_block(sender, message.block)
                opened = steps.open_upload(self.scheme, self._sealer, sender, message)
                return self._uploads.take(sender, message.block, opened)
            case Release():
                return self._take_release(sender, message)
        raise AssertionError(envelope.kind)

    def _take_release(self, sender: int, message: Release) -> bool:
        if self.scheme.to_participants or sender not in self._releasers:
            if message.block or len(message.words):
                raise ProtocolViolation(f"participant {sender} released values that it was not sent", {sender})
            return True
        self._answers.check_block(sender, message.block)
        values = steps.read_release(self.scheme, self._sealer, sender, message)
        return self._answers.take(sender, message.block, values)

    def _close(self, step: Step, answered: tuple[int, ...]) -> list[Envelope]:
        if step is Step.ENCRYPT:
            return self._request_release(answered)
        self._finish(answered)
        return []

    def _request_release(self, survivors: tuple[int, ...]) -> list[Envelope]:
        seeds = [self._uploads.seeds[survivor] for survivor in survivors]
        blocks = steps.aggregate_blocks(self.scheme, self._uploads.first, self._expand(seeds))
        self._survivors, self._releasers = survivors, self.scheme.releasers(survivors, self.context.round)
        self._uploads = Uploads(self.scheme)
        request = steps.request_release(survivors, blocks)
        name = steps.aggregate_name(self._sealer.session, survivors, request.blocks)
        self._sealer = self._sealer.of_aggregate(name)
        outgoing = self.seal_for_all("ReleaseRequest", survivors, request)
        for block in steps.seal_aggregate(self._sealer, blocks):
            outgoing += self.seal_for_all("Aggregate", self._releasers, block)
        return outgoing

    def _expand(self, seeds: Sequence[bytes]) -> Words:
        parameters = self.scheme.parameters
        ciphertexts = self.scheme.ciphertexts
        if self.workers.executor is None:
            return steps.expand_seconds(parameters, seeds, 0, ciphertexts)
        bounds = [ciphertexts * part // self.workers.parts for part in range(self.workers.parts + 1)]
        work = [(start, stop - start) for start, stop in zip(bounds, bounds[1:], strict=False) if stop > start]
        starts, counts = zip(*work, strict=True)
        same: tuple[list[Parameters], list[Sequence[bytes]]] = [parameters] * len(work), [seeds] * len(work)
        return np.concatenate(workers.run(self.workers.executor, steps.expand_seconds, *same, starts, counts))

    def _finish(self, answered: tuple[int, ...]) -> None:
        if self.scheme.to_participants:
            self.output = Output(np.zeros(0, dtype=np.uint64), self._survivors)
            return
        have = len(answered)
        need = self.scheme.quorum
        if self._answers.disagreeing:
            raise RoundFailed(
                Step.RELEASE.value,
                have,
                need,
                f"participants {sorted(self._answers.disagreeing)} released different values for one aggregate",
                self._answers.disagreeing,
            )
        output = steps.sum_in(self.scheme.packing, self._answers.values(), self._survivors)
        if output is None:
            raise RoundFailed(
                Step.RELEASE.value,
                have,
                need,
                "the values are no sum of valid vectors: some participant sent garbage; nobody can be named",
            )
        self.output = output
