"""Messages of every protocol that deals shares. Each checks its own shape; the machines check the meaning.

Which follows which, with those of their own, schemes say (`exchange`).
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta

from ..core.channels import key_list_digest
from ..core.fields import Digest, Exactly, Nonce, Participant, PublicKey, Signature, at_most
from ..core.wire import MAX_PARTICIPANTS, Message, check_ascending
from ..primitives.merkle import HASH_BYTES

NONCE_BYTES = 16

ContextDigest: TypeAlias = Annotated[bytes, Meta(max_length=HASH_BYTES)]
"""32 bytes, or none."""
LONGEST_LIST = Meta(max_length=MAX_PARTICIPANTS)
"""Of any round. A longer list is refused by its length, before an entry of it is made."""
Participants: TypeAlias = Annotated[tuple[Participant, ...], LONGEST_LIST, at_most("most_listed")]
"""Ids, ascending."""


class AdvertiseKeys(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A participant's public key for this round, where one key pair is all it has (Bonawitz has its own message).

    channel_key: for sealing shares. nonce: 16 fresh bytes. context_digest: 32 bytes, what this participant was sent;
    empty under `early_keys`.
    """

    channel_key: PublicKey
    nonce: Nonce
    context_digest: ContextDigest

    def __post_init__(self) -> None:
        check_context_digest(self.context_digest)


def check_context_digest(digest: bytes) -> None:
    """Raise `ValueError` unless this is a digest, or empty (for a message's own checks)."""
    if digest and len(digest) != HASH_BYTES:
        raise ValueError(f"context_digest has {len(digest)} bytes, not {HASH_BYTES} or none")


class KeyEntry(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One participant's AdvertiseKeys as it came: encoded message and envelope signature (empty: semi-honest)."""

    participant: Participant
    payload: Annotated[bytes, at_most("advertised_bytes")]
    signature: Signature


class KeyList(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """U₁: everyone whose keys arrived, ascending."""

    entries: Annotated[tuple[KeyEntry, ...], LONGEST_LIST, at_most("most_listed")]

    def __post_init__(self) -> None:
        check_ascending("key list", tuple(entry.participant for entry in self.entries))

    @property
    def digest(self) -> bytes:
        """What the session is bound to: 32 bytes."""
        return key_list_digest(self.entries)


class ShareKeys(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A dealer's shares, sealed for each member of U₁ but itself, in ascending order, at equal lengths.

    sealed: for each, the ciphertexts that answer its public keys (`Agreement.ciphertext_bytes` for each key that it
    advertised; none in today's suites) and the sealed share behind them: `sealed_bytes` in all.

    share_digests (active; else empty): the hash of every share it deals, holder-major, 32 bytes each; their Merkle root
    is the `share_root` it signed. The server looks at them only when a share is wrong.
    """

    share_digests: Annotated[bytes, Exactly("share_digests_bytes")]
    sealed: Annotated[memoryview, at_most("most_listed", "sealed_bytes")]


class SealedShares(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """U₂ and what its members sealed for this participant: `sealed_bytes` from each dealer but itself, ascending."""

    dealers: Participants
    sealed: Annotated[memoryview, at_most("most_listed", "sealed_bytes")]

    def __post_init__(self) -> None:
        check_ascending("dealers", self.dealers)


class SurvivorList(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """U₃, to be signed by its members (active)."""

    survivors: Participants

    def __post_init__(self) -> None:
        check_ascending("survivors", self.survivors)


class ConsistencyCheck(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The digest of U₃ (32 bytes). The envelope's signature over it is what the server relays."""

    survivors_digest: Digest


class UnmaskRequest(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Who survived (U₃) and who vanished (U₂ \\ U₃).

    signers, signatures (active; else empty): t members of U₃ and their ConsistencyCheck signatures, in their order.
    """

    survivors: Participants
    vanished: Participants
    signers: Participants
    signatures: Annotated[tuple[Signature, ...], LONGEST_LIST, at_most("most_listed")]

    def __post_init__(self) -> None:
        check_ascending("survivors", self.survivors)
        check_ascending("vanished", self.vanished)
        check_ascending("signers", self.signers)
        if len(self.signatures) != len(self.signers):
            raise ValueError(f"{len(self.signatures)} signatures of {len(self.signers)} signers")

    def in_all(self, participants: int) -> int:
        """Return how many survived in the whole round."""
        return len(self.survivors)


class CountedUnmaskRequest(UnmaskRequest, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The same to who sees its neighbours only, where it must know how many survived: for the noise that is opened.

    absent: how many of all participants are not in the sum. (The server's word: this is for a semi-honest one.)
    """

    absent: Annotated[int, Meta(ge=0, le=MAX_PARTICIPANTS)]

    def in_all(self, participants: int) -> int:
        return participants - self.absent


class OpenedSum(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The sum, over U₃, of the shares that this holder has: `sum_bytes` long. Protocols give it a name of their own.

    missing: members of U₃ of whom it holds no valid share; it can then give no sum, and `share` is empty.
    """

    missing: Participants
    share: Annotated[memoryview, at_most("sum_bytes")]

    def __post_init__(self) -> None:
        check_ascending("missing", self.missing)
