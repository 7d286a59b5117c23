"""Ckks and Bfv, the whole protocol over the functions in `steps`: no machines, no envelopes, nobody who cheats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.core.context import RoundContext
from secagg_protocols.core.noise import with_noise
from secagg_protocols.packing.sums import Output
from secagg_protocols.primitives.randomness import SYSTEM

from ..envelope import Sealer
from ..group_key import GroupKey
from . import steps
from .params import SingleKey


def run_single_key(
    scheme: SingleKey, context: RoundContext, key: GroupKey, vectors: Mapping[int, NDArray[np.integer[Any]]]
) -> Output | None:
    """Return the sum of these participants' vectors; None where it is not one of valid vectors.

    vectors: survivor → vector; who is not in it has vanished. The sum is where `scheme.release_to` has it.
    """
    parameters = scheme.parameters
    survivors = tuple(sorted(vectors))
    round_ = Sealer.of(key.key_id, key.parameter_hash, key.wire_key, scheme.address(context, None), context)
    holders = {who: steps.Holder(who, key, round_) for who in survivors}

    # Encrypt. Each participant encrypts its vector; the server adds the first polynomials as they come.
    first = np.zeros((scheme.ciphertexts, len(parameters.primes), parameters.degree), dtype=np.uint64)
    seeds = []
    for who in survivors:
        blocks = steps.upload(scheme, holders[who], with_noise(scheme, vectors[who], SYSTEM), SYSTEM)
        polynomials, seed = zip(*(steps.open_upload(scheme, round_, who, block) for block in blocks), strict=True)
        steps.add_polynomials(parameters, first, np.concatenate(polynomials))
        seeds.append(b"".join(seed))

    # Add. The server expands the second polynomials and tells every survivor what the aggregate is.
    second = steps.expand_seconds(parameters, seeds, 0, scheme.ciphertexts)
    aggregate = steps.aggregate_blocks(scheme, first, second)
    request = steps.request_release(survivors, aggregate)
    name = steps.aggregate_name(round_.session, survivors, request.blocks)
    sealer = round_.of_aggregate(name)

    # Release. Who is to open it checks that it is what was announced, counts, opens each block, and tells its values.
    told = {}
    for who in scheme.releasers(survivors, context.round):
        steps.check_request(scheme, who, scheme.quorum, request)
        if not scheme.to_participants:
            key.releases.claim(key.key_id, key.budget, round_.session, name)
        values = b""
        for message in steps.seal_aggregate(sealer, aggregate):
            body = steps.open_aggregate(sealer, request.blocks, (), message)
            opened = steps.open_block(scheme, holders[who], survivors, message.block, body)
            answer = steps.release_block(sealer, who, message.block, opened)
            values += opened if scheme.to_participants else steps.read_release(scheme, sealer, who, answer)
        told[who] = values
    (values,) = set(told.values())  # all open the same bytes
    return steps.sum_in(scheme.packing, values, survivors)
