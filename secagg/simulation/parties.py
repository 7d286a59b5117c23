"""Who takes part in a simulated round, and with what: machines, identities, inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray

from secagg_protocols import (
    SERVER,
    SYSTEM,
    Aggregator,
    Client,
    ContributionLedger,
    Identity,
    InputError,
    InsecureDeterministicRandomness,
    MemoryLedger,
    ParameterError,
    Participant,
    Policy,
    Randomness,
    Roster,
    RoundContext,
    Scheme,
    Server,
    Step,
    Workers,
)

from .script import Misbehaviour, unknown

Vector: TypeAlias = NDArray[np.generic]
Inputs: TypeAlias = Sequence[Vector] | Mapping[int, Vector] | Callable[[int], Vector]
Progress: TypeAlias = Callable[[int, int, str], None]

CONTEXT = RoundContext("simulation", 1, bytes(32))


class Options(TypedDict, total=False):
    """What else a simulated round may be told; `simulate` says what each is, and what holds where it is not given."""

    drop: Mapping[int, Step | str] | None
    misbehave: Mapping[int, Misbehaviour] | None
    context: RoundContext | None
    policy: Policy
    randomness: Randomness
    ledgers: Mapping[int, ContributionLedger] | None
    group_key: tuple[object, object] | None
    executor: Executor | None
    parts: int
    progress: Progress | None


def check_known(options: Options) -> None:
    """Raise `TypeError` for an option that there is not."""
    if strange := sorted(options.keys() - Options.__annotations__.keys()):
        raise TypeError(f"a simulation has no option {strange[0]!r}; they are {', '.join(Options.__annotations__)}")


@dataclass(frozen=True)
class Parties:
    """The machines of a round. clients: by participant."""

    server: Server
    clients: Mapping[int, Client]


def make_parties(scheme: Scheme, options: Options) -> Parties:
    """Make all machines of one round, and whatever they need that is not given."""
    context = options.get("context") or CONTEXT
    randomness = options.get("randomness", SYSTEM)
    policy = options.get("policy", Policy())
    ledgers = options.get("ledgers") or {}
    if strange := unknown(ledgers, range(1, scheme.participants + 1)):
        raise ParameterError(f"ledgers: {strange} is not between 1 and {scheme.participants}")
    identities, roster = make_identities(scheme, randomness)
    group_key = options.get("group_key") or scheme.make_group_key(stream_of(randomness, "group key"))
    participants_key, servers_key = group_key or (None, None)
    workers = Workers(options.get("executor"), options.get("parts", 1))
    aggregator = Aggregator(identities.get(SERVER), roster, stream_of(randomness, "server"), servers_key, workers)
    server = scheme.server(context, aggregator)
    everyone = Participant(roster=roster, policy=policy, standing=participants_key)
    clients = {}
    for participant in range(1, scheme.participants + 1):
        one = replace(
            everyone,
            identity=identities.get(participant),
            randomness=stream_of(randomness, f"participant {participant}"),
            ledger=ledgers.get(participant, MemoryLedger()),
        )
        clients[participant] = scheme.client(participant, context, one)
    return Parties(server, clients)


def make_identities(scheme: Scheme, randomness: Randomness) -> tuple[dict[int, Identity], Roster | None]:
    """Make fresh identities and a roster, where the scheme needs them."""
    if not scheme.active:
        return {}, None
    stream = stream_of(randomness, "identities")
    identities = {
        party: Identity.generate(f"party {party}", scheme.ciphersuite, stream)
        for party in range(scheme.participants + 1)
    }
    return identities, Roster.of(scheme.ciphersuite, [own.public(party) for party, own in identities.items()])


def stream_of(randomness: Randomness, party: str) -> Randomness:
    """Give every party a stream of its own when randomness is a seed, or all would draw the same keys."""
    if isinstance(randomness, InsecureDeterministicRandomness):
        return randomness.fork(party)
    return randomness


def input_of(inputs: Inputs, participants: int) -> Callable[[int], Vector]:
    """Return what gives each participant's vector. Raises `InputError` where one has none."""
    if callable(inputs):
        return inputs
    if isinstance(inputs, Mapping):
        if strange := unknown(inputs, range(1, participants + 1)):
            raise InputError(
                f"inputs for {strange}, and the scheme's participants are 1 … {participants}: leave them out, or make "
                "the scheme for more participants"
            )
        if missing := sorted(set(range(1, participants + 1)) - inputs.keys()):
            raise InputError(f"no input for participant {missing[0]}; give one for each of 1 … {participants}")
        return inputs.__getitem__
    if len(inputs) != participants:
        raise InputError(f"{len(inputs)} inputs for {participants} participants; give one each")
    return lambda participant: inputs[participant - 1]
