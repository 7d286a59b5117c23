"""ThresholdCkks, the whole protocol over the functions in `steps`: no machines, no envelopes, nobody who cheats.

Against a semi-honest server; what an active one is shown besides, ConsistencyCheck, is as in `run_bonawitz`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from secagg_protocols.core.context import RoundContext
from secagg_protocols.core.noise import with_noise
from secagg_protocols.core.step import Step
from secagg_protocols.core.wire import encode
from secagg_protocols.dealing import messages
from secagg_protocols.dealing import steps as dealing
from secagg_protocols.dealing.graph import CompleteGraph
from secagg_protocols.dealing.messages import AdvertiseKeys, KeyEntry, ShareKeys
from secagg_protocols.dealing.run import Cast, Sent, Wire, nobody_verifies
from secagg_protocols.errors import SERVER
from secagg_protocols.packing.sums import Output

from . import encoding, steps
from .ciphertexts import CiphertextSum
from .messages import CHALLENGE_BYTES, KeyList, SealedShares
from .params import ThresholdCkks
from .share_check import Checks, judge


def run_threshold_ckks(scheme: ThresholdCkks, context: RoundContext, cast: Cast) -> tuple[Output, Sent]:
    """Return the sum over those who stay until their vectors are in, and all that was sent."""
    wire = Wire(scheme.steps, cast.gone)

    # AdvertiseKeys: U₁ draw a channel key and the seed of a one-time key. The list of keys names the session, and
    # promises the challenge to dealers.
    u1 = wire.left(cast.vectors, Step.ADVERTISE_KEYS)
    own = {i: dealing.make_secrets(scheme, cast.randomness[i]) for i in u1}
    advertised = {i: wire(i, dealing.advertise(scheme, own[i], context, cast.randomness[i])) for i in u1}
    challenge = cast.randomness[SERVER].bytes(CHALLENGE_BYTES)
    listed = KeyList(tuple(KeyEntry(i, encode(advertised[i]), b"") for i in u1), steps.commit(challenge))
    key_list = {i: wire(i, listed) for i in u1}
    session = dealing.session_of(scheme, None, context, listed.digest)
    member = {i: dealing.Member(scheme, i, context, None, scheme.quorum) for i in u1}

    # ShareKeys: U₂ deal shares of their one-time keys, sealed for each of the others.
    u2 = wire.left(u1, Step.SHARE_KEYS)
    check = partial(dealing.check_advertised, scheme, context=context)
    read = partial(dealing.read_entry, scheme, AdvertiseKeys, check=check, verify=nobody_verifies)
    peers = {i: dealing.check_key_list(member[i], encode(advertised[i]), key_list[i].entries, read) for i in u2}
    deal = {i: partial(steps.deal, scheme, session, i, own[i].seed) for i in u2}
    made = {i: dealing.share_keys(member[i], session, own[i].channel_secret, peers[i], deal[i]) for i in u2}
    told = {i: wire(i, ShareKeys(made[i].told, made[i].sealed)) for i in u2}

    # ShareCheck: holders say what they hold of whom. The server leaves out whose shares fit no polynomials.
    holders = wire.left(u2, Step.ENCRYPT)
    accept = partial(steps.accept, scheme)
    graph = CompleteGraph(u1)
    delivered = graph.deliver(u2, b"".join(told[i].sealed for i in u2), scheme.sealed_bytes)
    relayed = {j: wire(j, SealedShares(dealers, challenge, column)) for j, dealers, column in delivered}
    dealt = {}
    said = {}
    for j in holders:
        steps.check_challenge(relayed[j].challenge, listed.commitment)
        shares = messages.SealedShares(relayed[j].dealers, relayed[j].sealed)
        held = dealing.open_shares(member[j], session, made[j].channels, accept(j, made[j].kept), shares, accept)
        message = wire(j, steps.share_check(scheme, session, challenge, held.dealers, held.shares))
        said[j] = steps.read_check(u2, j, message), message.missing
        dealt[j] = replace(held, shares=steps.without_blinding(scheme, held.shares))
    left_out = judge(Checks.of(u2, said), scheme.quorum, cast.randomness[SERVER]).left_out
    u3 = tuple(i for i in holders if i not in left_out)

    # Encrypt: U₃ send c = a·s + e + Δ·m. The server adds.
    ciphertexts = CiphertextSum(scheme.ciphertexts)
    for i in u3:
        noised = with_noise(scheme, cast.vectors[i], cast.randomness[i])
        for block in steps.encrypt(scheme, session, i, own[i].seed, noised):
            ciphertexts.take(i, wire(i, block).block, block.words)
    ciphertexts.settle()

    # Opening: whoever is left opens the sum of its shares of U₃'s keys. Any t of them give S = Σ s, which decrypts.
    requests = {j: wire(j, it) for those, it in dealing.unmask_requests(graph, u2, u3, u3, {}) for j in those}
    left = wire.left(u3, Step.OPENING)
    for j in left:
        dealing.check_unmask_request(member[j], dealt[j], requests[j], (), nobody_verifies)
    opened = {j: wire(j, steps.opening(scheme, dealt[j].shares, requests[j].survivors)) for j in left}
    first = left[: scheme.quorum]
    total = steps.key_sum(scheme, first, np.stack([encoding.decode_share(scheme, opened[j].share) for j in first]))
    return steps.decrypt_sum(scheme, session, total, ciphertexts.words, u3), wire.sent
