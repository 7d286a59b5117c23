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
from .identity import Identity, PublicIdentity, Roster
from .ledger import ContributionLedger, MemoryLedger
from .lightsecagg import LightSecAgg
from .machine import Client, Dropout, Server
from .plain import Plain
from .randomness import SYSTEM, InsecureDeterministicRandomness, Randomness
from .recovery import Correction
from .scheme import Adversary, Domain, Output, Policy, RoundContext, Scheme, Step
from .secaggplus import SecAggPlus
from .wire import Envelope

__all__ = [
    "SERVER",
    "SYSTEM",
    "Adversary",
    "AuthenticationError",
    "Bonawitz",
    "Client",
    "ContributionLedger",
    "Correction",
    "Domain",
    "Dropout",
    "DurableClient",
    "DurableServer",
    "Envelope",
    "Identity",
    "InputError",
    "InsecureDeterministicRandomness",
    "LateMessage",
    "LightSecAgg",
    "LocalError",
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
    "Scheme",
    "SecAggError",
    "SecAggPlus",
    "Server",
    "SnapshotStore",
    "StateError",
    "Step",
    "WireError",
    "WorkerLost",
]
