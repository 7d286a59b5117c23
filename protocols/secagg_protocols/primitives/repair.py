"""Opening secrets although some of their shares are wrong, within a budget of work for the whole round.

A few dealers at first, then more at once, and what is learnt at some is used at the next:

1. The holders that were found to lie are left out. If what the others returned fits and gives the committed secret,
   that is it.
2. Signed shares are compared with what the dealer signed, every one of them. What differs is out, and its holder is at
   fault; what is left are the dealer's own words. So it can only be blamed for those: no polynomial that liars agree on
   decides.
   Where that is too much work, as at most n − t holders can make it, shares are located as in 3 and nobody is proven
   to have lied about that dealer.
3. Else Reed–Solomon decoding locates the wrong shares. Where all dealers have the same holders, those that lie about
   many of them at once, and about those that are left, as long as each look opens half of them; then what is wrong of
   each dealer's, many of them at once.
4. Beyond its reach the commitment decides which shares are right: sets of them are tried.

1 and 2 take no more work than the honest step does, for every liar there is; 3 and 4 go as far as the budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, prod
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from . import shamir
from .blame import Correction, Evidence, Unrecoverable, Verdict
from .budget import OutOfWork, Work
from .cases import AT_ONCE, Case, closed, corrected, elements_of, folded, have_same_holders, there_of, unrecoverable
from .field import multiply, uniform
from .interpolation import CHECKS, Mask, Masks
from .liars import Liars
from .randomness import Randomness
from .reed_solomon import FEW_ERRORS, ShareCode, TooManyErrors

BUDGET = 500_000_000
"""Work that decoding and guessing may cost in one round, in units of about a nanosecond."""

_BESIDE = 600_000_000
"""Work that locating liars for many dealers at once may cost beside it (beyond, few kinds of lies count), or comparing
shares with what is signed (beyond, it is taken from the budget)."""

_LOOK = 200_000
"""What one more look at a dealer's shares costs at least."""

_OFTEN = 4
"""A holder that misses more than one of so many dealers' shares is not asked about any of them at first."""

_FEW = 1 << 12
"""So many sets of shares are tried at once, more only when nothing else is left to do."""

_NAMED = 2
"""Combinations of limbs that tell whose shares are wrong: one goes unnamed with probability 2⁻³²."""

_HOPE = 0.01
"""With less chance of success than this, nothing is guessed."""


