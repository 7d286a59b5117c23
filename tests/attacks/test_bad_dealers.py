"""Wrong shares that say nothing of other dealers': of dealers that deal them, of liars that share nothing."""

import numpy as np
import pytest

from secagg_protocols import SYSTEM
from secagg_protocols.primitives import repair, shamir
from secagg_protocols.primitives.field import PRIME
from secagg_protocols.primitives.recovery import OpenedShares, Recovery, Verdict
from secagg_protocols.primitives.reed_solomon import ShareCode


class Told:
    """What a server knows: what dealers committed to and, in active mode, the shares that they signed."""

    def __init__(self, secrets, signed=None):
        self._secrets, self._signed, self.signed, self.compared = secrets, signed, signed is not None, []

    def verify(self, dealer, secret):
        return secret == self._secrets[dealer]

    def verify_work(self, dealer):
        return 8_000

    def verdicts(self, dealer, holders, shares):
        self.compared.append(dealer)
        own = [self._signed[holder - 1, dealer - 1].tobytes() for holder in holders]
        return [Verdict.DEALER if a == b else Verdict.HOLDER for a, b in zip(own, shares, strict=True)]

    def verdicts_work(self, dealer, count):
        return 1_000


def dealt(holders, dealers, threshold):
    """Return secrets by dealer, and the shares of all of them, (holders, dealers, SHARE_BYTES)."""
    secrets = {dealer: SYSTEM.bytes(shamir.SECRET_BYTES) for dealer in range(1, dealers + 1)}
    return secrets, shamir.deal(list(secrets.values()), range(1, holders + 1), threshold, SYSTEM)


def opened(shares):
    """Return what holders returned of all dealers."""
    holders, dealers = shares.shape[:2]
    every = tuple(range(1, holders + 1))
    return OpenedShares(every, tuple(range(1, dealers + 1)), shares, np.ones((holders, dealers), dtype=np.bool_))


def noise(draw, count):
    """Return so many shares that are nobody's."""
    return shamir.encode(draw.integers(0, PRIME, (count, shamir.LIMBS)))


def counted(monkeypatch, owner, name):
    """Count the calls of a function."""
    calls, inner = [], getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *arguments, **named: calls.append(1) or inner(*arguments, **named))
    return calls


@pytest.mark.parametrize("liars", [0, 30])
@pytest.mark.parametrize("signed", [False, True])
def test_many_dealers_with_wrong_shares_of_their_own_are_decoded_at_once(signed, liars, monkeypatch):
    """60 dealers of 100, each of whose shares are wrong at 30 of 200 holders, beside holders that open only noise."""
    draw = np.random.default_rng(1)
    secrets, shares = dealt(200, 100, 101)
    bad = {dealer: draw.choice(200, 30, replace=False) for dealer in range(1, 61)}
    for dealer, holders in bad.items():
        shares[holders, dealer - 1] = noise(draw, 30)
    told = Told(secrets, shares.copy() if signed else None)
    for row in range(liars):
        shares[row] = noise(draw, 100)
    alone, together = counted(monkeypatch, ShareCode, "wrong_shares"), counted(monkeypatch, ShareCode, "wrong_apart")
    recovery = Recovery(101, told, SYSTEM)
    assert recovery.secrets(opened(shares)) == secrets
    found = {(one.dealer, one.holder - 1) for one in recovery.corrections}
    assert found == {(dealer, row) for dealer in secrets for row in {*bad.get(dealer, ()), *range(liars)}}
    assert len(alone) <= 6  # all dealers at once, and those that are looked at one by one
    assert len(together) <= 16


def test_liars_about_dealers_of_their_own_are_proven_as_far_as_the_work_goes_and_left_out_beyond(monkeypatch):
    """19 of 40 lie, each about two dealers; every comparison finds one of them, and the work is enough for seven."""
    monkeypatch.setattr(repair, "_BESIDE", 7_000)
    draw = np.random.default_rng(1)
    secrets, shares = dealt(40, 38, 21)
    told = Told(secrets, shares.copy())
    for dealer in secrets:
        shares[dealer // 2, dealer - 1] = noise(draw, 1)[0]
    recovery = Recovery(21, told, SYSTEM)
    assert recovery.secrets(opened(shares)) == secrets
    assert {(one.dealer, one.holder) for one in recovery.corrections} == {(one, one // 2 + 1) for one in secrets}
    proven = {one.holder for one in recovery.corrections if one.culprits == {one.holder}}
    assert 4 <= len(proven) <= len(told.compared) <= 8
    assert all(
        one.culprits == {one.holder} if one.holder in proven else one.culprits == {one.holder, one.dealer, 0}
        for one in recovery.corrections
    )


def test_what_is_beyond_every_decoder_is_compared_however_much_was_compared_before(monkeypatch):
    """n − t in concert about the last of many dealers, when no work is left: only what is signed tells them."""
    monkeypatch.setattr(repair, "_BESIDE", 0)
    draw = np.random.default_rng(1)
    secrets, shares = dealt(40, 30, 21)
    told = Told(secrets, shares.copy())
    vectors = draw.integers(1, PRIME, (30, shamir.LIMBS))
    for row in range(19):
        shares[row] = shamir.encode((shamir.decode(shares[row]) + (row + 1) * vectors) % PRIME)
    recovery = Recovery(21, told, SYSTEM)
    assert recovery.secrets(opened(shares)) == secrets
    assert all(one.culprits == {one.holder} and one.holder <= 19 for one in recovery.corrections)
    assert len(recovery.corrections) == 19 * 30
    assert len(told.compared) == 1
