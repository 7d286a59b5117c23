"""Bonawitz, the whole protocol over the functions in `steps`: no machines, no envelopes, nobody who cheats.

Over a sparse graph it is SecAggPlus. What is signed against an active server are envelopes, so signatures come from
outside (`Signing`), and nobody verifies them here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from ..core.context import RoundContext
from ..core.identity import Roster
from ..core.noise import with_noise
from ..core.step import Step
from ..core.wire import Message, encode
from ..dealing import steps as dealing
from ..dealing.messages import KeyEntry, SealedShares, ShareKeys, SurvivorList
from ..dealing.run import Cast, Sent, Wire, nobody_verifies
from ..errors import SERVER
from ..packing.blocks import BlockSum
from ..packing.sums import Output
from . import noise, steps
from .evidence import recovery_of
from .messages import AdvertiseKeys
from .params import Bonawitz


@dataclass(frozen=True, slots=True)
class Signing:
    """How messages are signed: not, unless the adversary is active. sign: who, binding, message → signature."""

    roster: Roster | None = None
    sign: Callable[[int, bytes, Message], bytes] = lambda who, binding, message: b""


def run_bonawitz(
    scheme: Bonawitz, context: RoundContext, cast: Cast, signing: Signing = Signing()
) -> tuple[Output, Sent]:
    """Return the sum over those who stay until their vectors are in, and all that was sent."""
    wire = Wire(scheme.steps, cast.gone)
    address = scheme.address(context, signing.roster)

    # AdvertiseKeys: U₁ draw keys and secrets, and commit to shares. The list of keys names the session.
    u1 = wire.left(cast.vectors, Step.ADVERTISE_KEYS)
    drawn = {u: steps.advertise_keys(scheme, u, address, context, cast.randomness[u]) for u in u1}
    own = {u: secrets for u, (secrets, _) in drawn.items()}
    advertised = {u: wire(u, message) for u, (_, message) in drawn.items()}
    entries = {u: KeyEntry(u, encode(advertised[u]), signing.sign(u, address, advertised[u])) for u in u1}
    graph = scheme.draw_graph(u1, cast.randomness[SERVER])
    lists = {u: wire(u, listed) for members, listed in scheme.key_lists(graph, entries) for u in members}
    session = dealing.session_of(scheme, signing.roster, context, lists[u1[0]].digest)
    member = {u: dealing.Member(scheme, u, context, signing.roster, scheme.quorum) for u in u1}

    # ShareKeys: U₂ deal shares of the mask key and of the self-mask's seed, sealed for each peer.
    u2 = wire.left(u1, Step.SHARE_KEYS)
    check = partial(steps.check_advertised, scheme, context=context)
    read = partial(dealing.read_entry, scheme, AdvertiseKeys, check=check, verify=nobody_verifies)
    peers = {u: dealing.check_key_list(member[u], encode(advertised[u]), lists[u].entries, read) for u in u2}
    deal = {u: partial(steps.deal, scheme, session, u, own[u]) for u in u2}
    made = {u: dealing.share_keys(member[u], session, own[u].channel_secret, peers[u], deal[u]) for u in u2}
    told = {u: wire(u, ShareKeys(made[u].told, made[u].sealed)) for u in u2}

    # MaskedInput: U₃ send y_u = x_u + PRG(b_u) ± Σ PRG(s_{u,v}). The server adds.
    u3 = wire.left(u2, Step.MASKED_INPUT)
    sealed = b"".join(told[u].sealed for u in u2)
    delivered = graph.deliver(u2, sealed, scheme.sealed_bytes)
    relayed = {u: wire(u, SealedShares(seen, column)) for u, seen, column in delivered}
    masked = BlockSum(scheme.domain)
    dealt = {}
    for u in u3:
        dealt[u] = _open_shares(scheme, member[u], session, made[u], peers[u], relayed[u])
        mask_keys = {v: peers[u][v].mask_key for v in dealt[u].dealers if v != u}
        layers = steps.layer_keys(scheme, session, u, own[u])
        noised = with_noise(scheme, cast.vectors[u], cast.randomness[u], layers)
        for block in steps.masked_input(scheme, session, u, own[u], mask_keys, noised):
            masked.take(u, wire(u, block).block, block.words)

    # ConsistencyCheck, against an active server: U₄ sign that they were told these survivors.
    signers = wire.left(u3, Step.CONSISTENCY_CHECK) if scheme.active else ()
    named = {u: wire(u, SurvivorList(u3)) for u in u3 if scheme.active}
    checked = {u: wire(u, dealing.consistency_check(member[u], dealt[u], named[u])) for u in signers}
    signed = {u: signing.sign(u, session, checked[u]) for u in signers}
    u4 = signers if scheme.active else u3

    # Unmasking: U₅ open one secret of each dealer, never two. The masks that they make come off the sum.
    shown = {u: signed[u] for u in tuple(signed)[: scheme.quorum]}
    asked = dealing.unmask_requests(graph, u2, u3, u4, shown, scheme.told_absent(len(u3)))
    requests = {u: wire(u, it) for us, it in asked for u in us}
    u5 = wire.left(u4, Step.UNMASKING)
    for u in u5:
        dealing.check_unmask_request(member[u], dealt[u], requests[u], requests[u].survivors, nobody_verifies)
    opened = {u: wire(u, steps.unmasking(scheme, dealt[u], requests[u])) for u in u5}
    known = steps.Transcript(session, graph, advertised, {u: told[u].share_digests for u in u2}, u2, u3)
    secrets = steps.recover(recovery_of(scheme, address, known, cast.randomness[SERVER]), known, opened)
    return _unmask(scheme, address, known, secrets, masked), wire.sent


def _open_shares(
    scheme: Bonawitz,
    member: dealing.Member,
    session: bytes,
    made: dealing.Sealed,
    peers: Mapping[int, AdvertiseKeys],
    relayed: SealedShares,
) -> dealing.Dealt:
    """Return what a participant holds of every dealer's secrets: each share is what its dealer committed to."""
    kept = steps.kept_share(scheme, made.kept)
    accept = partial(_accept, scheme, member.participant, peers)
    return dealing.open_shares(member, session, made.channels, kept, relayed, accept)


def _unmask(
    scheme: Bonawitz, address: bytes, known: steps.Transcript, secrets: Mapping[int, bytes], masked: BlockSum
) -> Output:
    """Return the sum, once the masks that these secrets make, and noise that nobody needs, are off it. Server."""
    ends, surplus = steps.open_chains(scheme, address, known, secrets)
    steps.unmask(scheme, known, ends, masked.words)
    output = masked.output(known.survivors, Step.UNMASKING)
    noise.take_off(scheme, output, surplus)
    return output


def _accept(scheme: Bonawitz, holder: int, peers: Mapping[int, AdvertiseKeys], dealer: int, dealt: bytes) -> bytes:
    return steps.check_share(scheme, dealer, holder, peers[dealer].share_root, dealt)
