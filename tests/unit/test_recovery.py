"""Putting secrets together although some shares are wrong, and who is blamed."""

import numpy as np
import pytest

from secagg_protocols.primitives import interpolation, shamir
from secagg_protocols.primitives.randomness import SYSTEM, InsecureDeterministicRandomness
from secagg_protocols.primitives.recovery import OpenedShares, Recovery, ScatteredShares, Unrecoverable, Verdict

THRESHOLD = 3


def opened(secrets, holders, threshold=THRESHOLD, seed=1):
    """Return what honest holders return, of dealers 1, 2, … with these secrets."""
    dealt = shamir.deal(secrets, range(1, max(holders) + 1), threshold, InsecureDeterministicRandomness(seed))
    shares = dealt[np.array(holders) - 1].copy()
    return OpenedShares(
        tuple(holders), tuple(range(1, len(secrets) + 1)), shares, np.ones(shares.shape[:2], dtype=bool)
    )


class Known:
    """What a server would know of these secrets; blame: what signed content says of a share, if anything is signed."""

    def __init__(self, secrets, blame=None):
        self.secrets, self.blame, self.signed, self.verified = secrets, blame, blame is not None, 0

    def verify(self, dealer, secret):
        self.verified += 1
        return secret == self.secrets[dealer - 1]

    def verify_work(self, dealer):
        return 8_000

    def verdicts(self, dealer, holders, shares):
        return [self.blame(dealer, holder, share) for holder, share in zip(holders, shares, strict=True)]

    def verdicts_work(self, dealer, count):
        return 1_000


def recover(given, secrets, blame=None, threshold=THRESHOLD):
    """Return (recovered secrets, corrections). Without signed content all three are named."""
    recovery = Recovery(threshold, Known(secrets, blame), SYSTEM)
    return recovery.secrets(given), recovery.corrections


def spoil(given, holder, dealer, seed=0):
    row, column = given.holders.index(holder), given.dealers.index(dealer)
    given.shares[row, column, :32] = np.frombuffer(np.random.default_rng(seed + holder).bytes(32), dtype=np.uint8)
    given.shares[row, column, 32:] = 0


def some(count):
    return [np.random.default_rng(index).bytes(32) for index in range(count)]


@pytest.mark.parametrize("dealers", [1, 2, 63, 64, 65, 130])
def test_every_dealer_is_recovered_while_all_is_well(dealers):
    secrets = some(dealers)
    found, corrections = recover(opened(secrets, (1, 2, 4, 7, 8)), secrets)
    assert found == dict(enumerate(secrets, 1))
    assert corrections == []


@pytest.mark.parametrize("liars", [(4,), (1, 2), (7, 8)])
def test_wrong_shares_within_the_radius_are_corrected_and_reported(liars):
    secrets = some(3)
    given = opened(secrets, (1, 2, 3, 4, 5, 7, 8))
    for holder in liars:
        spoil(given, holder, 2)
    found, corrections = recover(given, secrets)
    assert found == dict(enumerate(secrets, 1))
    assert [(c.dealer, c.holder) for c in corrections] == [(2, holder) for holder in liars]
    assert [c.culprits for c in corrections] == [{2, holder, 0} for holder in liars]


@pytest.mark.parametrize("liars", [(5,), (1, 2), (1, 5), (4, 5)])
def test_beyond_the_radius_the_commitment_decides(liars):
    """m = 5, t = 3: the radius is 1, the commitment still finds three right shares among five."""
    secrets = some(2)
    given = opened(secrets, (1, 2, 3, 4, 5))
    for holder in liars:
        spoil(given, holder, 1)
    found, corrections = recover(given, secrets)
    assert found == dict(enumerate(secrets, 1))
    assert {(c.dealer, c.holder) for c in corrections} == {(1, holder) for holder in liars}


def test_fewer_right_shares_than_the_threshold_is_unrecoverable_and_names_everyone_who_may_be_at_fault():
    secrets = some(2)
    given = opened(secrets, (1, 2, 3, 4, 5))
    for holder in (1, 2, 3):
        spoil(given, holder, 2)
    with pytest.raises(Unrecoverable) as caught:
        recover(given, secrets)
    assert caught.value.dealer == 2
    assert caught.value.culprits == {0, 1, 2, 3, 4, 5}


