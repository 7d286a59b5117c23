"""Who is left out and who is doubted, for cohorts of any size: no honest dealer goes while few enough lie."""

import numpy as np
import pytest

from secagg_he.threshold.params import CHECKS
from secagg_he.threshold.share_check import Checks, judge
from secagg_protocols import InsecureDeterministicRandomness
from secagg_protocols.primitives.field import GF65537

PRIME = GF65537.prime
SHAPES = [(7, 4), (12, 8), (20, 14), (60, 31), (100, 67)]


@pytest.fixture(params=SHAPES, ids=lambda shape: "-".join(map(str, shape)))
def cohort(request):
    """Return a cohort of honest dealers and holders, to be spoiled."""
    return Cohort(*request.param)


class Cohort:
    """What m holders say of m dealers. r: holders that may lie in concert."""

    def __init__(self, m, t):
        self.m, self.t, self.spare = m, t, m - t
        self.r = self.spare // 2
        self.draw = np.random.default_rng(m)
        self.ids = tuple(range(1, m + 1))
        polynomials = self.draw.integers(0, PRIME, (t, m * CHECKS))
        self.values = GF65537.multiply(GF65537.powers(np.array(self.ids), t), polynomials).reshape(m, m, CHECKS)
        self.missing = np.zeros((m, m), dtype=bool)

    def some(self, count):
        """Return positions of so many of the cohort."""
        return self.draw.choice(self.m, count, replace=False)

    def garbage(self, rows, columns):
        """Put garbage where these holders speak of these dealers."""
        place = np.ix_(rows, columns)
        self.values[place] = self.draw.integers(0, PRIME, self.values[place].shape)

    def judged(self):
        """Return (dealers left out, holders doubted), as positions; what is left fits, and is enough."""
        checks = Checks(self.ids, self.ids, self.values, self.missing)
        verdict = judge(checks, self.t, InsecureDeterministicRandomness(self.m))
        out, doubted = ({one - 1 for one in some} for some in (verdict.left_out, verdict.doubted))
        dealers = [one for one in range(self.m) if one not in out]
        holders = [one for one in dealers if one not in doubted]
        assert len(holders) >= self.t
        words = self.values[np.ix_(holders, dealers)].reshape(len(holders), -1)
        assert not GF65537.multiply(parity(np.array(holders) + 1, self.t), words).any()
        return out, doubted


def parity(x, t):
    """Return the parity checks of the code at points x."""
    differences = (x[:, None] - x[None, :]) % PRIME
    np.fill_diagonal(differences, 1)
    return (GF65537.powers(x, x.size - t) * GF65537.inverse(GF65537.product(differences))[:, None] % PRIME).T


def test_where_all_is_well_nobody_goes(cohort):
    assert cohort.judged() == (set(), set())


@pytest.mark.parametrize("framed", [1, 3, None])
def test_liars_in_concert_exclude_nobody(cohort, framed):
    liars, lie = cohort.some(cohort.r), cohort.draw.integers(1, PRIME, (1, 1, CHECKS))
    dealers = cohort.some(framed or cohort.m)
    place = np.ix_(liars, dealers)
    cohort.values[place] = (cohort.values[place] + lie) % PRIME
    assert cohort.judged() == (set(), set(liars.tolist()))


def test_liars_that_frame_dealers_of_their_own_each_exclude_nobody(cohort):
    liars = cohort.some(cohort.r)
    for liar in liars:
        cohort.garbage([liar], cohort.some(2))
    assert cohort.judged() == (set(), set(liars.tolist()))


def test_independent_garbage_of_all_but_one_spare_holder_excludes_nobody(cohort):
    liars = cohort.some(cohort.spare - 1)
    cohort.garbage(liars, range(cohort.m))
    assert cohort.judged() == (set(), set(liars.tolist()))


def test_every_dealer_of_garbage_to_all_goes_and_nobody_else(cohort):
    bad = cohort.some(cohort.spare)
    cohort.garbage(range(cohort.m), bad)
    assert cohort.judged() == (set(bad.tolist()), set())


def test_one_dealer_of_garbage_to_more_than_lie_in_concert_goes_and_nobody_else(cohort):
    (bad,) = cohort.some(1)
    holders = [one for one in range(cohort.m) if one != bad][: cohort.r + 1]
    cohort.garbage(holders, [bad])
    assert cohort.judged() == ({bad}, set())


def test_dealers_that_spoil_a_few_holders_each_leave_enough(cohort):
    for bad in cohort.some(cohort.spare):
        cohort.garbage(cohort.some(cohort.r), [bad])
    cohort.judged()


def test_missing_shares_count_as_wrong_ones(cohort):
    (bad,) = cohort.some(1)
    holders = [one for one in range(cohort.m) if one != bad][: cohort.r + 1]
    cohort.missing[holders, bad] = True
    cohort.values[holders, bad] = 0
    assert cohort.judged() == ({bad}, set())


def test_bad_dealers_and_liars_together_go_as_far_as_half_the_spare_holders(cohort):
    both = cohort.some(cohort.r)
    bad, liars = both[: cohort.r // 2], both[cohort.r // 2 :]
    cohort.garbage(range(cohort.m), bad)
    cohort.garbage(liars, range(cohort.m))
    out, doubted = cohort.judged()
    assert out == set(bad.tolist())
    assert doubted == set(liars.tolist())


def test_more_liars_than_half_the_spare_holders_and_one_bad_dealer_are_told_apart(cohort):
    if cohort.spare < 6:
        pytest.skip("they are more than the spare holders")
    bad, *liars = cohort.some(cohort.r + 2).tolist()
    cohort.garbage(range(cohort.m), [bad])
    cohort.garbage(liars, range(cohort.m))
    assert cohort.judged() == ({bad}, set(liars))


def test_with_no_spare_holder_nothing_is_seen_and_nobody_goes():
    cohort = Cohort(6, 6)
    cohort.garbage([0, 1], [2, 3])
    assert cohort.judged() == (set(), set())
