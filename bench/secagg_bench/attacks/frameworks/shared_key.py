"""FLARE's homomorphic encryption: all sites hold one key, so each opens what any other sends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from secagg.extras import needed
from secagg.schemes import SCHEMES

from ...peers.task import Task
from ..attack import Effort, Finding, Metric
from ..defence import Defence
from ..protocol.base import KNOWN, VICTIM, by_guessing, known
from ..protocol.schemes import has_own_keys, scheme_of
from .shipped import FLARE, OnFramework, silent

OTHER = 2
ROUND = Task(clients=5, length=200, dropped=0, neighbours=4, threshold=3)
NEAR = 1e-6
"""Up to which a value is known; updates are float32."""


class FlareSharedKey(OnFramework):
    """One site's update, opened with another site's key."""

    name: ClassVar[str] = "flare-shared-key"
    title: ClassVar[str] = "One site's update, opened by another site under FLARE's homomorphic encryption"
    source: ClassVar[str] = "NVIDIA FLARE's HEBuilder: all clients are provisioned with one context, its key in it"
    adversary: ClassVar[str] = "the server and one site: the one has what every site sent, the other has the key"
    metric: ClassVar[Metric] = KNOWN
    framework: ClassVar[tuple[str, str]] = FLARE
    part: ClassVar[str] = "homomorphic encryption"

    def no_view(self, defence: Defence) -> str:
        if defence.scheme is None:
            return "nothing is encrypted: the server sees the update"
        if has_own_keys(defence) and "mask_keys" not in SCHEMES[defence.scheme].traits.opens:
            return "no site holds a key of another's: it has one share of each secret"
        return ""

    def view(self, defence: Defence) -> str:
        return defence.title if defence.broken else f"server and one site, {defence.scheme}, {defence.adversary}"

    def held_by(self, defence: Defence) -> bool:
        return has_own_keys(defence)

    def run(self, defence: Defence, seed: int, effort: Effort) -> Finding:
        if not defence.broken:
            return ours(defence, seed)
        with needed("he"):
            import tenseal  # noqa: F401  (FLARE needs it, and does not bring it)
        with needed("flare"):
            from . import flare_he
        task = replace(ROUND, seed=seed)
        with silent(seed):
            learnt = flare_he.opened_by_another(task, VICTIM, OTHER)
        truth = task.update(VICTIM)
        share, guessed = (float(np.mean(np.abs(said - truth) < NEAR)) for said in (learnt, task.update(OTHER)))
        return Finding(share, guessed)


def ours(defence: Defence, seed: int) -> Finding:
    """Return what the server and one site learn of another's vector in a round of ours."""
    from secagg.conformance import attack, hostile
    from secagg.conformance.driver import vectors_for

    scheme = scheme_of(defence, ROUND.clients, ROUND.length, {})
    vectors = vectors_for(scheme, seed)
    if has_own_keys(defence):
        bench = hostile.Attack(scheme, vectors=vectors).run()
        bench.hand_over(OTHER)
        learnt = bench.expose(VICTIM)
    else:
        learnt = opened(attack.Attack(scheme, vectors=vectors).run(until=scheme.upload_step.value))
    return Finding(known(vectors[VICTIM], learnt), by_guessing(scheme))


def opened(bench: Any) -> Any:
    """Return the victim's vector: the server makes an aggregate of its ciphertexts alone, and the site opens it."""
    from secagg_he.single_key import steps

    scheme = bench.scheme
    sealer = bench.server._sealer
    message = bench.server.open(bench.sent[scheme.upload_step.value][VICTIM])
    first, seeds = steps.open_upload(scheme, sealer, VICTIM, message)
    second = steps.expand_seconds(scheme.parameters, [bytes(seeds)], 0, scheme.ciphertexts)
    blocks = steps.aggregate_blocks(scheme, first, second)
    site = steps.Holder(OTHER, bench.keys[0], sealer)
    values = [
        bytes(steps.open_block(scheme, site, (VICTIM,), number, memoryview(block)))
        for number, block in enumerate(blocks)
    ]
    alone = steps.sum_in(scheme.packing, b"".join(values), (VICTIM,))
    return None if alone is None else alone.total
