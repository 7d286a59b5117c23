"""The server of ThresholdCkks: it adds ciphertexts, recovers the sum of the keys, and decrypts the sum."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations, islice
from types import MappingProxyType

import numpy as np

from secagg_protocols import workers
from secagg_protocols.dealing.messages import ConsistencyCheck, ShareKeys
from secagg_protocols.dealing.summing import SummingServer
from secagg_protocols.errors import SERVER, RoundFailed
from secagg_protocols.field import Elements
from secagg_protocols.lanes import Words
from secagg_protocols.recovery import Correction
from secagg_protocols.reed_solomon import ShareCode, TooManyErrors
from secagg_protocols.scheme import Output

from ..ring import Integers
from . import rounds
from .ciphertexts import CiphertextSum
from .messages import AdvertiseKeys, Encrypt, Opening
from .params import ThresholdCkks

_GUESSES, _CANDIDATES = 1024, 256
"""Bounds on the search when more sums are wrong than can be located: sets left out, and key sums put to the test."""


class ThresholdCkksServer(SummingServer):
    """Made by `ThresholdCkks.server`. See `machine.Server` for the calls."""

    scheme: ThresholdCkks
    _sum: CiphertextSum
    messages = MappingProxyType(
        {kind.__name__: kind for kind in (AdvertiseKeys, ShareKeys, Encrypt, ConsistencyCheck, Opening)}
    )
    upload_type = Encrypt

    def _new_sum(self) -> CiphertextSum:
        return CiphertextSum(self.scheme.ciphertexts)

    def _take_upload(self, sender: int, message: Encrypt) -> bool:
        self._sum.check(sender, message.block, message.words)
        self.scheme.ciphertexts.check(message.words)
        return super()._take_upload(sender, message)

    def _decode_sum(self, share: memoryview) -> Elements:
        return rounds.decode_share(self.scheme, share)

    # --- the opening

    def _finish(self, answered: tuple[int, ...]) -> Output:
        self._sum.settle()
        sums = np.stack([self._opened[holder] for holder in answered])
        total, right = self._key_sum(answered, sums)
        words = self._decrypt(total)
        self._note_wrong(answered, sums, right)
        return self.scheme.plaintext.output(words, self._survivors, self.step)

    def _key_sum(self, answered: tuple[int, ...], sums: Elements) -> tuple[Integers, list[int]]:
        """Return S and the rows it is from. The first polynomial's errors show that it is right."""
        scheme, first = self.scheme, self._sum.words[: self.scheme.ciphertexts.granule]
        for rows in islice(self._candidates(answered, sums), _CANDIDATES):
            total = rounds.key_sum(scheme, [answered[row] for row in rows], sums[rows])
            _, errors = rounds.decrypt(scheme, self._session, total, 0, first)
            if rounds.is_noise(scheme, len(self._survivors), [errors]):
                return total, rows
        raise RoundFailed(
            self.step.value,
            len(answered),
            scheme.quorum,
            "the opened sums of key shares decrypt to noise: wrong shares, or a ciphertext that is garbage",
            frozenset({SERVER, *answered, *self._survivors}),
        )

    def _candidates(self, answered: tuple[int, ...], sums: Elements) -> Iterator[list[int]]:
        """Yield rows of t holders whose sums may all be right.

        As decoded; or, where too many are wrong for that, as decoded without some that are guessed to be wrong.
        """
        t, rows = self.scheme.quorum, range(len(answered))
        for guessed in range(len(answered) - t + 1):
            for left_out in islice(combinations(rows, guessed), _GUESSES):
                kept = [row for row in rows if row not in left_out]
                try:
                    wrong = ShareCode([answered[row] for row in kept], t).wrong_shares(sums[kept], self._randomness)
                except TooManyErrors:
                    continue
                yield [row for row in kept if answered[row] not in wrong][:t]
                if not guessed and not wrong:
                    return  # all lie on one polynomial: every set gives the same key sum

    def _note_wrong(self, answered: tuple[int, ...], sums: Elements, right: list[int]) -> None:
        """Note down every holder whose sum does not fit those of t holders. Nothing signed tells who is to blame."""
        holders = [answered[row] for row in right]
        for row, holder in enumerate(answered):
            if holder in holders:
                continue
            if not np.array_equal(self.scheme.sharing.share_of(holder, holders, sums[right]), sums[row]):
                self._corrections.append(Correction(SERVER, holder, frozenset({SERVER, holder, *self._survivors})))

    def _decrypt(self, total: Integers) -> Words:
        """Return the packed sums. Raises `RoundFailed` when the errors are not those of honest encryptions."""
        scheme, residues, step = self.scheme, self._sum.words, self.scheme.block_words
        blocks = [residues[start : start + step] for start in range(0, residues.size, step)]
        count = len(blocks)
        same = [scheme] * count, [self._session] * count, [total] * count
        parts: Iterable[tuple[Words, rounds.Errors]]
        if self.executor is None:
            parts = map(rounds.decrypt, *same, range(count), blocks)
        else:
            parts = workers.run(self.executor, rounds.decrypt, *same, range(count), blocks)
        errors, done = [], 0
        for sums, found in parts:  # as many as residues, or half as many: never over a block that is still to come
            residues[done : done + sums.size] = sums
            done += sums.size
            errors.append(found)
        if not rounds.is_noise(scheme, len(self._survivors), errors):
            raise RoundFailed(
                self.step.value,
                len(self._survivors),
                scheme.quorum,
                "the values are no sum of honest encryptions: some participant sent garbage; nobody can be named",
            )
        return residues[: scheme.plaintext.lanes.words]
