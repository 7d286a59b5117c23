"""Messages of Bonawitz, named by the paper's steps. Each checks its own shape; the machines check the meaning.

| step | participant → server | server → participant |
|------|----------------------|----------------------|
| AdvertiseKeys | AdvertiseKeys | KeyList |
| ShareKeys | ShareKeys | SealedShares |
| MaskedInput | MaskedInput (one per block) | SurvivorList (active) or UnmaskRequest |
| ConsistencyCheck (active) | ConsistencyCheck | UnmaskRequest |
| Unmasking | Unmasking | – |
"""

from __future__ import annotations

from ..merkle import HASH_BYTES
from ..wire import Message, check_ascending, check_size

NONCE_BYTES = 16


class AdvertiseKeys(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A participant's public keys for this round.

    channel_key: c_u^PK, for sealing shares. mask_key: s_u^PK, for pairwise masks. commitments: 32 bytes for each
    shared seed (self-mask seed first). share_root: Merkle root over the shares it deals (active; else empty).
    nonce: 16 fresh bytes. context_digest: 32 bytes, what this participant was sent.
    """

    channel_key: bytes
    mask_key: bytes
    commitments: bytes
    share_root: bytes
    nonce: bytes
    context_digest: bytes

    def __post_init__(self) -> None:
        check_size("nonce", self.nonce, NONCE_BYTES)
        check_size("context_digest", self.context_digest, HASH_BYTES)


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


class MaskedInput(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One block of y_u, the masked packed vector. block: from 0. words: the words' low bytes, little-endian."""

    block: int
    words: memoryview


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


class Unmasking(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One share for each member of U₂ but those in `missing` (this holder got no valid share from them), ascending:
    of a survivor's self-mask seed, of a vanished participant's mask key. Never both. SHARE_BYTES each."""

    missing: tuple[int, ...]
    shares: memoryview

    def __post_init__(self) -> None:
        check_ascending("missing", self.missing)
