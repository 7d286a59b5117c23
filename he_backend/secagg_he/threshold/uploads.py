"""Uploads that wait until it is known whose dealing is sound: a ciphertext that is in the sum cannot be taken out."""

from __future__ import annotations

from collections.abc import Iterable

from secagg_protocols.errors import StateError

from .ciphertexts import Ciphertexts, CiphertextSum


class HeldUploads(CiphertextSum):
    """As `CiphertextSum`, but a whole upload is added only when its sender is cleared."""

    def __init__(self, packing: Ciphertexts) -> None:
        super().__init__(packing)
        self._held: dict[int, dict[int, memoryview]] = {}
        self._cleared: set[int] = set()
        self._whole: set[int] = set()

    @property
    def held_bytes(self) -> int:
        """Bytes of the whole uploads that wait."""
        return sum(len(words) for upload in self._held.values() for words in upload.values())

    def is_whole(self, sender: int) -> bool:
        """Tell whether all of a sender's upload is here."""
        return sender in self._whole

    def check(self, sender: int, block: int, data: memoryview) -> None:
        if sender in self._whole:
            raise StateError(f"participant {sender} has already sent its ciphertext")
        super().check(sender, block, data)

    def clear(self, senders: Iterable[int]) -> None:
        """Add what these have sent, and what they will send."""
        for sender in senders:
            self._cleared.add(sender)
            if sender in self._held:
                super()._complete(sender, self._held.pop(sender))

    def forget(self, sender: int) -> None:
        super().forget(sender)
        self._held.pop(sender, None)

    def _complete(self, sender: int, upload: dict[int, memoryview]) -> None:
        self._whole.add(sender)
        if sender in self._cleared:
            super()._complete(sender, upload)
        else:
            self._held[sender] = upload
