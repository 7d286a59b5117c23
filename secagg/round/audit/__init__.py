"""What every party writes down of every round, from what it saw itself; and how such logs are held against each other.

`record` says what is written, `trail` how a file of it holds together, `keeping` who writes when (`simulated`: of
parties that are all in one process), `compare` what the logs of several parties must agree on.
"""

from secagg.chained import GENESIS, AuditError, AuditLine, ChainError

from .compare import Difference, Log, compare
from .keeping import ServerTrail, SiteTrail
from .record import (
    AuditRecord,
    Seen,
    Stage,
    Stamp,
    commit,
    describe,
    model_digest,
    new_salt,
    opens,
    record_of,
)
from .simulated import SimulatedTrails
from .trail import AuditLog, verify

__all__ = [
    "GENESIS",
    "AuditError",
    "AuditLine",
    "AuditLog",
    "AuditRecord",
    "ChainError",
    "Difference",
    "Log",
    "Seen",
    "ServerTrail",
    "SimulatedTrails",
    "SiteTrail",
    "Stage",
    "Stamp",
    "commit",
    "compare",
    "describe",
    "model_digest",
    "new_salt",
    "opens",
    "record_of",
    "verify",
]
