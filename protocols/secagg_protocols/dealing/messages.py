"""Messages of every protocol that deals shares. Each checks its own shape; the machines check the meaning.

Which follows which, with those of their own, schemes say (`exchange`).
"""

from __future__ import annotations

from ..core.channels import key_list_digest
from ..core.wire import Message, check_ascending, check_size
from ..primitives.merkle import HASH_BYTES

NONCE_BYTES = 16


class AdvertiseKeys(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A participant's public key for this round, where one key pair is all it has (Bonawitz has its own message).

    channel_key: for sealing shares. nonce: 16 fresh bytes. context_digest: 32 bytes, what this participant was sent;
    empty under `early_keys`.
    """

    channel_key: bytes
    nonce: bytes
    context_digest: bytes

    def __post_init__(self) -> None:
        check_size("nonce", self.nonce, NONCE_BYTES)
        check_context_digest(self.context_digest)


def check_context_digest(digest: bytes) -> None:
    """Raise `ValueError` unless this is a digest, or empty (for a message's own checks)."""
    if digest:
        check_size("context_digest", digest, HASH_BYTES)


class KeyEntry(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One participant's AdvertiseKeys as it came: encoded message and envelope signature (empty: semi-honest)."""

    participant: int
    payload: bytes
    signature: bytes


class KeyList(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """U₁: everyone whose keys arrived, ascending."""

    entries: tuple[KeyEntry, ...]

    def __post_init__(self) -> None:
        check_ascending("key list", tuple(entry.participant for entry in self.entries))

    @property
    def digest(self) -> bytes:
        """What the session is bound to: 32 bytes."""
        return key_list_digest(self.entries)


class ShareKeys(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A dealer's shares, sealed for each member of U₁ but itself, in ascending order, at equal lengths.

    share_digests (active; else empty): the hash of every share it deals, holder-major, 32 bytes each; their Merkle root
    is the `share_root` it signed. The server looks at them only when a share is wrong.
    """

    share_digests: bytes
    sealed: memoryview


class SealedShares(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """U₂ and what its members sealed for this participant: one ciphertext from each dealer but itself, ascending."""

    dealers: tuple[int, ...]
    sealed: memoryview

    def __post_init__(self) -> None:
        check_ascending("dealers", self.dealers)


class SurvivorList(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """U₃, to be signed by its members (active)."""

    survivors: tuple[int, ...]

    def __post_init__(self) -> None:
        check_ascending("survivors", self.survivors)


class ConsistencyCheck(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The digest of U₃ (32 bytes). The envelope's signature over it is what the server relays."""

    survivors_digest: bytes

    def __post_init__(self) -> None:
        check_size("survivors_digest", self.survivors_digest, HASH_BYTES)


class UnmaskRequest(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Who survived (U₃) and who vanished (U₂ \\ U₃).

    signers, signatures (active; else empty): t members of U₃ and their ConsistencyCheck signatures, 64 bytes each.
    """

    survivors: tuple[int, ...]
    vanished: tuple[int, ...]
    signers: tuple[int, ...]
    signatures: bytes

    def __post_init__(self) -> None:
        check_ascending("survivors", self.survivors)
        check_ascending("vanished", self.vanished)
        check_ascending("signers", self.signers)
        check_size("signatures", self.signatures, 64 * len(self.signers))


class OpenedSum(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The sum, over U₃, of the shares that this holder has: `share_bytes` long. Protocols give it a name of their own.

    missing: members of U₃ of whom it holds no valid share; it can then give no sum, and `share` is empty.
    """

    missing: tuple[int, ...]
    share: memoryview

    def __post_init__(self) -> None:
        check_ascending("missing", self.missing)
