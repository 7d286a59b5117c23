"""LightSecAgg, the whole protocol over the functions in `steps`: no machines, no envelopes, nobody who cheats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.channels import session_id
from ..core.context import RoundContext
from ..core.wire import encode
from ..dealing import steps as dealing
from ..dealing.messages import KeyEntry, KeyList, SealedShares, UnmaskRequest
from ..dealing.run import Sent, add_up, relay
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
) -> tuple[Output, Sent]:
    """Return the sum of these vectors, and all that was sent.

    randomness: of everyone who begins. vectors: of everyone who stays; the others vanish once they have dealt shares.
    """
    everyone, survivors = tuple(sorted(randomness)), tuple(sorted(vectors))

    # AdvertiseKeys: a channel key, and the seed of a mask. The list of keys names the session.
    own = {who: dealing.make_secrets(scheme, randomness[who]) for who in everyone}
    advertised = {who: dealing.advertise(scheme, own[who], context, randomness[who]) for who in everyone}
    key_list = KeyList(tuple(KeyEntry(who, encode(advertised[who]), b"") for who in everyone))
    session = session_id(scheme, b"", context, key_list.digest)

    # ShareMasks: everyone deals coded shares of its mask, sealed.
    dealt = {who: steps.deal(scheme, session, who, own[who].seed, everyone) for who in everyone}
    relayed = relay(scheme, session, own, advertised, dealt)
    held = {who: {of: steps.accept(scheme, of, share) for of, share in relayed.held[who].items()} for who in everyone}

    # MaskedInput: x + z. The server adds.
    inputs = {who: list(steps.masked_input(scheme, session, who, own[who].seed, vectors[who])) for who in survivors}
    masked = Uploads(scheme.packing)
    add_up(masked, inputs)

    # Unmasking: everyone who is left opens the sum of its shares; from any U of them the server has Σ z.
    opened = {who: steps.unmasking(scheme, held[who], survivors) for who in survivors}
    sums = {who: scheme.packing.from_bytes(opened[who].share) for who in survivors}
    output = steps.recover(scheme, masked.words, survivors, sums)

    vanished = tuple(who for who in everyone if who not in survivors)
    return output, {
        "AdvertiseKeys": {who: [advertised[who]] for who in everyone},
        "KeyList": {who: [key_list] for who in everyone},
        "ShareMasks": {who: [ShareMasks(b"", memoryview(relayed.sent[who]))] for who in everyone},
        "SealedShares": {who: [SealedShares(everyone, memoryview(relayed.delivered[who]))] for who in everyone},
        "MaskedInput": inputs,
        "UnmaskRequest": {who: [UnmaskRequest(survivors, vanished, (), ())] for who in survivors},
        "Unmasking": {who: [opened[who]] for who in survivors},
    }
