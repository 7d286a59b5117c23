"""PySyft: secure statistics over datasites, as requests that their owners approve.

Raises `MissingExtra`, or `ParameterError` for a version that was not tested.
"""

from secagg.extras import check_version, needed

with needed("syft"):
    check_version("syft", "syft", tested="0.10.0")
    check_version("syft", "syft-rds", tested="0.6.1")

from secagg.round.mailed import Status
from secagg.round.own_training import Training

from .owner import Owner, Pending
from .policy import Policy
from .run import Run, TrainingRun, resume, submit_averaging, submit_secure_sum

__all__ = [
    "Owner",
    "Pending",
    "Policy",
    "Run",
    "Status",
    "Training",
    "TrainingRun",
    "resume",
    "submit_averaging",
    "submit_secure_sum",
]
