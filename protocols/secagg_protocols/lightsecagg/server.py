"""The server of LightSecAgg: it adds masked inputs and takes the one aggregate mask off."""

from __future__ import annotations

from ..core.wire import Envelope
from ..dealing.summing import SummingServer
from ..errors import SERVER
from ..packing.blocks import Uploads
from ..packing.sums import Output
from ..primitives.field import Elements
from ..primitives.recovery import Correction
from . import steps, wrong_sums
from .messages import MaskedInput
from .params import LightSecAgg


class LightSecAggServer(SummingServer):
    """Made by `LightSecAgg.server`. See `core.server.Server` for the calls.

    Holds one vector, the uploads that have begun and not ended, and for one step all sealed shares: N² of them, each
    of length / (U − T) elements.
    """

    scheme: LightSecAgg
    upload_type = MaskedInput

    def _new_sum(self) -> Uploads:
        return Uploads(self.scheme.packing)

    def _deliver_shares(self, answered: tuple[int, ...]) -> list[Envelope]:
        sealed = self._sealed
        self._sealed = {}
        self._dealers = answered
        return [
            self.seal("SealedShares", holder, message, pieces)
            for holder, message, pieces in steps.deliver(self.scheme, self._members, answered, sealed)
        ]

    def _take_upload(self, sender: int, message: MaskedInput) -> bool:
        self._sum.check(sender, message.block, message.words)  # its size, before it is decoded
        self.scheme.packing.check_block(message.block, message.words)
        return super()._take_upload(sender, message)

    def _decode_sum(self, share: memoryview) -> Elements:
        return self.scheme.packing.from_bytes(share)

    # --- Unmasking

    def _finish(self, answered: tuple[int, ...]) -> Output:
        opened = {holder: self._opened[holder] for holder in answered}
        self._opened = {}
        scheme = self.scheme
        masked = self._sum.words
        survivors = self._survivors
        wrong = wrong_sums.wrong_holders(scheme, opened, masked, survivors, self._randomness)
        # Nothing is signed: any dealer may have dealt this holder a share that does not fit the others.
        for holder in sorted(wrong):
            self._corrections.append(Correction(SERVER, holder, frozenset({SERVER, holder, *survivors})))
        right = {holder: share for holder, share in opened.items() if holder not in wrong}
        return steps.recover(scheme, masked, survivors, right)
