"""Secure aggregation protocols as sans-IO machines: envelopes in, envelopes out.

A scheme is a frozen value (`Bonawitz(participants=10, length=1000)`); it makes clients and servers.
"""

from .bonawitz import Bonawitz
from .durable import DurableClient, SnapshotStore
from .durable_server import DurableServer
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
from .guarantee import Adversary, Coalition, Guarantee, Keys, Traits
from .identity import Identity, PublicIdentity, Roster
from .ledger import ContributionLedger, MemoryLedger
from .lightsecagg import LightSecAgg
from .machine import Client, Dropout, Server
from .plain import Plain
from .randomness import SYSTEM, InsecureDeterministicRandomness, Randomness
from .recovery import Correction
from .scheme import Domain, MeasuredRound, Output, Policy, RoundContext, RoundView, Scheme, Step
from .secaggplus import SecAggPlus
from .wire import Envelope
from .work import Work

SCHEMES = (Plain, Bonawitz, SecAggPlus, LightSecAgg)
"""The schemes of this package."""

__all__ = [
    "SCHEMES",
    "SERVER",
    "SYSTEM",
    "Adversary",
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
]
