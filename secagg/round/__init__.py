"""One round of secure aggregation, for every runtime: no framework, no socket, no clock.

`rounds.Round` is the aggregator's side, `site.Site` a participant's. What goes between them is one bytes object each
way, so a function call, a socket, a mailbox and any framework's messages all fit (tests/round/ has three of them).
"""

from .context import bound_digest, received_digest
from .drive import Exchange, drive
from .journal import kept_round
from .outcome import Outcome, Refused
from .policy import SitePolicy
from .request import Answers, Request, Requests
from .rounds import Round
from .settings import Settings, knobs_of
from .site import Site, Turn
from .store import MemoryStore, SiteStore
from .terms import CodecTerms, Proposal
from .training import Training, TrainingFailed

__all__ = [
    "Answers",
    "CodecTerms",
    "Exchange",
    "MemoryStore",
    "Outcome",
    "Proposal",
    "Refused",
    "Request",
    "Requests",
    "Round",
    "Settings",
    "Site",
    "SitePolicy",
    "SiteStore",
    "Training",
    "TrainingFailed",
    "Turn",
    "bound_digest",
    "drive",
    "kept_round",
    "knobs_of",
    "received_digest",
]