class Repair:
    """Opens the secrets of dealers whose shares do not fit, and keeps the corrections."""

    def __init__(self, threshold: int, evidence: Evidence, randomness: Randomness) -> None:
        self._threshold = threshold
        self._evidence = evidence
        self._randomness = randomness
        self._work = Work(BUDGET)
        self._beside = Work(_BESIDE)
        self._liars = Liars(threshold)
        self._combinations = uniform((shamir.LIMBS, shamir.LIMBS), randomness)  # of limbs: nobody can know them
        self._code: ShareCode | None = None
        self._cases: Sequence[Case] = ()

    @property
    def corrections(self) -> list[Correction]:
        """What was found so far, by dealer and holder."""
        cases = sorted(self._cases, key=attrgetter("dealer"))
        proven = self._liars.counts > 0 if self._evidence.signed else None
        return [one for case in cases for one in corrected(case, proven)]

    def secrets(self, cases: Sequence[Case]) -> dict[int, bytes]:
        """Return every dealer's secret, verified. Raises `Unrecoverable`."""
        self._cases = cases
        left = cases if self._evidence.signed else self._opened_together(cases)
        # In an order that dealers cannot know: else the first ones could be those that use the budget up.
        order = np.argsort(uniform((len(left),), self._randomness)).tolist()
        pending = [left[position] for position in order]
        while pending:
            deferred = self._opened_by_and_by(pending)
            if len(deferred) == len(pending):  # nothing was learnt from any of them
                self._guess(deferred.pop(0))
            pending = deferred
        return {case.dealer: case.secret for case in cases}

    def _opened_by_and_by(self, cases: Sequence[Case]) -> list[Case]:
        """Open what opens; return the dealers that are left.

        Only those are looked at that do not open without the liars that were found before: one at first, then twice as
        many at once each time, as what one look learns helps the next.
        """
        left: list[Case] = []
        waiting: list[Case] = []
        size = 1
        for start in range(0, len(cases), AT_ONCE):
            part = cases[start : start + AT_ONCE]
            self._leave_liars_out(part)
            waiting += closed(part)
            last = start + AT_ONCE >= len(cases)
            while len(waiting) >= size or (waiting and last):
                left += self._look(waiting[:size])
                waiting = waiting[size:]
                self._leave_liars_out(waiting)
                waiting = closed(waiting)
                size = min(2 * size, AT_ONCE)
        return left

    def _look(self, cases: Sequence[Case]) -> list[Case]:
        """Find wrong shares of some dealers; return those dealers that are left."""
        if have_same_holders(cases):
            if self._evidence.signed:
                work = sum(self._evidence.verdicts_work(case.dealer, case.have) for case in cases)
                if work > self._beside.left:  # then what opens proves nothing
                    self._decode_apart(cases)
                self._compare(closed(cases))
            self._decode_apart(closed(cases))
        return [case for case in cases if not (case.secret or self._opens(case))]

    def _opens(self, case: Case) -> bool:
        """Try to open a dealer's secret; tell whether it is open. Raises `Unrecoverable` where nothing can help."""
        try:
            if case.decoded:  # it was tried before
                self._work.spend(_LOOK)
            if case.tried < self._liars.learnt and any(self._settles(case, kept) for kept in self._liars.without(case)):
                return True
            if self._evidence.signed:
                self._open_signed(case)
                return True
            if not self._decodes(case):
                if comb(case.have, self._threshold) > _FEW:
                    return False
                self._guess(case)
            return True
        except OutOfWork:
            raise unrecoverable(case, self._evidence.signed) from None

    # --- holders that were found to lie

    def _leave_liars_out(self, cases: Sequence[Case]) -> None:
        """Try to open all these secrets without those that were found to lie, where all have the same holders."""
        stale = [case for case in cases if case.tried < self._liars.learnt]
        if stale and have_same_holders(cases):
            kept = self._liars.trusted(stale, worst=False)
            some = np.flatnonzero((kept != there_of(stale)).any(axis=1)).tolist()
            self._try([stale[place] for place in some], kept[some])

    def _settles(self, case: Case, kept: Mask) -> bool:
        """Open a secret with the shares kept, if they fit each other and the commitment."""
        self._try([case], kept[None, :])
        return bool(case.secret)

    def _try(self, cases: Sequence[Case], kept: Masks) -> None:
        """Open secrets with the shares kept, (dealers, m), where they fit each other and the commitment.

        The cases have the same points. Whose shares lie off the polynomials of an open secret is remembered.
        """
        if not cases:
            return
        for case in cases:
            case.tried = self._liars.learnt
        elements = elements_of(cases)
        secrets = shamir.secrets_of(*cases[0].points.read(kept, elements))
        opened = [
            place
            for place, (case, secret) in enumerate(zip(cases, secrets, strict=True))
            if secret is not None and self._evidence.verify(case.dealer, secret)
        ]
        if opened:
            limbs = elements if len(opened) == len(cases) else elements[:, opened]
            words = multiply(limbs.reshape(-1, shamir.LIMBS), self._combinations[:, :_NAMED])
            others = there_of([cases[place] for place in opened]) & ~kept[opened]
            off = cases[0].points.misfits(kept[opened], others, words.reshape(len(elements), len(opened), _NAMED))
            for place, wrong in zip(opened, off, strict=True):
                self._settle(cases[place], secrets[place], np.flatnonzero(wrong))

    def _settle(self, case: Case, secret: bytes | None, wrong: NDArray[np.intp]) -> None:
        assert secret is not None
        case.secret = secret
        case.wrong = wrong
        if not self._evidence.signed and wrong.size:  # else only what is proven counts
            self._liars.learn_of_dealer(case.holders[wrong].tolist())

    # --- signed shares

    def _compare(self, cases: Sequence[Case]) -> None:
        """Open secrets from what their dealers signed; whoever returned something else is at fault."""
        for case in cases:
            if not case.compared:
                self._leave_unsigned_out(case)
        enough = [case for case in cases if case.have >= self._threshold]
        if enough:
            self._try(enough, there_of(enough))

    def _leave_unsigned_out(self, case: Case) -> None:
        rows = np.flatnonzero(case.there)
        work = self._evidence.verdicts_work(case.dealer, rows.size)
        # Never refused: what is signed decides.
        (self._beside if work <= self._beside.left else self._work).spent(work)
        case.lied = rows[self._signed_others(case, rows)]
        self._liars.learn_of_dealer(case.holders[case.lied].tolist())
        case.there = case.there.copy()
        case.there[case.lied] = False
        case.compared = True

    def _signed_others(self, case: Case, rows: NDArray[np.intp]) -> list[bool]:
        """Tell for each of these shares whether it is certain that the dealer signed another one."""
        returned = case.shares[rows].tobytes()
        size = shamir.SHARE_BYTES
        shares = [returned[start : start + size] for start in range(0, len(returned), size)]
        verdicts = self._evidence.verdicts(case.dealer, case.holders[rows].tolist(), shares)
        return [verdict is Verdict.HOLDER for verdict in verdicts]

    def _open_signed(self, case: Case) -> None:
        """Open a secret, by what is left where what its dealer signed does not fit. Raises `Unrecoverable`."""
        if not case.compared:
            self._compare([case])
        if case.secret:
            return
        if case.have < self._threshold:
            if not self._opens_with_liars(case):
                raise Unrecoverable(case.dealer, case.have, frozenset(case.holders[case.lied].tolist()))
        elif not self._decodes(case):
            self._guess(case)

    def _opens_with_liars(self, case: Case) -> bool:
        """Try to open a secret with what came, right or not, where too little is right: whose is off says nothing."""
        honest = case.there
        case.there = case.returned
        try:
            opened = self._settles(case, case.there) or self._locates(case, case.there)
        except (OutOfWork, Unrecoverable):
            opened = False
        case.there = honest
        case.wrong = case.wrong[:0]
        return opened

    # --- decoding

    def _opened_together(self, cases: Sequence[Case]) -> Sequence[Case]:
        """Open what opens once liars are located for many dealers at once; return the dealers that are left.

        Liars may keep away from the dealers that are looked at together, by missing shares of the others: then those
        are looked at next. Each look opens half of them or is the last, so there are few.
        """
        left = cases
        while len(left) > 1 and self._locate_together(left):
            for start in range(0, len(left), AT_ONCE):
                self._leave_liars_out(left[start : start + AT_ONCE])
            still = closed(left)
            if 2 * len(still) > len(left):
                return still
            left = still
        return left

    def _locate_together(self, cases: Sequence[Case]) -> bool:
        """Locate the holders that lie about many dealers, where all dealers have the same holders; tell whether any
        were found."""
        spare = cases[0].holders.size - self._threshold
        if spare < 2 or not have_same_holders(cases):
            return False
        # What is missing is noise here. A dealer of garbage is missed by many: go by the half with the most shares.
        half = sorted(cases, key=lambda case: -case.have)[: (len(cases) + 1) // 2]
        asked = [case for case in cases if case.have >= half[-1].have]
        missed = (~there_of(asked)).sum(axis=0)
        often = missed * _OFTEN > len(asked)
        self._liars.learn(cases[0].holders[often].tolist(), len(asked))  # no lie perhaps, but nothing to go by
        spare -= int(often.sum())
        if spare < 2:
            return bool(often.any())
        # As many combinations of each dealer's limbs as give all the rank that errors of `spare` holders can have.
        columns = min(shamir.LIMBS, 1 + spare * 5 // (4 * len(asked)))
        words = folded(asked, self._combinations[:, :columns], self._randomness)[~often]
        words = words.reshape(len(words), -1)
        cost = 5 * spare**3 // 2
        if cost > self._beside.left:
            words = multiply(words, uniform((words.shape[1], CHECKS), self._randomness))
        else:
            self._beside.spend(cost)
        try:
            wrong = self._code_of(cases[0], ~often).wrong_shares(words, self._randomness)
        except TooManyErrors:
            return bool(often.any())
        self._liars.learn(list(wrong), len(asked))
        return bool(often.any() or wrong)

    def _decode_apart(self, cases: Sequence[Case]) -> None:
        """Locate the wrong shares of each of these dealers, which have the same holders.

        First among those of holders that were not found to lie about most dealers, if there are such liars, then among
        all. One dealer alone is left to a decoder that sees a few more wrong shares.
        """
        for worst in (True, False) if self._liars.notorious else (False,):
            cases = [case for case in closed(cases) if case.have >= self._threshold + 2]
            if len(cases) > 1:
                self._locate_apart(cases, self._liars.trusted(cases, worst=True) if worst else there_of(cases))

    def _locate_apart(self, cases: Sequence[Case], among: Masks) -> None:
        spare = cases[0].holders.size - self._threshold
        try:
            self._work.spend(len(cases) * spare * (spare + 500))
        except OutOfWork:
            return  # some of them may open with less
        points = cases[0].points
        words = folded(cases, self._combinations[:, :1], self._randomness)[:, :, 0]
        code = self._code_of(cases[0], np.ones_like(among[0]))
        wrong, found = code.wrong_apart(words, points.weights_of(among).T)
        self._work.spent(3 * spare * (spare * int((~found).sum()) + 2 * int(wrong.sum())))
        located = np.flatnonzero(found & wrong.any(axis=0)).tolist()
        self._try([cases[place] for place in located], (among & ~wrong.T)[located])

    def _decodes(self, case: Case) -> bool:
        """Locate a dealer's wrong shares: among all, then among those of holders that were not found to lie."""
        if not case.decoded:
            case.decoded = True
            if self._locates(case, case.there):
                return True
        return any(self._locates(case, trusted) for trusted in self._liars.without(case))

    def _locates(self, case: Case, among: Mask) -> bool:
        spare = int(among.sum()) - self._threshold
        if spare < 2:
            return False
        self._work.spend(500_000 + 9_000 * spare)
        try:
            wrong = self._code_of(case, among).wrong_shares(case.elements[among], self._randomness)
        except TooManyErrors:
            self._work.spent(700_000 + 50_000 * spare + spare**3 // 4)  # it takes longest to find nothing
            return False
        if len(wrong) > FEW_ERRORS:
            self._work.spent(20_000 * spare + spare**3 // 10)
        if not wrong and among is case.there:  # they fit each other: no other set of them gives another secret
            raise unrecoverable(case, self._evidence.signed)
        kept = among & ~np.isin(case.holders, list(wrong))
        return bool(wrong) and self._settles(case, kept)

    def _code_of(self, case: Case, among: Mask) -> ShareCode:
        points = tuple(case.holders[among].tolist())
        if self._code is None or self._code.points != points:
            self._code = ShareCode(points, self._threshold, weights=case.points.weights_of(among[None, :])[0, among])
        return self._code

    # --- guessing

    def _guess(self, case: Case) -> None:
        """Open a secret with any set of shares that gives the committed one. Raises `Unrecoverable`."""
        have = case.have
        spare = case.have - self._threshold
        each = 5_000 + 3 * spare**2 + 50 * spare + self._evidence.verify_work(case.dealer)
        most = self._work.left // each
        # Decoding would have found fewer. The chance that one guess leaves all of them out is then at most:
        chance = prod((spare - lie) / (have - lie) for lie in range((spare + 1) // 2))
        if not spare or most * chance < _HOPE:
            raise unrecoverable(case, self._evidence.signed)
        for left_out, secrets in case.points.guesses(case.elements, case.there, most, self._randomness):
            self._work.spend(each * len(secrets))
            for rows, secret in zip(left_out, secrets, strict=True):
                if secret is not None and self._evidence.verify(case.dealer, secret):
                    kept = case.there.copy()
                    kept[rows] = False
                    self._settles(case, kept)
                    return
        raise unrecoverable(case, self._evidence.signed)
