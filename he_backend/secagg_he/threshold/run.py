"""ThresholdCkks, the whole protocol over the functions in `steps`: no machines, no envelopes, nobody who cheats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.core.channels import session_id
from secagg_protocols.core.context import RoundContext
from secagg_protocols.core.wire import encode
from secagg_protocols.dealing import steps as dealing
from secagg_protocols.dealing.messages import KeyEntry, ShareKeys, UnmaskRequest
from secagg_protocols.dealing.run import Sent, add_up, relay
from secagg_protocols.errors import SERVER
from secagg_protocols.packing.sums import Output
from secagg_protocols.primitives.randomness import Randomness

from . import encoding, steps
from .ciphertexts import CiphertextSum
from .messages import CHALLENGE_BYTES, KeyList, SealedShares
from .params import ThresholdCkks
from .share_check import Checks, judge


def run_threshold_ckks(
    scheme: ThresholdCkks,
    context: RoundContext,
    vectors: Mapping[int, NDArray[np.integer[Any]]],
    randomness: Mapping[int, Randomness],
) -> tuple[Output, Sent]:
    """Return the sum of these vectors, and all that was sent, against a semi-honest server.

    randomness: of the server (0), and of everyone who begins. vectors: of everyone who stays; the others vanish once
    they have dealt shares.
    """
    everyone, survivors = tuple(sorted(randomness.keys() - {SERVER})), tuple(sorted(vectors))

    # AdvertiseKeys: a channel key, and the seed of a one-time key. The list of keys names the session, and the
    # challenge to dealers before anything is dealt.
    own = {who: dealing.make_secrets(scheme, randomness[who]) for who in everyone}
    advertised = {who: dealing.advertise(scheme, own[who], context, randomness[who]) for who in everyone}
    challenge = randomness[SERVER].bytes(CHALLENGE_BYTES)
    entries = tuple(KeyEntry(who, encode(advertised[who]), b"") for who in everyone)
    key_list = KeyList(entries, steps.commit(challenge))
    session = session_id(scheme, b"", context, key_list.digest)

    # ShareKeys: everyone deals shares of its one-time key, sealed.
    dealt = {who: steps.deal(scheme, session, who, own[who].seed, everyone) for who in everyone}
    relayed = relay(scheme, session, own, advertised, dealt)
    held = {who: {of: steps.accept(scheme, of, share) for of, share in relayed.held[who].items()} for who in everyone}

    # ShareCheck: everyone who is left says what it holds of whom. The dealers whose shares fit no polynomials would go.
    steps.check_challenge(challenge, key_list.commitment)
    checks = {who: steps.share_check(scheme, session, challenge, everyone, held[who]) for who in survivors}
    values = np.stack([steps.read_check(everyone, who, checks[who]) for who in survivors])
    missing = np.zeros(values.shape[:2], dtype=np.bool_)
    verdict = judge(Checks(survivors, everyone, values, missing), scheme.quorum, randomness[SERVER])
    assert not verdict.left_out
    kept = {who: steps.without_blinding(scheme, held[who]) for who in survivors}

    # Encrypt: c = a·s + e + Δ·m. The server adds.
    ciphertexts = {who: list(steps.encrypt(scheme, session, who, own[who].seed, vectors[who])) for who in survivors}
    total = CiphertextSum(scheme.ciphertexts)
    add_up(total, ciphertexts)
    total.settle()

    # Opening: everyone who is left opens the sum of its shares. Any t of them give S = Σ s, under which C decrypts.
    opened = {who: steps.opening(scheme, kept[who], survivors) for who in survivors}
    holders = survivors[: scheme.quorum]
    sums = np.stack([encoding.decode_share(scheme, opened[who].share) for who in holders])
    output = steps.decrypt_sum(scheme, session, steps.key_sum(scheme, holders, sums), total.words, survivors)

    vanished = tuple(who for who in everyone if who not in survivors)
    shares = {who: SealedShares(everyone, challenge, memoryview(relayed.delivered[who])) for who in everyone}
    return output, {
        "AdvertiseKeys": {who: [advertised[who]] for who in everyone},
        "KeyList": {who: [key_list] for who in everyone},
        "ShareKeys": {who: [ShareKeys(b"", memoryview(relayed.sent[who]))] for who in everyone},
        "SealedShares": {who: [shares[who]] for who in everyone},
        "ShareCheck": {who: [checks[who]] for who in survivors},
        "Encrypt": ciphertexts,
        "UnmaskRequest": {who: [UnmaskRequest(survivors, vanished, (), ())] for who in survivors},
        "Opening": {who: [opened[who]] for who in survivors},
    }
