"""Masks of little entropy: whoever draws as a participant drew has its keys, and takes every mask off its vector."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from secagg_he.single_key import steps as single_key
from secagg_he.single_key.packing import from_plaintexts
from secagg_protocols import (
    SYSTEM,
    Client,
    Envelope,
    InsecureDeterministicRandomness,
    Keys,
    MemoryLedger,
    Randomness,
    Scheme,
)

from ..attack import Attack, Effort, Finding, Metric
from ..defence import Defence
from .schemes import scheme_of
from .uploads import ciphertexts_of, read, upload_of

PARTICIPANTS = 5
LENGTH = 60
VICTIM = 2
TRIED = 128
"""Seeds that the attacker tries: of a clock that counts seconds, some two minutes."""
CLOCK = "all that is drawn follows from the second in which the round began"


class WeakMasks(Attack):
    """One participant's vector, by trying the seeds that its masks may follow from."""

    name: ClassVar[str] = "weak-masks"
    title: ClassVar[str] = "One participant's vector, by trying the seeds of its masks"
    source: ClassVar[str] = "Goldberg, Wagner, Randomness and the Netscape Browser, 1996: keys drawn from a clock"
    adversary: ClassVar[str] = (
        f"the server, curious: tries {TRIED} seeds, and compares what such a participant would advertise"
    )
    metric: ClassVar[Metric] = Metric("share of the participant's values learnt", success=0.5)

    def no_view(self, defence: Defence) -> str:
        return "nothing is masked: the server sees the vector" if defence.scheme is None else ""

    def view(self, defence: Defence) -> str:
        return (
            f"keys and uploads, {defence.scheme}, {defence.adversary}{', ' + defence.broken if defence.broken else ''}"
        )

    def held_by(self, defence: Defence) -> bool:
        return defence.scheme is not None

    def weak(self) -> Defence:
        return Defence("drawn-from-a-clock", "secure sum, bonawitz", "bonawitz", broken=CLOCK)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        from secagg.conformance.driver import Rehearsal, vectors_for

        began = int(np.random.default_rng(seed).integers(TRIED))
        by_clock = defence.broken == CLOCK
        randomness: Any = InsecureDeterministicRandomness(began) if by_clock else SYSTEM
        scheme = scheme_of(replace(defence, broken="") if by_clock else defence, PARTICIPANTS, LENGTH, {})
        vectors = vectors_for(scheme, seed)
        running = Rehearsal(scheme, vectors=vectors, randomness=randomness)
        hidden = upload_of(running, VICTIM, vectors[VICTIM])
        by_key = scheme.traits.keys == Keys.GROUP
        known = (_with_a_key if by_key else _with_masks)(running, vectors[VICTIM])
        return Finding(known, hidden.by_chance, note=f"{TRIED} seeds tried")


def _guesses() -> Iterator[InsecureDeterministicRandomness]:
    return (InsecureDeterministicRandomness(second) for second in range(TRIED))


# --- masks of a participant's own


def _with_masks(running: Any, vector: NDArray[Any]) -> float:
    """Return the share of words that are bare once a participant who drew the same has masked zeros."""
    kind = running.scheme.upload_step.value
    told = running.parse(running.sent[VICTIM, running.scheme.steps[0].value]).payload
    for randomness in _guesses():
        client = _drawing(running, randomness.fork(f"party {VICTIM}"))
        (advertised,) = client.start()
        if bytes(advertised.payload) == bytes(told):
            masked = read(running, running.parse(running.sent[VICTIM, kind]), vector)
            zeros = np.zeros_like(vector)
            return masked.learnt_beside(read(running, _uploaded(running, client, zeros), zeros))
    return 0.0


def _drawing(running: Any, randomness: Randomness) -> Client:
    """Return the victim's machine as it would be with these draws.

    It signs with the victim's key, as it cannot be made without; nothing that is looked at depends on that.
    """
    scheme: Scheme = running.scheme
    party = replace(running.party(VICTIM), randomness=randomness, ledger=MemoryLedger())
    return scheme.client(VICTIM, running.contexts[VICTIM], party)


def _uploaded(running: Any, client: Client, vector: NDArray[Any]) -> Envelope:
    """Tell a machine what the victim was told; return what it uploads of this vector."""
    for (who, _), data in running.heard.items():
        if who == VICTIM:
            client.receive(running.parse(data))
        if client.awaits_vector:
            return client.contribute(vector)[0]
    raise AssertionError("the victim was asked for its vector")


# --- a key of the group's


def _with_a_key(running: Any, vector: NDArray[Any]) -> float:
    """Return the share of words that a key which was drawn in the same way decrypts."""
    scheme = running.scheme
    parameters = scheme.parameters
    for randomness in _guesses():
        key, handle = scheme.make_group_key(randomness)
        if handle.key_id == running.group_key.key_id:
            upload = running.server.open(running.parse(running.sent[VICTIM, scheme.upload_step.value]))
            first, seeds = ciphertexts_of(running, VICTIM, upload)
            second = single_key.expand_seconds(parameters, [bytes(seeds)], 0, len(first))
            plaintexts = single_key._decrypt(parameters, key.for_release(parameters.degree), first, second, 0)
            words = from_plaintexts(parameters, plaintexts, scheme.packing.limit(1)).reshape(-1)
            return float(np.mean(words == scheme.packing.words_of(vector)))
    return 0.0
