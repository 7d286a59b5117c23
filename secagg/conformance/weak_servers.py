"""What the servers of our schemes check of participants, each as a `Weakness` that leaves it out."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from secagg_he import ThresholdCkks
from secagg_he.threshold.server import ThresholdCkksServer
from secagg_he.threshold.share_check import Verdict
from secagg_protocols import Bonawitz, Envelope, Output
from secagg_protocols.bonawitz import steps
from secagg_protocols.bonawitz.server import BonawitzServer
from secagg_protocols.dealing.messages import ConsistencyCheck
from secagg_protocols.dealing.server import DealingServer
from secagg_protocols.packing.blocks import BlockSum
from secagg_protocols.primitives import merkle, shamir
from secagg_protocols.primitives.recovery import OpenedShares

from .weakened import Weakness


class _AnyOwner(DealingServer):
    def _check_unclaimed(self, sender: int, keys: tuple[bytes, ...]) -> None:
        """Ask nothing."""


UNCLAIMED_KEYS = Weakness("unclaimed keys", "a key is listed that another participant advertised", server=_AnyOwner)


class _AnySignature(DealingServer):
    def _take_signature(self, sender: int, message: ConsistencyCheck, envelope: Envelope) -> bool:
        self._signatures[sender] = envelope.signature
        return True


SIGNED_SURVIVORS = Weakness("signed survivors", "the server relays whatever participants signed", server=_AnySignature)


class _AnyRoom(DealingServer):
    def _check_room(self, sender: int) -> None:
        """Ask nothing."""


ROOM = Weakness("room", "however many uploads are held at once", server=_AnyRoom)


class _AnySum(BlockSum):
    def output(self, survivors: tuple[int, ...], step: str) -> Output:
        return Output(self.words, survivors, self._lanes)


class _SumServer(BonawitzServer):
    def _new_sum(self) -> BlockSum:
        return _AnySum(self.scheme.domain)


POSSIBLE_SUM = Weakness(
    "possible sum", "values come out that no valid vectors sum up to", server=_SumServer, within=Bonawitz
)


class _FirstShares(BonawitzServer):
    def _recover(self, known: steps.Transcript, answered: tuple[int, ...]) -> dict[int, bytes]:
        first = answered[: self.scheme.quorum]
        opened = known.graph.opened(known.dealers, {holder: self._opened[holder] for holder in first})
        assert isinstance(opened, OpenedShares), "where all share with all"
        secrets = shamir.reconstruct(opened.holders, shamir.decode(opened.shares))
        found = zip(opened.dealers, secrets, strict=True)
        return {dealer: secret or bytes(shamir.SECRET_BYTES) for dealer, secret in found}


RIGHT_SHARES = Weakness(
    "right shares", "secrets are put together from the first shares that come", server=_FirstShares, within=Bonawitz
)


class _AnyList(BonawitzServer):
    def _recover(self, known: steps.Transcript, answered: tuple[int, ...]) -> dict[int, bytes]:
        believed = {}
        for dealer, said in known.advertised.items():
            root = merkle.root(steps.holder_leaves(self.scheme, known.digests[dealer]))
            believed[dealer] = msgspec.structs.replace(said, share_root=root)
        return super()._recover(replace(known, advertised=believed), answered)


ONE_LIST = Weakness(
    "one list", "a dealer's hashes of its shares need not be those that it signed", server=_AnyList, within=Bonawitz
)


class _AnyDealer(ThresholdCkksServer):
    def _note(self, verdict: Verdict) -> None:
        """Leave nobody out."""


FITTING_SHARES = Weakness(
    "fitting shares", "dealers stay whose shares fit no others", server=_AnyDealer, within=ThresholdCkks
)
