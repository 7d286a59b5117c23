"""Liars that are never among the dealers whose shares are located together: each would cost a decoding of its own."""

import hashlib

import numpy as np

from secagg_protocols import SYSTEM
from secagg_protocols.primitives import shamir
from secagg_protocols.primitives.field import PRIME
from secagg_protocols.primitives.recovery import OpenedShares, Recovery

HOLDERS, THRESHOLD = 1000, 501


class Committed:
    """What a semi-honest server knows of secrets: a hash of each."""

    signed = False

    def __init__(self, secrets):
        self._hashes = {dealer: hashlib.sha256(secret).digest() for dealer, secret in secrets.items()}

    def verify(self, dealer, secret):
        return hashlib.sha256(secret).digest() == self._hashes[dealer]

    def verify_work(self, dealer):
        return 8_000


def test_liars_that_keep_out_of_the_sight_of_the_joint_locator_do_not_end_a_round():
    """122 liars, where 249 in concert can be spared: one lies about many dealers; a second says that it has no share of
    the others, which are therefore not looked at together; and each of those is lied about by one more."""
    holders, dealers, draw = range(1, HOLDERS + 1), range(1, 251), np.random.default_rng(1)
    secrets = {dealer: SYSTEM.bytes(shamir.SECRET_BYTES) for dealer in dealers}
    shares = np.stack(
        [shamir.deal((secret,), holders, THRESHOLD, SYSTEM).reshape(HOLDERS, -1) for secret in secrets.values()], axis=1
    )
    present = np.ones(shares.shape[:2], dtype=np.bool_)
    garbage = shamir.encode(draw.integers(0, PRIME, (len(dealers), shamir.LIMBS)))
    shares[0, :130] = garbage[:130]
    present[1, 130:] = False
    for column in range(130, 250):
        shares[2 + column - 130, column] = garbage[column]
    opened = OpenedShares(tuple(holders), tuple(dealers), shares, present)
    assert Recovery(THRESHOLD, Committed(secrets), SYSTEM).secrets(opened) == secrets
