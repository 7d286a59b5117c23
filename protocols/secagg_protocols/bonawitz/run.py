"""Bonawitz, the whole protocol over the functions in `steps`: no machines, no envelopes, nobody who cheats.

Over a sparse graph it is SecAggPlus. What is signed against an active server are envelopes, so signatures come from
outside (`Signing`), and nobody verifies them here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..core.context import RoundContext
from ..core.identity import Roster
from ..core.step import Step
from ..core.wire import Message, encode
from ..dealing import steps as dealing
from ..dealing.messages import KeyEntry, SealedShares, ShareKeys, SurvivorList
from ..dealing.run import Sent
from ..errors import SERVER
from ..packing.blocks import BlockSum
from ..packing.sums import Output
from ..primitives.randomness import Randomness
from . import steps
from .evidence import recovery_of
from .messages import AdvertiseKeys
from .params import Bonawitz

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Signing:
    """How messages are signed: not, unless the adversary is active. sign: who, binding, message → signature."""

    roster: Roster | None = None
    sign: Callable[[int, bytes, Message], bytes] = lambda who, binding, message: b""


@dataclass(frozen=True, slots=True)
class _Wire:
    """What was sent, and who is still there to answer. gone: participant → the first step that it does not answer."""

    steps: tuple[Step, ...]
    gone: Mapping[int, Step]
    sent: dict[str, dict[int, list[Message]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))

    def __call__(self, who: int, message: M) -> M:
        self.sent[type(message).__name__][who].append(message)
        return message

    def answers(self, who: int, step: Step) -> bool:
        return who not in self.gone or self.steps.index(step) < self.steps.index(self.gone[who])


def run_bonawitz(
    scheme: Bonawitz,
    context: RoundContext,
    vectors: Mapping[int, NDArray[np.integer[Any]]],
    randomness: Mapping[int, Randomness],
    gone: Mapping[int, Step],
    signing: Signing = Signing(),
) -> tuple[Output, Sent]:
    """Return the sum over those who stay until their vectors are in, and all that was sent.

    vectors: everyone's. randomness: everyone's, and the server's (0). gone: participant → the first step that it does
    not answer.
    """
    wire, address = _Wire(scheme.steps, gone), scheme.address(context, signing.roster)
    own, peers, made, dealt, signatures, opened = {}, {}, {}, {}, {}, {}
    advertised: dict[int, AdvertiseKeys] = {}

    # AdvertiseKeys: keys and secrets are drawn, shares are committed to. The list of keys names the session.
    for u in vectors:
        if wire.answers(u, Step.ADVERTISE_KEYS):
            own[u], advertised[u] = steps.advertise_keys(scheme, u, address, context, randomness[u])
            wire(u, advertised[u])
    entries = {u: KeyEntry(u, encode(it), signing.sign(u, address, it)) for u, it in advertised.items()}
    graph = scheme.draw_graph(tuple(entries), randomness[SERVER])
    lists = {u: wire(u, listed) for members, listed in scheme.key_lists(graph, entries) for u in members}
    session = dealing.session_of(scheme, signing.roster, context, next(iter(lists.values())).digest)
    member = {u: dealing.Member(scheme, u, context, signing.roster, scheme.quorum) for u in lists}

    # ShareKeys: each deals shares of its mask key and of its self-mask's seed, sealed for each of its peers.
    check = partial(steps.check_advertised, scheme, context=context)
    read = partial(dealing.read_entry, scheme, AdvertiseKeys, check=check, verify=lambda *signed: None)
    for u, listed in lists.items():
        if wire.answers(u, Step.SHARE_KEYS):
            peers[u] = dealing.check_key_list(member[u], encode(advertised[u]), listed.entries, read)
            deal = partial(steps.deal, scheme, session, u, own[u])
            made[u] = dealing.share_keys(member[u], session, own[u].channel_secret, peers[u], deal)
            wire(u, ShareKeys(made[u].told, made[u].sealed))
    dealers, sealed = tuple(made), b"".join(it.sealed for it in made.values())

    # MaskedInput: y_u = x_u + PRG(b_u) ± Σ PRG(s_{u,v}). The server adds.
    masked = BlockSum(scheme.domain)
    for u, seen, column in graph.deliver(dealers, sealed, scheme.sealed_bytes):
        relayed = wire(u, SealedShares(seen, column))
        if wire.answers(u, Step.MASKED_INPUT):
            kept, accept = steps.kept_share(scheme, made[u].kept), partial(_accept, scheme, u, peers[u])
            dealt[u] = dealing.open_shares(member[u], session, made[u].channels, kept, relayed, accept)
            mask_keys = {v: peers[u][v].mask_key for v in seen if v != u}
            for block in steps.masked_input(scheme, session, u, own[u], mask_keys, vectors[u]):
                masked.take(u, wire(u, block).block, block.words)
    survivors = asked = tuple(dealt)

    # ConsistencyCheck, against an active server: each signs that it was told these survivors.
    if scheme.active:
        for u in survivors:
            told = wire(u, SurvivorList(survivors))
            if wire.answers(u, Step.CONSISTENCY_CHECK):
                signed = wire(u, dealing.consistency_check(member[u], dealt[u], told))
                signatures[u] = signing.sign(u, session, signed)
        asked = tuple(signatures)
    shown = {u: signatures[u] for u in asked[: scheme.quorum] if scheme.active}

    # Unmasking: of each dealer one secret is opened, never two. The masks that they make come off the sum.
    for holders, request in dealing.unmask_requests(graph, dealers, survivors, asked, shown):
        for u in holders:
            wire(u, request)
            if wire.answers(u, Step.UNMASKING):
                dealing.check_unmask_request(member[u], dealt[u], request, request.survivors, lambda *signed: None)
                opened[u] = wire(u, steps.unmasking(scheme, dealt[u], request))
    known = steps.Transcript(session, graph, advertised, {u: it.told for u, it in made.items()}, dealers, survivors)
    secrets = steps.recover(recovery_of(scheme, address, known, randomness[SERVER]), known, opened)
    steps.unmask(scheme, known, secrets, masked.words)
    return masked.output(survivors, Step.UNMASKING), wire.sent


def _accept(scheme: Bonawitz, holder: int, peers: Mapping[int, AdvertiseKeys], dealer: int, dealt: bytes) -> bytes:
    return steps.check_share(scheme, dealer, holder, peers[dealer].share_root, dealt)