def test_with_no_spare_share_a_wrong_one_is_unrecoverable():
    secrets = some(1)
    given = opened(secrets, (1, 2, 3))
    spoil(given, 2, 1)
    with pytest.raises(Unrecoverable):
        recover(given, secrets)


def test_signed_content_throws_out_the_liars_first_and_names_only_them():
    """Two of four: beyond any decoding, but what the dealer signed decides."""
    secrets = some(1)
    given = opened(secrets, (6, 7, 8, 9), threshold=2)
    honest = {holder: given.shares[row, 0].tobytes() for row, holder in enumerate(given.holders)}
    for holder in (6, 7):
        spoil(given, holder, 1)

    def blame(dealer, holder, share):
        return Verdict.DEALER if share == honest[holder] else Verdict.HOLDER

    found, corrections = recover(given, secrets, blame, threshold=2)
    assert found == {1: secrets[0]}
    assert {(c.holder, c.culprits) for c in corrections} == {(6, frozenset({6})), (7, frozenset({7}))}


def test_signed_content_does_not_throw_out_the_dealer_s_own_right_share():
    secrets = some(1)
    given = opened(secrets, (1, 2, 3, 4))
    honest = {holder: given.shares[row, 0].tobytes() for row, holder in enumerate(given.holders)}
    spoil(given, 4, 1)

    def blame(dealer, holder, share):
        return Verdict.DEALER if share == honest[holder] else Verdict.HOLDER

    found, corrections = recover(given, secrets, blame)
    assert found == {1: secrets[0]}
    assert [(c.holder, c.culprits) for c in corrections] == [(4, {4})]


def test_liars_who_leave_too_few_shares_are_the_culprits():
    secrets = some(1)
    given = opened(secrets, (6, 7, 8))
    honest = {holder: given.shares[row, 0].tobytes() for row, holder in enumerate(given.holders)}
    spoil(given, 8, 1)

    def blame(dealer, holder, share):
        return Verdict.DEALER if share == honest[holder] else Verdict.HOLDER

    with pytest.raises(Unrecoverable) as caught:
        recover(given, secrets, blame)
    assert caught.value.culprits == {8}


def test_a_dealer_that_signed_shares_of_no_polynomial_is_the_culprit():
    secrets = some(1)
    given = opened(secrets, (2, 3, 4, 5))
    for holder in (2, 3, 4):
        spoil(given, holder, 1)
    with pytest.raises(Unrecoverable) as caught:
        recover(given, secrets, lambda dealer, holder, share: Verdict.DEALER)
    assert caught.value.culprits == {1}


def test_missing_shares_name_all_who_may_be_at_fault():
    secrets = some(2)
    given = opened(secrets, (1, 2, 3, 4, 5))
    given.present[:3, 0] = False
    with pytest.raises(Unrecoverable) as caught:
        recover(given, secrets)
    assert (caught.value.dealer, caught.value.have, caught.value.culprits) == (1, 2, {0, 1, 2, 3})


def test_different_holders_may_miss_different_dealers():
    secrets = some(5)
    given = opened(secrets, (1, 2, 3, 4, 5))
    for row in range(5):
        given.present[row, row] = given.present[row, (row + 1) % 5] = False
        given.shares[row, row] = 255
    found, corrections = recover(given, secrets)
    assert found == dict(enumerate(secrets, 1))
    assert corrections == []


def test_a_wrong_secret_is_never_returned():
    """Every subset may interpolate; only the committed secret comes out."""
    secrets = some(1)
    given = opened(some(2)[1:], (1, 2, 3, 4, 5))
    with pytest.raises(Unrecoverable):
        recover(given, secrets)


