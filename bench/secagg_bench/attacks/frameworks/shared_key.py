"""FLARE's homomorphic encryption: all sites hold one key, so each opens what any other sends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from secagg.extras import needed
from secagg.schemes import SCHEMES, make_scheme
from secagg_protocols import Keys

from ...peers.task import Task
from ..attack import Effort, Finding, Metric
from ..defence import Defence
from .shipped import FLARE, OnFramework, silent

VICTIM = 1
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
    metric: ClassVar[Metric] = Metric("share of the site's values learnt", success=0.5)
    framework: ClassVar[tuple[str, str]] = FLARE
    part: ClassVar[str] = "homomorphic encryption"

    def no_view(self, defence: Defence) -> str:
        if defence.scheme is None:
            return "nothing is encrypted: the server sees the update"
        traits = SCHEMES[defence.scheme].traits
        if traits.keys != Keys.GROUP and "mask_keys" not in traits.opens:
            return "no site holds a key of another's: it has one share of each secret"
        return ""

    def view(self, defence: Defence) -> str:
        return defence.title if defence.broken else f"server and one site, {defence.scheme}, {defence.adversary}"

    def held_by(self, defence: Defence) -> bool:
        return defence.scheme is not None and SCHEMES[defence.scheme].traits.keys != Keys.GROUP

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
        known, guessed = (float(np.mean(np.abs(said - truth) < NEAR)) for said in (learnt, task.update(OTHER)))
        return Finding(known, guessed)


def ours(defence: Defence, seed: int) -> Finding:
    """Return what the server and one site learn of another's vector in a round of ours."""
    with needed("conformance"):
        import pytest  # noqa: F401  (the bench is a part of the suite)

        from secagg.conformance import attack, hostile
    assert defence.scheme is not None
    scheme = make_scheme(defence.scheme, ROUND.clients, ROUND.length, adversary=defence.adversary)
    rng = np.random.default_rng(seed)
    vectors = {
        who: rng.integers(0, scheme.domain.largest, ROUND.length, dtype=np.uint64)
        for who in range(1, ROUND.clients + 1)
    }
    if scheme.traits.keys == Keys.GROUP:
        learnt = opened(attack.Attack(scheme, vectors=vectors).run(until=scheme.upload_step.value))
    else:
        bench = hostile.Attack(scheme, vectors=vectors).run()
        bench.hand_over(OTHER)
        learnt = bench.expose(VICTIM)
    known = 0.0 if learnt is None else float(np.mean(learnt == vectors[VICTIM]))
    return Finding(known, 1 / scheme.domain.largest)


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
