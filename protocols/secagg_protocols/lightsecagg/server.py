"""The server of LightSecAgg: it adds masked inputs and takes the one aggregate mask off."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from ..core.wire import Envelope
from ..dealing.messages import SealedShares
from ..dealing.summing import SummingServer
from ..errors import SERVER, RoundFailed
from ..packing.blocks import Uploads
from ..packing.sums import Output
from ..primitives.field import Elements
from ..primitives.recovery import Correction
from ..primitives.reed_solomon import ShareCode, TooManyErrors
from . import rounds
from .leaving import Leaving
from .messages import AdvertiseKeys, MaskedInput, ShareMasks, Unmasking
from .params import LightSecAgg

_SUSPECTS = 8
"""Of more holders than this none is looked at closely: the lie is too small to be told from other sums."""


class LightSecAggServer(SummingServer):
    """Made by `LightSecAgg.server`. See `core.server.Server` for the calls.

    Holds one vector, the uploads that have begun and not ended, and for one step all sealed shares: N² of them, each
    of length / (U − T) elements.
    """

    scheme: LightSecAgg
    messages = MappingProxyType({kind.__name__: kind for kind in (AdvertiseKeys, ShareMasks, MaskedInput, Unmasking)})
    upload_type = MaskedInput

    def _new_sum(self) -> Uploads:
        return Uploads(self.scheme.packing)

    def _deliver_shares(self, answered: tuple[int, ...]) -> list[Envelope]:
        # As `DealingServer` does, but shares are large here: joined once for each holder, and never all at once.
        self._dealers, size = answered, self.scheme.sealed_bytes
        position = {member: index for index, member in enumerate(self._members)}
        outgoing = []
        for holder in answered:
            column = []
            for dealer in answered:
                if dealer != holder:
                    # A dealer seals nothing for itself, so those behind it stand one place earlier.
                    start = (position[holder] - (position[holder] > position[dealer])) * size
                    column.append(self._sealed[dealer][start : start + size])
            outgoing.append(self.seal("SealedShares", holder, SealedShares(answered, memoryview(b"")), column))
        self._sealed = {}
        return outgoing

    def _take_upload(self, sender: int, message: MaskedInput) -> bool:
        self.scheme.packing.check_block(message.block, message.words)
        return super()._take_upload(sender, message)

    def _decode_sum(self, share: memoryview) -> Elements:
        return self.scheme.packing.from_bytes(share)

    # --- Unmasking

    def _finish(self, answered: tuple[int, ...]) -> Output:
        shares = np.stack([self._opened[holder] for holder in answered])
        self._opened = {}
        wrong = self._wrong_holders(answered, shares)
        right = [row for row, holder in enumerate(answered) if holder not in wrong][: self.scheme.quorum]
        aggregate = rounds.decode_aggregate(self.scheme, [answered[row] for row in right], shares[right])
        sums = rounds.unmask(self.scheme, self._sum.words, aggregate)
        return Output(self.scheme.packing.total(sums, self._survivors, self.step), self._survivors)

    def _wrong_holders(self, answered: tuple[int, ...], shares: Elements) -> frozenset[int]:
        """Return the holders whose sums do not fit the others'; with exactly U answers nothing can be seen."""
        wrong: frozenset[int] = frozenset()
        try:
            for field, part in self.scheme.packing.sections(self.scheme.piece_length):
                code = ShareCode(answered, self.scheme.quorum, field)
                wrong |= code.wrong_shares(shares[:, part], self._randomness)
            if len(answered) - len(wrong) < self.scheme.quorum:
                raise TooManyErrors(f"{len(wrong)} of {len(answered)} are wrong, in one field or another")
        except TooManyErrors as error:
            wrong = self._only_liar(answered, shares)
            if not wrong:
                spare = len(answered) - self.scheme.quorum
                raise RoundFailed(
                    self.step.value,
                    len(answered),
                    self.scheme.quorum,
                    f"the sums of shares contradict each other and {spare} spare ones do not tell which are wrong: "
                    f"{error}",
                    frozenset({SERVER, *answered, *self._survivors}),
                ) from None
        # Nothing is signed: any dealer may have dealt this holder a share that does not fit the others.
        for holder in sorted(wrong):
            self._corrections.append(Correction(SERVER, holder, frozenset({SERVER, holder, *self._survivors})))
        return wrong

    def _only_liar(self, answered: tuple[int, ...], shares: Elements) -> frozenset[int]:
        """Return the one of U + 1 holders without whom the values are a possible sum; none where that is not just one.

        If it is the only liar, any other sum that is possible would have to be so by chance. It takes no fewer liars
        to have a wrong sum taken for right than without this: two of U + 1 can agree on one that fits.
        """
        scheme = self.scheme
        if len(answered) != scheme.quorum + 1:
            return frozenset()
        test, masked = Leaving(scheme, answered, shares), self._sum.words
        suspects = [one for one in answered if test.is_possible(one, masked, self._survivors, self.step)]
        if len(suspects) > _SUSPECTS:
            return frozenset()
        possible = []
        for suspect in suspects:
            rows = [row for row, holder in enumerate(answered) if holder != suspect]
            aggregate = rounds.decode_aggregate(scheme, [answered[row] for row in rows], shares[rows])
            try:
                scheme.packing.total(rounds.unmask(scheme, self._sum.words, aggregate), self._survivors, self.step)
            except RoundFailed:
                continue
            possible.append(suspect)
        return frozenset(possible) if len(possible) == 1 else frozenset()