@pytest.mark.parametrize("dealers", [1, 6])
def test_one_liar_among_three_hundred_and_one_holders_does_not_end_a_round_of_threshold_three_hundred(dealers):
    secrets = some(dealers)
    given = opened(secrets, tuple(range(1, 302)), threshold=300)
    for dealer in range(1, dealers + 1):
        spoil(given, 150, dealer)
    known = Known(secrets)
    recovery = Recovery(300, known, SYSTEM)
    assert recovery.secrets(given) == dict(enumerate(secrets, 1))
    assert {(one.dealer, one.holder) for one in recovery.corrections} == {(one, 150) for one in range(1, dealers + 1)}
    assert known.verified <= 302 + 2 * dealers  # who lied about one dealer is tried first at the next


def test_liars_about_a_few_dealers_each_are_found_at_all_of_them_together():
    secrets, draw = some(20), np.random.default_rng(0)
    given = opened(secrets, tuple(range(1, 21)), threshold=11)
    for holder in range(1, 9):
        for dealer in draw.choice(np.arange(1, 21), 3, replace=False).tolist():
            spoil(given, holder, dealer)
    known = Known(secrets)
    recovery = Recovery(11, known, SYSTEM)
    assert recovery.secrets(given) == dict(enumerate(secrets, 1))
    assert {one.holder for one in recovery.corrections} == set(range(1, 9))
    assert known.verified == 20


def test_for_liars_about_all_dealers_the_sums_without_them_are_made_once_for_many_dealers(monkeypatch):
    secrets = some(130)
    given = opened(secrets, tuple(range(1, 21)), threshold=11)
    for holder in (3, 9, 17):
        for dealer in range(1, 131):
            spoil(given, holder, dealer, seed=dealer)
    masks, inner = [], interpolation._sums_for_each
    monkeypatch.setattr(
        interpolation, "_sums_for_each", lambda chosen, summed: masks.append(len(chosen)) or inner(chosen, summed)
    )
    found, corrections = recover(given, secrets, threshold=11)
    assert found == dict(enumerate(secrets, 1))
    assert len(corrections) == 3 * 130
    assert set(masks) == {1}
    assert len(masks) <= 16  # at most four for each 64 dealers


def test_bad_dealers_do_not_make_honest_holders_be_left_out_at_others():
    secrets, draw = some(30), np.random.default_rng(0)
    given = opened(secrets, tuple(range(1, 31)), threshold=11)
    liars = (3, 9, 17, 21, 28)
    for dealer in range(1, 31):
        for holder in liars:
            spoil(given, holder, dealer, seed=dealer)
    for dealer in range(1, 16):
        for holder in draw.choice(np.arange(1, 31), 5, replace=False).tolist():
            spoil(given, holder, dealer, seed=100 + dealer)
    found, _ = recover(given, secrets, threshold=11)
    assert found == dict(enumerate(secrets, 1))


def test_liars_who_leave_too_few_shares_but_agree_on_others_with_the_secret_are_named_and_it_is_opened():
    """Seven of nine are needed: three lie, by a polynomial with the same secret that fits five of the six others."""
    (secret,) = some(1)
    given = opened([secret], tuple(range(1, 10)), threshold=7)
    honest = {holder: given.shares[row, 0].tobytes() for row, holder in enumerate(given.holders)}
    vector = np.random.default_rng(0).integers(1, 65537, shamir.LIMBS)
    for liar in (2, 5, 8):
        value = liar * np.prod([liar - zero for zero in (1, 3, 4, 6, 7)])
        row = given.holders.index(liar)
        given.shares[row] = shamir.encode((shamir.decode(given.shares[row]) + value * vector) % 65537)

    def blame(dealer, holder, share):
        return Verdict.DEALER if share == honest[holder] else Verdict.HOLDER

    found, corrections = recover(given, [secret], blame, threshold=7)
    assert found == {1: secret}
    assert [(one.holder, one.culprits) for one in corrections] == [(liar, {liar}) for liar in (2, 5, 8)]


# --- dealers that have their own holders each


