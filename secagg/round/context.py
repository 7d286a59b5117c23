"""What a round is about, as 32 bytes. There is one digest, whatever the framework: `received_digest` covers what a site
was sent, as its trainer sees it; `bound_digest` adds the proposal's own terms, and is the context of the round.

The round's number is in neither: a model asked about again must be recognised, in whatever round. It is bound beside
the digest, as part of the context.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from secagg_protocols import InputError, ProtocolViolation
from secagg_protocols.primitives.domain import Use, digest, frame

from .terms import Proposal


def received_digest(arrays: Mapping[str, NDArray[Any]], kind: str = "", settings: object = None) -> bytes:
    """Return 32 bytes over a model and its configuration: pure data, without a framework's records.

    arrays: name → values; their order counts, since trainers go by it. kind: which function trains, where there are
    several. settings: whatever else the trainer is told, as numbers, texts, bytes, lists and mappings; the order of a
    mapping does not count, 1 and 1.0 differ. Raises `InputError` for settings of another kind.
    """
    rows = []
    for name, values in arrays.items():
        data = hashlib.sha256(np.ascontiguousarray(values).data).digest()
        rows.append(frame(name, values.dtype.str, repr(values.shape), data))
    try:
        told = msgspec.msgpack.encode(settings, order="deterministic")
    except (TypeError, OverflowError, UnicodeEncodeError) as error:
        raise InputError(f"the configuration cannot be digested ({error}): send numbers, texts and lists") from None
    return digest(Use.RECEIVED, frame(*rows), kind, told)


def bound_digest(received: bytes, terms: bytes = b"", bound: Iterable[str] = ()) -> bytes:
    """Return the context digest: what was received, under these terms. See `terms.Proposal` for both."""
    return digest(Use.PROPOSED, received, terms, frame(*sorted(bound)))


def check_received(proposal: Proposal, received: bytes) -> None:
    """Participant: raise `ProtocolViolation` unless `received` is the digest of what the round is about."""
    if bound_digest(received, proposal.terms, proposal.bound) != proposal.context_digest:
        raise ProtocolViolation(
            "the model and configuration are not those of the context digest that the round was opened with: no update "
            "leaves for another model than everyone else's"
        )


class Unbound(dict[str, Any]):
    """What a trainer sees in place of settings that no digest covers, which could be others at every site: nothing, and
    a `KeyError` that says what to do. hidden: the settings. remedy: how they are bound."""

    def __init__(self, hidden: Iterable[str], remedy: str) -> None:
        super().__init__()
        self._hidden = frozenset(hidden)
        self._remedy = remedy

    def __missing__(self, key: str) -> None:
        raise KeyError(f"{key!r} is not bound into this round, so it could be another at every site: {self._remedy}")

    def get(self, key: str, default: Any = None) -> Any:
        """Return the default, but for a key that is hidden here: a trainer must not take it for unset."""
        return self[key] if key in self._hidden else default
