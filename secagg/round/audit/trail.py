"""The audit trail: a signed log of what was computed (`secagg.chained`), for whoever asks afterwards.

Whether records were cut off its end the peers can tell: compare the log with theirs (`compare`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from secagg.chained import AuditLine, Form, SignedLog, verified
from secagg_protocols.primitives.domain import Use, separated

from .record import check_record


def _signed(line: str) -> bytes:
    return separated(Use.AUDIT_SIGNATURE, line)


TRAIL = Form("an audit log", _signed, check_record)


class AuditLog(SignedLog):
    """A `SignedLog` of `AuditRecord`s."""

    form: ClassVar[Form] = TRAIL


def verify(path: Path | str, public_key: bytes, ciphersuite: str = "x25519") -> Iterator[AuditLine]:
    """Yield each record of a trail, once its signature and its place in the chain are checked.

    Raises what `chained.verified` raises.
    """
    return verified(path, TRAIL, public_key, ciphersuite)
