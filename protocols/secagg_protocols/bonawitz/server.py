"""The server of Bonawitz: it recovers secrets and takes the masks off."""

from __future__ import annotations

from typing import Any

from ..dealing.server import DealingServer
from ..errors import RoundFailed
from ..packing.blocks import BlockSum
from ..packing.sums import Output
from ..primitives.recovery import Unrecoverable
from . import noise, steps
from .evidence import recovery_of
from .messages import AdvertiseKeys, MaskedInput, Unmasking
from .params import Bonawitz


class BonawitzServer(DealingServer):
    """Made by `Bonawitz.server`. See `core.server.Server` for the calls."""

    scheme: Bonawitz
    advertise_type = AdvertiseKeys
    upload_type = MaskedInput
    _sum: BlockSum

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._digests: dict[int, bytes] = {}
        self._opened: dict[int, Unmasking] = {}
        self._secrets: dict[int, bytes] = {}

    def _new_sum(self) -> BlockSum:
        return BlockSum(self.scheme.domain)

    # --- AdvertiseKeys and ShareKeys

    def _check_advertised(self, message: AdvertiseKeys) -> tuple[bytes, ...]:
        return steps.check_advertised(self.scheme, message, self.context)

    def _keep_told(self, sender: int, share_digests: bytes) -> None:
        self._digests[sender] = share_digests

    # --- Unmasking

    def _take_opened(self, sender: int, message: Unmasking) -> bool:
        steps.check_unmasking(sender, self._delivered[sender], message)
        self._opened[sender] = message
        return True

    def _finish(self, answered: tuple[int, ...]) -> Output:
        known = steps.Transcript(
            self._session, self._graph, self._advertised, self._digests, self._dealers, self._survivors
        )
        if not self._secrets:  # they are here already when an executor failed after they were recovered
            self._secrets = self._recover(known, answered)
            self._opened = {}
        secrets, surplus = steps.open_chains(self.scheme, self._address, known, self._secrets)
        steps.unmask(self.scheme, known, secrets, self._sum.words, self.workers)
        self._secrets = {}
        output = self._sum.output(self._survivors, self.step)
        noise.take_off(self.scheme, output, surplus)
        return output

    def _recover(self, known: steps.Transcript, answered: tuple[int, ...]) -> dict[int, bytes]:
        recovery = recovery_of(self.scheme, self._address, known, self._randomness)
        try:
            return steps.recover(recovery, known, {holder: self._opened[holder] for holder in answered})
        except Unrecoverable as failure:
            raise RoundFailed(
                self.step.value, failure.have, self.scheme.quorum, str(failure), failure.culprits
            ) from None
        finally:
            self._corrections.extend(recovery.corrections)
