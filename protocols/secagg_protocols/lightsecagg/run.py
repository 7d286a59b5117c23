"""LightSecAgg, the whole protocol over the functions in `steps`: no machines, no envelopes, nobody who cheats."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.context import RoundContext
from ..core.step import Step
from ..core.wire import encode
from ..dealing import steps as dealing
from ..dealing.graph import CompleteGraph
from ..dealing.messages import AdvertiseKeys, KeyEntry, KeyList, SealedShares
from ..dealing.run import Sent, Wire
from ..packing.blocks import Uploads
from ..packing.sums import Output
from ..primitives.randomness import Randomness
from . import steps
from .messages import ShareMasks
from .params import LightSecAgg


def run_lightsecagg(
    scheme: LightSecAgg,
    context: RoundContext,
    vectors: Mapping[int, NDArray[np.integer[Any]]],
    randomness: Mapping[int, Randomness],
    gone: Mapping[int, Step],
) -> tuple[Output, Sent]:
    """Return the sum over those who stay until their vectors are in, and all that was sent.

    vectors, randomness: everyone's. gone: participant → the first step that it does not answer.
    """
    wire = Wire(scheme.steps, gone)
    own, made, dealt, opened = {}, {}, {}, {}
    advertised: dict[int, AdvertiseKeys] = {}

    # AdvertiseKeys: a channel key, and the seed of a mask. The list of keys names the session.
    for i in vectors:
        if wire.answers(i, Step.ADVERTISE_KEYS):
            own[i] = dealing.make_secrets(scheme, randomness[i])
            advertised[i] = wire(i, dealing.advertise(scheme, own[i], context, randomness[i]))
    members = tuple(advertised)
    key_list = KeyList(tuple(KeyEntry(i, encode(advertised[i]), b"") for i in members))
    session = dealing.session_of(scheme, None, context, key_list.digest)
    member = {i: dealing.Member(scheme, i, context, None, scheme.quorum) for i in members}

    # ShareMasks: everyone deals the coded shares of its mask, sealed for each of the others.
    check = partial(dealing.check_advertised, scheme, context=context)
    read = partial(dealing.read_entry, scheme, AdvertiseKeys, check=check, verify=lambda *signed: None)
    for i in members:
        entries = wire(i, key_list).entries
        if wire.answers(i, Step.SHARE_MASKS):
            peers = dealing.check_key_list(member[i], encode(advertised[i]), entries, read)
            deal = partial(steps.deal, scheme, session, i, own[i].seed)
            made[i] = dealing.share_keys(member[i], session, own[i].channel_secret, peers, deal)
            wire(i, ShareMasks(made[i].told, made[i].sealed))

    # MaskedInput: x~ = x + z. The server adds.
    accept, masked = partial(steps.accept, scheme), Uploads(scheme.packing)
    for i, _, pieces in steps.deliver(scheme, members, tuple(made), {j: it.sealed for j, it in made.items()}):
        relayed = wire(i, SealedShares(tuple(made), memoryview(b"".join(pieces))))
        if wire.answers(i, Step.MASKED_INPUT):
            kept = accept(i, made[i].kept)
            dealt[i] = dealing.open_shares(member[i], session, made[i].channels, kept, relayed, accept)
            for block in steps.masked_input(scheme, session, i, own[i].seed, vectors[i]):
                masked.take(i, wire(i, block).block, block.words)
    survivors = tuple(dealt)

    # Unmasking: who is left opens the sum of its shares of the survivors' masks. Any U of them give the masks' sum.
    graph = CompleteGraph(members)
    for holders, request in dealing.unmask_requests(graph, tuple(made), survivors, survivors, {}):
        for j in holders:
            wire(j, request)
            if wire.answers(j, Step.UNMASKING):
                dealing.check_unmask_request(member[j], dealt[j], request, (), lambda *signed: None)
                opened[j] = wire(j, steps.unmasking(scheme, dealt[j].shares, request.survivors))
    sums = {j: scheme.packing.from_bytes(it.share) for j, it in opened.items()}
    return steps.recover(scheme, masked.words, survivors, sums), wire.sent
