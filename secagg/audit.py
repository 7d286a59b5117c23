"""The audit trail, by the name under which programs know it; it lives in `secagg.round.audit`."""

from secagg.round.audit import (
    GENESIS,
    AuditError,
    AuditLine,
    AuditLog,
    AuditRecord,
    commit,
    describe,
    new_salt,
    opens,
    verify,
)

__all__ = [
    "GENESIS",
    "AuditError",
    "AuditLine",
    "AuditLog",
    "AuditRecord",
    "commit",
    "describe",
    "new_salt",
    "opens",
    "verify",
]
