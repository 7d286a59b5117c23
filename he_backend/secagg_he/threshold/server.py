"""The server of ThresholdCkks: it adds ciphertexts, recovers the sum of the keys, and decrypts the sum."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations, islice
from types import MappingProxyType
from typing import Any

import numpy as np

from secagg_protocols import workers
from secagg_protocols.blocks import Uploads
from secagg_protocols.dealing.messages import ConsistencyCheck, ShareKeys
from secagg_protocols.dealing.server import DealingServer
from secagg_protocols.errors import SERVER, ProtocolViolation, RoundFailed
from secagg_protocols.field import Elements
from secagg_protocols.lanes import Words
from secagg_protocols.recovery import Correction
from secagg_protocols.reed_solomon import ShareCode, TooManyErrors
from secagg_protocols.scheme import Output

from ..ring import Integers
from . import rounds
from .messages import AdvertiseKeys, Encrypt, Opening
from .params import ThresholdCkks

_SUBSETS = 256
"""Sets of t holders that are tried when more sums are wrong than can be located: half a second."""


class ThresholdCkksServer(DealingServer):
    """Made by `ThresholdCkks.server`. See `machine.Server` for the calls."""

    scheme: ThresholdCkks
    messages = MappingProxyType(
        {kind.__name__: kind for kind in (AdvertiseKeys, ShareKeys, Encrypt, ConsistencyCheck, Opening)}
    )
    advertise_type, upload_type = AdvertiseKeys, Encrypt

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._opened: dict[int, Elements] = {}

    def _new_sum(self) -> Uploads:
        return Uploads(self.scheme.ciphertexts)

    def _check_advertised(self, message: AdvertiseKeys) -> tuple[bytes, ...]:
        return rounds.check_advertised(self.scheme, message, self.context)

    def _take_upload(self, sender: int, message: Encrypt) -> bool:
        self.scheme.ciphertexts.check(message.words)
        return super()._take_upload(sender, message)

    def _take_opened(self, sender: int, message: Opening) -> bool:
        if not set(message.missing) <= set(self._survivors) - {sender}:
            raise ProtocolViolation("shares are reported missing of someone who is not in the sum", {sender})
        expected = 0 if message.missing else self.scheme.share_bytes
        if len(message.share) != expected:
            raise ProtocolViolation(f"a sum of shares has {len(message.share)} bytes, not {expected}", {sender})
        if message.missing:  # an honest report: it has no sum to give, and nobody else is the worse for it
            who = ", ".join(map(str, message.missing[:5])) + (", …" if len(message.missing) > 5 else "")
            self._drop(sender, f"holds no valid share of participant {who}")
            return False
        self._opened[sender] = rounds.decode_share(self.scheme, message.share)
        return True

    # --- the opening

    def _finish(self, answered: tuple[int, ...]) -> Output:
        sums = np.stack([self._opened[holder] for holder in answered])
        total, first, errors = self._open_first(answered, sums)
        words = self._decrypt(total, first, errors)
        return self.scheme.plaintext.output(words, self._survivors, self.step)

    def _open_first(self, answered: tuple[int, ...], sums: Elements) -> tuple[Integers, Words, rounds.Errors]:
        """Return S, and the first block decrypted: its errors show that S is right. Note down who gave a wrong sum."""
        scheme, residues = self.scheme, self._sum.words[: self.scheme.block_words]
        for rows in self._subsets(answered, sums):
            holders = [answered[row] for row in rows]
            total = rounds.key_sum(scheme, holders, sums[rows])
            first, errors = rounds.decrypt(scheme, self._session, total, 0, residues)
            if rounds.is_noise(scheme, len(self._survivors), [errors]):
                self._note_wrong(answered, sums, holders, sums[rows])
                return total, first, errors
        raise RoundFailed(
            self.step.value,
            len(answered),
            scheme.quorum,
            "the opened sums of key shares decrypt to noise: wrong shares, or a ciphertext that is garbage",
            frozenset({SERVER, *answered, *self._survivors}),
        )

    def _subsets(self, answered: tuple[int, ...], sums: Elements) -> Iterator[list[int]]:
        """Yield rows of t holders whose sums may all be right, the likeliest first."""
        t = self.scheme.quorum
        try:
            wrong = ShareCode(answered, t).wrong_shares(sums, self._randomness)
            yield [row for row, holder in enumerate(answered) if holder not in wrong][:t]
            if not wrong:
                return  # all lie on one polynomial: every subset gives the same key sum
        except TooManyErrors:
            pass
        yield from map(list, islice(combinations(range(len(answered)), t), _SUBSETS))

    def _note_wrong(self, answered: tuple[int, ...], sums: Elements, right: list[int], values: Elements) -> None:
        """Note down every holder whose sum does not fit those of t holders. Nothing signed tells who is to blame."""
        for row, holder in enumerate(answered):
            if holder in right or np.array_equal(self.scheme.sharing.share_of(holder, right, values), sums[row]):
                continue
            self._corrections.append(Correction(SERVER, holder, frozenset({SERVER, holder, *self._survivors})))

    def _decrypt(self, total: Integers, first: Words, errors: rounds.Errors) -> Words:
        """Return the packed sums. Raises `RoundFailed` when the errors are not those of honest encryptions."""
        scheme, residues, step = self.scheme, self._sum.words, self.scheme.block_words
        blocks = [residues[start : start + step] for start in range(step, residues.size, step)]
        count = len(blocks)
        same = [scheme] * count, [self._session] * count, [total] * count
        numbers = range(1, count + 1)
        parts: Iterable[tuple[Words, rounds.Errors]]
        if self.executor is None:
            parts = map(rounds.decrypt, *same, numbers, blocks)
        else:
            parts = workers.run(self.executor, rounds.decrypt, *same, numbers, blocks)
        found = [errors]
        for block, (sums, more) in zip(blocks, parts, strict=True):
            block[:] = sums
            found.append(more)
        residues[:step] = first
        if not rounds.is_noise(scheme, len(self._survivors), found):
            raise RoundFailed(
                self.step.value,
                len(self._survivors),
                scheme.quorum,
                "the values are no sum of honest encryptions: some participant sent garbage; nobody can be named",
            )
        return residues[: scheme.plaintext.lanes.words]
