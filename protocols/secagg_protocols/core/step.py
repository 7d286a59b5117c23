"""The steps of all protocols, by name."""

from __future__ import annotations

from enum import StrEnum


class Step(StrEnum):
    """A step of a protocol, in its paper's word. The word is the same on the wire, in reports and in the docs."""

    SUM = "Sum"
    ADVERTISE_KEYS = "AdvertiseKeys"
    SHARE_KEYS = "ShareKeys"
    SHARE_MASKS = "ShareMasks"
    MASKED_INPUT = "MaskedInput"
    CONSISTENCY_CHECK = "ConsistencyCheck"
    UNMASKING = "Unmasking"
    ENCRYPT = "Encrypt"
    OPENING = "Opening"
    RELEASE = "Release"
