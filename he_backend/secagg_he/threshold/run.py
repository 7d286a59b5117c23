"""ThresholdCkks, the whole protocol over the functions in `steps`: no machines, no envelopes, nobody who cheats.

Against a semi-honest server; what an active one is shown besides, ConsistencyCheck, is as in `run_bonawitz`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.core.context import RoundContext
from secagg_protocols.core.step import Step
from secagg_protocols.core.wire import encode
from secagg_protocols.dealing import messages
from secagg_protocols.dealing import steps as dealing
from secagg_protocols.dealing.graph import CompleteGraph
from secagg_protocols.dealing.messages import AdvertiseKeys, KeyEntry, ShareKeys
from secagg_protocols.dealing.run import Sent, Wire
from secagg_protocols.errors import SERVER
from secagg_protocols.packing.sums import Output
from secagg_protocols.primitives.randomness import Randomness

from . import encoding, steps
from .ciphertexts import CiphertextSum
from .messages import CHALLENGE_BYTES, KeyList, SealedShares
from .params import ThresholdCkks


def run_threshold_ckks(
    scheme: ThresholdCkks,
    context: RoundContext,
    vectors: Mapping[int, NDArray[np.integer[Any]]],
    randomness: Mapping[int, Randomness],
    gone: Mapping[int, Step],
) -> tuple[Output, Sent]:
    """Return the sum over those who stay until their vectors are in, and all that was sent.

    vectors: everyone's. randomness: everyone's, and the server's (0). gone: participant → the first step that it does
    not answer.
    """
    wire = Wire(scheme.steps, gone)
    own, made, dealt, opened = {}, {}, {}, {}
    advertised: dict[int, AdvertiseKeys] = {}

    # AdvertiseKeys: a channel key, and the seed of a one-time key. The list of keys names the session, and promises
    # the challenge to dealers.
    for i in vectors:
        if wire.answers(i, Step.ADVERTISE_KEYS):
            own[i] = dealing.make_secrets(scheme, randomness[i])
            advertised[i] = wire(i, dealing.advertise(scheme, own[i], context, randomness[i]))
    challenge = randomness[SERVER].bytes(CHALLENGE_BYTES)
    entries = tuple(KeyEntry(i, encode(it), b"") for i, it in advertised.items())
    key_list = KeyList(entries, steps.commit(challenge))
    session = dealing.session_of(scheme, None, context, key_list.digest)
    member = {i: dealing.Member(scheme, i, context, None, scheme.quorum) for i in advertised}

    # ShareKeys: everyone deals shares of its one-time key, sealed for each of the others.
    check = partial(dealing.check_advertised, scheme, context=context)
    read = partial(dealing.read_entry, scheme, AdvertiseKeys, check=check, verify=lambda *signed: None)
    for i in advertised:
        wire(i, key_list)
        if wire.answers(i, Step.SHARE_KEYS):
            peers = dealing.check_key_list(member[i], encode(advertised[i]), entries, read)
            deal = partial(steps.deal, scheme, session, i, own[i].seed)
            made[i] = dealing.share_keys(member[i], session, own[i].channel_secret, peers, deal)
            wire(i, ShareKeys(made[i].told, made[i].sealed))
    graph, sealed = CompleteGraph(tuple(advertised)), b"".join(it.sealed for it in made.values())

    # ShareCheck: everyone says what it holds of whom (`share_check.judge` leaves out whose shares fit no polynomials).
    # Encrypt: c = a·s + e + Δ·m. The server adds.
    accept, ciphertexts = partial(steps.accept, scheme), CiphertextSum(scheme.ciphertexts)
    for i, dealers, column in graph.deliver(tuple(made), sealed, scheme.sealed_bytes):
        relayed = wire(i, SealedShares(dealers, challenge, column))
        if wire.answers(i, Step.ENCRYPT):
            steps.check_challenge(relayed.challenge, key_list.commitment)
            kept, shares = accept(i, made[i].kept), messages.SealedShares(relayed.dealers, relayed.sealed)
            held = dealing.open_shares(member[i], session, made[i].channels, kept, shares, accept)
            wire(i, steps.share_check(scheme, session, challenge, dealers, held.shares))
            dealt[i] = replace(held, shares=steps.without_blinding(scheme, held.shares))
            for block in steps.encrypt(scheme, session, i, own[i].seed, vectors[i]):
                ciphertexts.take(i, wire(i, block).block, block.words)
    ciphertexts.settle()
    survivors = tuple(dealt)

    # Opening: who is left opens the sum of its shares of the survivors' keys. Any t of them give S = Σ s, under which
    # the sum of ciphertexts decrypts.
    for holders, request in dealing.unmask_requests(graph, tuple(made), survivors, survivors, {}):
        for j in holders:
            wire(j, request)
            if wire.answers(j, Step.OPENING):
                dealing.check_unmask_request(member[j], dealt[j], request, (), lambda *signed: None)
                opened[j] = wire(j, steps.opening(scheme, dealt[j].shares, request.survivors))
    holders = tuple(opened)[: scheme.quorum]
    total = steps.key_sum(scheme, holders, np.stack([encoding.decode_share(scheme, opened[j].share) for j in holders]))
    return steps.decrypt_sum(scheme, session, total, ciphertexts.words, survivors), wire.sent
