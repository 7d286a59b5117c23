"""What a round of Bonawitz cannot avoid: agreements, mask keystream and, against an active server, signatures."""

from __future__ import annotations

from dataclasses import replace

from ..core.step import Step
from ..core.work import MeasuredRound, Work
from ..dealing import Dealing


def work(scheme: Dealing, run: MeasuredRound) -> tuple[Work, Work]:
    """Return the work of one surviving client and of the server, counted from what happened."""
    mask_bytes = 8 * scheme.domain.lanes.words
    answered = {step: len(run.answered.get(step, ())) for step in Step}
    members, dealers, survivors = (answered[step] for step in (Step.ADVERTISE_KEYS, Step.SHARE_KEYS, Step.MASKED_INPUT))
    vanished = dealers - survivors
    reach = scheme.reach(members)
    edges = vanished * survivors * (reach - 1) / (members - 1) if members > 1 else 0
    partners = (reach - 1) * (dealers - 1) / (members - 1) if members > 1 else 0
    client = Work(reach - 1 + partners, (1 + partners) * mask_bytes)
    server = Work(edges, (survivors + edges) * mask_bytes)
    if not scheme.active:
        return client, server
    sealed = dealers * (dealers - 1) * scheme.sealed_bytes
    blocks = -(-scheme.domain.lanes.size // (1 << 20))
    sent = 3 + blocks  # AdvertiseKeys, ShareKeys, each block, ConsistencyCheck; Unmasking is the one more
    heard = 4  # KeyList, SealedShares, SurvivorList, UnmaskRequest
    traffic = [
        run.bytes_sent.get(party, 0) + run.bytes_received.get(party, 0) for party in run.answered[Step.ADVERTISE_KEYS]
    ]
    return (
        replace(
            client,
            signed=sent + 1,
            verified=heard + members - 1 + scheme.quorum,
            hashed_bytes=sum(traffic) / members,
        ),
        replace(
            server,
            signed=dealers + 3,  # SealedShares to each; KeyList, SurvivorList and UnmaskRequest to all
            verified=members
            + dealers
            + survivors * blocks
            + answered[Step.CONSISTENCY_CHECK]
            + answered[Step.UNMASKING],
            hashed_bytes=sum(run.bytes_sent.values()) + sealed,
        ),
    )
