"""Attacks that infer something of sites or patients from what is released, and what one site does to it."""

from __future__ import annotations

from ..attack import Attack
from .canary_clients import CanaryClients
from .disaggregation import Disaggregation
from .label_prevalence import LabelPrevalence
from .lira import Lira
from .membership import Membership
from .multi_round import MultiRound
from .one_run_audit import OneRunAudit
from .one_site_coordinate import OneSiteCoordinate
from .patient_rows import PatientRows
from .poisoner import Poisoner
from .site_property import SiteProperty
from .weights import WeightDifferencing

INFERENCE: tuple[type[Attack], ...] = (
    Membership,
    Lira,
    LabelPrevalence,
    SiteProperty,
    PatientRows,
    OneSiteCoordinate,
    WeightDifferencing,
    MultiRound,
    Disaggregation,
    OneRunAudit,
    CanaryClients,
    Poisoner,
)
