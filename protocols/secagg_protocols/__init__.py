"""Secure aggregation protocols as sans-IO machines: envelopes in, envelopes out.

A scheme is a frozen value (`Bonawitz(participants=10, length=1000)`); it makes clients and servers.
"""

from .bonawitz import Bonawitz
from .core.client import Client
from .core.context import RoundContext
from .core.durable_client import DurableClient
from .core.durable_server import DurableServer
from .core.guarantee import Adversary, Coalition, Guarantee, Keys, RoundView, Traits
from .core.identity import Identity, PublicIdentity, Roster
from .core.ledger import ContributionLedger, MemoryLedger
from .core.party import Aggregator, Participant, Workers
from .core.policy import Policy
from .core.scheme import Scheme
from .core.server import Dropout, Server
from .core.snapshots import SnapshotStore
from .core.step import Step
from .core.wire import Envelope
from .core.work import MeasuredRound, Work
from .errors import (
    SERVER,
    AuthenticationError,
    InputError,
    LateMessage,
    LocalError,
    ParameterError,
    ProtocolViolation,
    RemoteError,
    RepeatedContext,
    RoundFailed,
    SecAggError,
    StateError,
    WireError,
    WorkerLost,
)
from .lightsecagg import LightSecAgg
from .packing.sums import Domain, Output
from .plain import Plain
from .primitives.randomness import SYSTEM, InsecureDeterministicRandomness, Randomness
from .primitives.recovery import Correction
from .secaggplus import SecAggPlus

SCHEMES = (Plain, Bonawitz, SecAggPlus, LightSecAgg)
"""The schemes of this package."""

__all__ = [
    "SCHEMES",
    "SERVER",
    "SYSTEM",
    "Adversary",
    "Aggregator",
    "AuthenticationError",
    "Bonawitz",
    "Client",
    "Coalition",
    "ContributionLedger",
    "Correction",
    "Domain",
    "Dropout",
    "DurableClient",
    "DurableServer",
    "Envelope",
    "Guarantee",
    "Identity",
    "InputError",
    "InsecureDeterministicRandomness",
    "Keys",
    "LateMessage",
    "LightSecAgg",
    "LocalError",
    "MeasuredRound",
    "MemoryLedger",
    "Output",
    "ParameterError",
    "Participant",
    "Plain",
    "Policy",
    "ProtocolViolation",
    "PublicIdentity",
    "Randomness",
    "RemoteError",
    "RepeatedContext",
    "Roster",
    "RoundContext",
    "RoundFailed",
    "RoundView",
    "Scheme",
    "SecAggError",
    "SecAggPlus",
    "Server",
    "SnapshotStore",
    "StateError",
    "Step",
    "Traits",
    "WireError",
    "Work",
    "WorkerLost",
    "Workers",
]
