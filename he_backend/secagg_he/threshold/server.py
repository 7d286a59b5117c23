"""The server of ThresholdCkks: it checks dealers, adds ciphertexts, recovers the keys' sum and decrypts with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from secagg_protocols.core.step import Step
from secagg_protocols.core.wire import Envelope, Message
from secagg_protocols.dealing.messages import KeyEntry
from secagg_protocols.dealing.summing import SummingServer
from secagg_protocols.errors import SERVER, StateError
from secagg_protocols.packing.sums import Output
from secagg_protocols.primitives.field import Elements
from secagg_protocols.primitives.recovery import Correction

from . import encoding, steps
from .messages import CHALLENGE_BYTES, Encrypt, KeyList, SealedShares, ShareCheck
from .opening import Candidate, Opened, find_key_sum
from .params import ThresholdCkks
from .share_check import Checks, Verdict, fits, judge
from .uploads import HeldUploads

_HELD_BYTES = 1 << 28
"""Beyond so many bytes of uploads that wait, dealers are judged by the holders that have spoken, if they are enough."""


class ThresholdCkksServer(SummingServer):
    """Made by `ThresholdCkks.server`. See `core.server.Server` for the calls.

    Holds one sum, the uploads that have begun and not ended, and those that come before dealers are judged: before the
    last holder's ShareCheck, which leaves it as soon as its shares arrive.
    """

    scheme: ThresholdCkks
    upload_type = Encrypt
    _sum: HeldUploads

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._order["ShareCheck"] = self._order[Step.ENCRYPT]
        self._challenge = b""
        self._checked: dict[int, tuple[Elements, tuple[int, ...]]] = {}
        self._right: list[int] | None = None
        """Once dealers are judged: t holders whose shares fit; fewer if no more are left."""
        self._doubted: set[int] = set()
        self._found: Candidate | None = None

    def _new_sum(self) -> HeldUploads:
        return HeldUploads(self.scheme.ciphertexts)

    @property
    def _sum_bytes(self) -> int:
        return self.scheme.sum_bytes

    def _decode_sum(self, share: memoryview) -> Elements:
        return encoding.decode_share(self.scheme, share)

    # --- AdvertiseKeys and ShareKeys: the challenge is promised before anything is dealt, and shown with the shares

    def _key_lists(self, entries: Mapping[int, KeyEntry]) -> Iterator[tuple[tuple[int, ...], KeyList]]:
        self._challenge = self._randomness.bytes(CHALLENGE_BYTES)
        yield tuple(entries), KeyList(tuple(entries.values()), steps.commit(self._challenge))

    def _sealed_shares(self, dealers: tuple[int, ...], sealed: memoryview) -> SealedShares:
        return SealedShares(dealers, self._challenge, sealed)

    # --- Encrypt

    def _handle(self, sender: int, message: Message, envelope: Envelope) -> bool:
        if isinstance(message, ShareCheck):
            return self._take_check(sender, message)
        return super()._handle(sender, message, envelope)

    def _take_upload(self, sender: int, message: Encrypt) -> bool:
        self._sum.check(sender, message.block, message.words)
        self.scheme.ciphertexts.check(message.words)
        super()._take_upload(sender, message)
        if self._right is None and self._sum.held_bytes > _HELD_BYTES:
            have = len(self._checked)
            most = len(self._dealers)
            if 2 * have >= self.scheme.quorum + most:
                self._judge()
        return self._has_encrypted(sender)

    def _has_encrypted(self, sender: int) -> bool:
        return self._sum.is_whole(sender) and sender in self._checked and sender not in self._dropped

    @property
    def _gone(self) -> set[int]:
        """Who is dropped and in no sum: who leaves once it has answered is still in it."""
        return self._dropped.keys() - self._answered

    def _take_check(self, sender: int, message: ShareCheck) -> bool:
        if sender in self._checked:
            raise StateError(f"participant {sender} has already checked its shares")
        self._checked[sender] = steps.read_check(self._dealers, sender, message), message.missing
        if self._right is not None:
            self._compare(sender, self._right)
            self._sum.clear([sender])
        elif not self._expected - self._dropped.keys() - self._checked.keys():
            self._judge()
        return self._has_encrypted(sender)

    def _close(self, step: Step, answered: tuple[int, ...]) -> list[Envelope]:
        if step is Step.ENCRYPT and self._right is None:
            self._judge()
            if len(self._answered) < self._needed(step):
                raise self._too_few()
        return super()._close(step, tuple(sorted(self._answered)))

    def _judge(self) -> None:
        """Leave out the dealers whose shares fit no polynomials, and add the ciphertexts of all others."""
        holders = sorted(self._checked.keys() - self._gone)
        if len(holders) < self.scheme.quorum:
            return  # the step cannot be closed
        checks = self._checks_of(holders)
        self._note(judge(checks, self.scheme.quorum, self._randomness))
        right = [who for who in holders if who not in self._gone and who not in self._doubted]
        self._right = right[: self.scheme.quorum]
        self._sum.clear(self._checked.keys() - self._gone)

    def _checks_of(self, holders: list[int]) -> Checks:
        return Checks.of(self._dealers, {holder: self._checked[holder] for holder in holders})

    def _note(self, verdict: Verdict) -> None:
        """Nothing signed tells who is to blame: dealer, holder, or the server that stands between them."""
        for dealer, holders in verdict.left_out.items():
            self._suspects |= {SERVER, dealer, *holders}
            self._drop(dealer, f"dealt shares that do not fit others at {len(holders)} of {len(self._checked)} holders")
        for holder, dealers in verdict.doubted.items():
            self._doubted.add(holder)
            wrong = dealers.difference(self._checked[holder][1])  # to say that a share is missing is no wrong share
            if wrong:
                dealer = min(wrong) if len(wrong) == 1 else SERVER
                self._corrections.append(Correction(dealer, holder, frozenset({SERVER, holder, *wrong})))

    def _compare(self, sender: int, right: list[int]) -> None:
        """Compare what a holder says that comes after the judgement with what the others said."""
        if len(right) < self.scheme.quorum:
            return
        values, missing = self._checked[sender]
        off = np.isin(self._dealers, missing) | ~fits(self._checks_of(right), sender, values)
        stay = ~np.isin(self._dealers, list(self._gone))
        dealers = frozenset(np.array(self._dealers)[off & stay].tolist())
        if dealers:
            self._note(Verdict({}, {sender: dealers}))

    # --- the opening

    def _finish(self, answered: tuple[int, ...]) -> Output:
        self._sum.settle()
        opened = Opened(self.scheme, answered, np.stack([self._opened[holder] for holder in answered]))
        session = self._session
        residues = self._sum.words
        survivors = self._survivors
        if self._found is None:  # it is here already when an executor failed after it was found
            first = residues[: self.scheme.ciphertexts.granule]
            doubted = frozenset(self._doubted)
            self._found = find_key_sum(opened, doubted, survivors, session, first, self._randomness)
        total, right = self._found
        output = steps.decrypt_sum(self.scheme, session, total, residues, survivors, self.workers)
        for holder in opened.misfits(right):
            if holder not in self._doubted:
                self._corrections.append(Correction(SERVER, holder, frozenset({SERVER, holder, *survivors})))
        return output
