"""What ThresholdCkks sends of its own; the rest is `secagg_protocols.dealing.messages`.

| step | participant → server | server → participant |
|------|----------------------|----------------------|
| AdvertiseKeys | AdvertiseKeys | KeyList |
| ShareKeys | ShareKeys | SealedShares |
| Encrypt | Encrypt (one per block) | SurvivorList (active) or UnmaskRequest |
| ConsistencyCheck (active) | ConsistencyCheck | UnmaskRequest |
| Opening | Opening | – |
"""

from __future__ import annotations

from secagg_protocols.dealing.messages import AdvertiseKeys, OpenedSum
from secagg_protocols.wire import Message

__all__ = ["AdvertiseKeys", "Encrypt", "Opening"]


class Encrypt(Message, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One block of cᵢ = a·sᵢ + eᵢ + Δ·mᵢ. block: from 0. words: coefficients in [0, q), little-endian."""

    block: int
    words: memoryview


class Opening(OpenedSum, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The sum of key shares over U₃."""
