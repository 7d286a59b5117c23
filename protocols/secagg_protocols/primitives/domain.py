"""Domain separation: every hash, key and signature names the version and the use it is for.

Fields are framed by their length, so no two different tuples give the same bytes (compare RFC 9380 §3.1,
NIST SP 800-185 TupleHash).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache

VERSION = 1
"""Version of the protocol and of its wire format; bound into every derivation."""

ID_BYTES = 4
MAX_ID = 2**32 - 1
"""The largest participant id that can be written: on the wire, and in whatever is hashed or signed."""

_PREFIX = b"secagg v%d " % VERSION


class Use(bytes, Enum):
    """What a derived value is for. One value per use, never shared: a test finds each in one place of the code."""

    SCHEME_ID = b"scheme id"
    ROSTER = b"roster"
    ADDRESS = b"envelope address"
    SIGNATURE = b"envelope signature"
    ROSTER_SIGNATURE = b"roster signature"
    AUDIT_SIGNATURE = b"audit record signature"
    CHARGE_SIGNATURE = b"privacy charge signature"
    QUERY_SIGNATURE = b"statistics query signature"
    QUERY_JOB = b"job of a query"
    APPROVAL = b"approval of a query"
    APPROVED_ROUND = b"round of an approved query"
    KEY_LIST = b"key list"
    EARLY_CONTEXT = b"context of early keys"
    SESSION = b"session"
    CHANNEL_KEY = b"channel key"
    CHANNEL_DATA = b"channel associated data"
    MASK_KEY = b"pairwise mask key"
    SELF_MASK_KEY = b"self mask key"
    CODED_MASK_KEY = b"coded mask key"
    SEED_COMMITMENT = b"seed commitment"
    NOISE_TABLES = b"tables of noise"
    SEED_CHAIN = b"next seed of a chain"
    NOISE_LAYER = b"layer of noise"
    SHARE_LEAF = b"share leaf"
    SURVIVORS = b"survivor list"
    COUNTED_SURVIVORS = b"survivors seen and their number"
    DEALT_KEYS = b"session of advertised keys"
    SURVIVORS_OF = b"survivors of a session"
    NEIGHBOUR_SHARES = b"shares for neighbours"
    MERKLE_LEAF = b"merkle leaf"
    MERKLE_NODE = b"merkle node"
    RECEIVED = b"what a site received"
    PROPOSED = b"context of a proposal"
    STORED_SESSION = b"stored session"
    STORED_FILE = b"stored file"
    JOURNAL = b"server journal"
    PEERS = b"peers of a round"
    SERVICE_CALL = b"call of a service"
    AGGREGATE_COMMITMENT = b"aggregate commitment"
    AUDIT_MODEL = b"model in an audit record"
    HE_PARAMETERS = b"lattice parameters"
    HE_SESSION = b"encryption session"
    HE_TAG_KEY = b"ciphertext authentication"
    HE_AGGREGATE = b"aggregate"
    HE_AGGREGATE_TAG_KEY = b"aggregate authentication"
    HE_FLOODED_BLOCK = b"flooded block"
    HE_FLOOD = b"noise flooding"
    DELIVERY_REQUEST = b"request for a group key"
    DELIVERY_KEY = b"delivery key"
    DELIVERY_DATA = b"delivery associated data"
    DELIVERY_ANSWER = b"sealed group key"
    RING_REFERENCE = b"common reference of the ring"
    RING_SECRET = b"one-time ring key"
    RING_ERROR_SEED = b"seed of ring errors"
    RING_ERROR = b"ring errors"
    RING_SHARES = b"ring key shares"
    SHARE_CHALLENGE = b"commitment to a challenge of dealers"
    CHALLENGED_KEY_LIST = b"key list and commitment to a challenge"
    SHARE_CHECK = b"combinations of shares"


def frame(*fields: bytes | str | int) -> bytes:
    """Concatenate fields so that the result can be parsed in one way only.

    Integers take 8 bytes big-endian (0 ≤ value < 2⁶⁴), ids of participants 4 (`id_field`); text is UTF-8.
    """
    parts = []
    for field in fields:
        if isinstance(field, int):
            field = field.to_bytes(8, "big")
        elif isinstance(field, str):
            field = field.encode()
        parts.append(len(field).to_bytes(4, "big"))
        parts.append(field)
    return b"".join(parts)


def id_field(participant: int) -> bytes:
    """Return a participant's id as it stands in what is hashed, signed or derived from: 4 bytes, big-endian."""
    return participant.to_bytes(ID_BYTES, "big")


def ids_field(participants: Sequence[int]) -> bytes:
    """Return ids one after another, as `id_field` writes each."""
    return struct.pack(f">{len(participants)}I", *participants)


def separated(use: Use, *fields: bytes | str | int) -> bytes:
    """Return version ‖ use ‖ fields, unambiguously framed."""
    return _PREFIX + frame(use.value, *fields)


@lru_cache(maxsize=64)
def prefix(use: Use, session: bytes) -> bytes:
    """Return `separated(use, session)`, remembered: what is appended must have a fixed layout for the use."""
    return separated(use, session)


def digest(use: Use, *fields: bytes | str | int) -> bytes:
    """Return the 32-byte SHA-256 of the separated fields."""
    return hashlib.sha256(separated(use, *fields)).digest()