def scattered(secrets, spare=6, seed=1):
    """Return what the t + spare holders of each dealer returned: any of the spare ones may have vanished or lack it."""
    draw = np.random.default_rng(seed)
    holders = np.stack([np.sort(draw.permutation(np.arange(1, 200))[: THRESHOLD + spare]) for _ in secrets])
    shares = [opened([secret], row).shares[:, 0] for secret, row in zip(secrets, holders, strict=True)]
    rows = np.arange(holders.size).reshape(holders.shape)
    may_lack = draw.permuted(np.tile(np.arange(THRESHOLD + spare) < spare, (len(secrets), 1)), axis=1)
    rows[may_lack & (draw.random(rows.shape) < 0.5)] = -1
    holders[(rows < 0) & (draw.random(rows.shape) < 0.5)] = 0
    return ScatteredShares(tuple(range(1, len(secrets) + 1)), holders, np.concatenate(shares), rows)


def recover_apart(given, secrets, blame=None):
    """Return (recovered secrets, corrections) together, and the same dealer by dealer."""
    together, alone = (Recovery(THRESHOLD, Known(secrets, blame), SYSTEM) for _ in range(2))
    found: dict[int, bytes] = {}
    for position in range(len(secrets)):
        found.update(alone.secrets(given.of(position)))
    return (together.secrets_apart(given), together.corrections), (found, alone.corrections)


def spoil_apart(given, dealer, which):
    """Spoil some of the shares of a dealer that are there; return whose."""
    position = given.dealers.index(dealer)
    there = np.flatnonzero(given.rows[position] >= 0)[list(which)]
    given.shares[given.rows[position, there], 0] ^= 1
    return given.holders[position, there].tolist()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spare", [0, 1, 6])
def test_dealers_with_holders_of_their_own_are_recovered_together_as_they_are_alone(spare, seed):
    secrets = some(300)
    together, alone = recover_apart(scattered(secrets, spare, seed), secrets)
    assert together == alone == (dict(enumerate(secrets, 1)), [])


def test_wrong_shares_of_some_dealers_are_blamed_as_alone_and_leave_the_others_untouched():
    secrets = some(40)
    given = scattered(secrets)
    full = np.flatnonzero((given.rows >= 0).sum(axis=1) >= THRESHOLD + 2)[:3] + 1
    liars = [(int(dealer), holder) for dealer in full for holder in spoil_apart(given, dealer, [1])]
    together, alone = recover_apart(given, secrets)
    assert together == alone
    assert together[0] == dict(enumerate(secrets, 1))
    assert [(one.dealer, one.holder, one.culprits) for one in together[1]] == [
        (dealer, holder, {dealer, holder, 0}) for dealer, holder in liars
    ]


def test_signed_content_names_only_the_liar_among_holders_of_its_own():
    secrets = some(5)
    given = scattered(secrets, spare=1)
    dealer = int(np.argmax((given.rows >= 0).sum(axis=1))) + 1
    honest = {share.tobytes() for share in given.shares}
    (liar,) = spoil_apart(given, dealer, [0])

    def blame(dealer, holder, share):
        return Verdict.DEALER if share in honest else Verdict.HOLDER

    together, alone = recover_apart(given, secrets, blame)
    assert together == alone
    assert [(one.dealer, one.holder, one.culprits) for one in together[1]] == [(dealer, liar, {liar})]


def test_with_no_spare_share_of_its_own_holders_a_wrong_one_is_unrecoverable():
    secrets = some(10)
    given = scattered(secrets, spare=0)
    spoil_apart(given, 4, [2])
    with pytest.raises(Unrecoverable) as caught:
        recover_apart(given, secrets)
    assert (caught.value.dealer, caught.value.have) == (4, THRESHOLD)


def test_fewer_shares_than_the_threshold_name_the_holders_that_answered_without_one():
    secrets = some(10)
    given = scattered(secrets, spare=0)
    _, kept_back, _ = given.holders[6].tolist()
    given.rows[6, :2] = -1
    given.holders[6, 0] = 0
    with pytest.raises(Unrecoverable) as caught:
        Recovery(THRESHOLD, Known(secrets), SYSTEM).secrets_apart(given)
    assert (caught.value.dealer, caught.value.have, caught.value.culprits) == (7, 1, {0, 7, kept_back})


def test_a_secret_that_is_not_the_committed_one_is_never_returned_apart_either():
    given = scattered(some(3))
    with pytest.raises(Unrecoverable):
        recover_apart(given, some(4)[1:])
