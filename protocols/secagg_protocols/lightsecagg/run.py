"""LightSecAgg, the whole protocol over the functions in `steps`: no machines, no envelopes, nobody who cheats."""

from __future__ import annotations

from functools import partial

from ..core.context import RoundContext
from ..core.noise import with_noise
from ..core.step import Step
from ..core.wire import encode
from ..dealing import steps as dealing
from ..dealing.graph import CompleteGraph
from ..dealing.messages import AdvertiseKeys, KeyEntry, KeyList, SealedShares
from ..dealing.run import Cast, Sent, Wire, nobody_verifies
from ..packing.blocks import Uploads
from ..packing.sums import Output
from . import steps
from .messages import ShareMasks
from .params import LightSecAgg


def run_lightsecagg(scheme: LightSecAgg, context: RoundContext, cast: Cast) -> tuple[Output, Sent]:
    """Return the sum over those who stay until their vectors are in, and all that was sent."""
    wire = Wire(scheme.steps, cast.gone)

    # AdvertiseKeys: everyone draws a channel key and the seed of its mask. The list of keys names the session.
    members = wire.left(cast.vectors, Step.ADVERTISE_KEYS)
    own = {i: dealing.make_secrets(scheme, cast.randomness[i]) for i in members}
    advertised = {i: wire(i, dealing.advertise(scheme, own[i], context, cast.randomness[i])) for i in members}
    listed = KeyList(tuple(KeyEntry(i, encode(advertised[i]), b"") for i in members))
    key_list = {i: wire(i, listed) for i in members}
    session = dealing.session_of(scheme, None, context, listed.digest)
    member = {i: dealing.Member(scheme, i, context, None, scheme.quorum) for i in members}

    # ShareMasks: everyone deals the coded shares of its mask, sealed for each of the others.
    dealers = wire.left(members, Step.SHARE_MASKS)
    check = partial(dealing.check_advertised, scheme, context=context)
    read = partial(dealing.read_entry, scheme, AdvertiseKeys, check=check, verify=nobody_verifies)
    peers = {i: dealing.check_key_list(member[i], encode(advertised[i]), key_list[i].entries, read) for i in dealers}
    deal = {i: partial(steps.deal, scheme, session, i, own[i].seed) for i in dealers}
    made = {i: dealing.share_keys(member[i], session, own[i].channel_secret, peers[i], deal[i]) for i in dealers}
    told = {i: wire(i, ShareMasks(made[i].told, made[i].sealed)) for i in dealers}

    # MaskedInput: U₁ send x~ = x + z. The server adds.
    u1 = wire.left(dealers, Step.MASKED_INPUT)
    accept = partial(steps.accept, scheme)
    delivered = steps.deliver(scheme, members, dealers, {i: told[i].sealed for i in dealers})
    relayed = {j: wire(j, SealedShares(dealers, memoryview(b"".join(pieces)))) for j, _, pieces in delivered}
    masked = Uploads(scheme.packing)
    dealt = {}
    for i in u1:
        kept = accept(i, made[i].kept)
        dealt[i] = dealing.open_shares(member[i], session, made[i].channels, kept, relayed[i], accept)
        noised = with_noise(scheme, cast.vectors[i], cast.randomness[i])
        for block in steps.masked_input(scheme, session, i, own[i].seed, noised):
            masked.take(i, wire(i, block).block, block.words)

    # Unmasking: whoever is left opens the sum of its shares of U₁'s masks. Any U of them give Σ z, which comes off.
    asked = dealing.unmask_requests(CompleteGraph(members), dealers, u1, u1, {})
    requests = {j: wire(j, request) for holders, request in asked for j in holders}
    left = wire.left(u1, Step.UNMASKING)
    for j in left:
        dealing.check_unmask_request(member[j], dealt[j], requests[j], (), nobody_verifies)
    opened = {j: wire(j, steps.unmasking(scheme, dealt[j].shares, requests[j].survivors)) for j in left}
    sums = {j: scheme.packing.from_bytes(opened[j].share) for j in left}
    return steps.recover(scheme, masked.words, u1, sums), wire.sent
