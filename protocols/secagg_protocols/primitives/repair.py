"""Opening secrets although some of their shares are wrong, within a budget of work for the whole round.

A dealer after the other, and what is learnt at one is used at the next:

1. The holders that were found to lie are left out. If what the others returned fits and gives the committed secret,
   that is it.
2. Signed shares are compared with what the dealer signed, every one of them. What differs is out, and its holder is at
   fault; what is left are the dealer's own words. So it can only be blamed for those: no polynomial that liars agree on
   decides.
3. Else Reed–Solomon decoding locates the wrong shares. Where all dealers have the same holders, of many of them at
   once, and of those that are left, as long as each look opens half of them.
4. Beyond its reach the commitment decides which shares are right: sets of them are tried.

1 and 2 take no more work than the honest step does, for every liar there is; 3 and 4 go as far as the budget.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import comb, prod
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from ..errors import SERVER, SecAggError
from . import shamir
from .blame import Correction, Evidence, Unrecoverable, Verdict
from .field import PRIME, Elements, multiply, uniform
from .interpolation import CHECKS, Interpolation, Mask
from .randomness import Randomness
from .reed_solomon import FEW_ERRORS, ShareCode, TooManyErrors

BUDGET = 500_000_000
"""Work that decoding and guessing may cost in one round, in units of about a nanosecond."""

_TOGETHER = 600_000_000
"""Work that locating liars for many dealers at once may cost beside it; beyond, few kinds of lies count."""

_DEALERS_AT_ONCE, _NOTHING = 64, np.uint8(0)

_LOOK = 200_000
"""What one more look at a dealer's shares costs at least."""

_OFTEN = 4
"""A holder that misses more than one of so many dealers' shares is not asked about any of them at first."""

_FEW = 1 << 12
"""So many sets of shares are tried at once, more only when nothing else is left to do."""

_HOPE = 0.01
"""With less chance of success than this, nothing is guessed."""


class OutOfWork(SecAggError):
    """The budget is spent."""


class Work:
    """What may still be spent."""

    def __init__(self, budget: int) -> None:
        self.left = budget

    def spend(self, amount: int) -> None:
        """Take an amount, or raise `OutOfWork` and take nothing."""
        if amount > self.left:
            raise OutOfWork("the work that one round may cost is spent")
        self.left -= amount

    def spent(self, amount: int) -> None:
        """Take an amount that was spent already."""
        self.left -= min(amount, self.left)


@dataclass(slots=True, eq=False)
class Case:
    """A dealer whose shares do not give its secret. holders: m ids. shares: (m, SHARE_BYTES). there: those to go by."""

    dealer: int
    holders: NDArray[np.int64]
    shares: NDArray[np.uint8]
    there: Mask
    points: Interpolation
    secret: bytes = b""
    wrong: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    """The rows whose shares lie off the polynomials that the secret is from."""
    decoded: bool = False
    """Whether locating the wrong shares among all was tried."""
    tried: int = -1
    """What was learnt of liars when it was last tried without them."""
    compared: bool = False
    """Whether only shares are there that the dealer signed."""

    @property
    def elements(self) -> Elements:
        """The shares in elements, (m, LIMBS); anything for those that are not there."""
        shares = self.shares if self.there.all() else np.where(self.there[:, None], self.shares, _NOTHING)
        return shamir.decode(shares)

    @property
    def have(self) -> int:
        """How many shares are there."""
        return int(self.there.sum())


class Repair:
    """Opens the secrets of dealers whose shares do not fit, and keeps the corrections."""

    def __init__(self, threshold: int, evidence: Evidence, randomness: Randomness) -> None:
        self._threshold, self._evidence, self._randomness = threshold, evidence, randomness
        self._work = Work(BUDGET)
        self._together = _TOGETHER
        self._lies = np.zeros(PRIME, dtype=np.int64)  # by holder: how often it was found to lie
        self._learnt = 0  # how often something new was found
        self._combinations = uniform((shamir.LIMBS, shamir.LIMBS), randomness)  # of limbs: nobody can know them
        self._code: ShareCode | None = None
        self._noted: defaultdict[int, list[Correction]] = defaultdict(list)

    @property
    def corrections(self) -> list[Correction]:
        """What was found so far, by dealer and holder."""
        order = attrgetter("holder")
        return [one for dealer in sorted(self._noted) for one in sorted(self._noted[dealer], key=order)]

    def secrets(self, cases: Sequence[Case]) -> dict[int, bytes]:
        """Return every dealer's secret, verified. Raises `Unrecoverable`."""
        left = cases if self._evidence.signed else self._opened_together(cases)
        # In an order that dealers cannot know: else the first ones could be those that use the budget up.
        order = np.argsort(uniform((len(left),), self._randomness)).tolist()
        pending = [left[position] for position in order]
        while pending:
            deferred: list[Case] = []
            for start in range(0, len(pending), _DEALERS_AT_ONCE):
                part = pending[start : start + _DEALERS_AT_ONCE]
                self._leave_liars_out(part)
                deferred += [case for case in part if not (case.secret or self._opens(case))]
            if len(deferred) == len(pending):  # nothing was learnt from any of them
                self._guess(deferred.pop(0))
            pending = deferred
        for case in cases:
            self._noted[case.dealer] += self._corrected(case)
        return {case.dealer: case.secret for case in cases}

    def _opens(self, case: Case) -> bool:
        """Try to open a dealer's secret; tell whether it is open. Raises `Unrecoverable` where nothing can help."""
        try:
            if case.decoded:  # it was tried before
                self._work.spend(_LOOK)
            if case.tried < self._learnt and any(self._settles(case, kept) for kept in self._without_liars(case)):
                return True
            if self._evidence.signed:
                self._compare(case)
                return True
            if not self._decodes(case):
                if comb(case.have, self._threshold) > _FEW:
                    return False
                self._guess(case)
            return True
        except OutOfWork:
            raise self._unrecoverable(case) from None

    def _unrecoverable(self, case: Case) -> Unrecoverable:
        if self._evidence.signed:  # what is left is what the dealer signed
            return Unrecoverable(case.dealer, case.have, frozenset({case.dealer}))
        holders = case.holders[case.there].tolist()
        return Unrecoverable(case.dealer, case.have, frozenset({case.dealer, SERVER, *holders}))

    # --- holders that were found to lie

    def _leave_liars_out(self, cases: Sequence[Case]) -> None:
        """Try to open all these secrets without those that were found to lie, where all have the same holders."""
        if any(case.points is not cases[0].points for case in cases):
            return
        stale = [case for case in cases if case.tried < self._learnt]
        left = [(case, masks[0]) for case in stale if (masks := self._without_liars(case))]
        if left:
            self._try([case for case, _ in left], [mask for _, mask in left])

    def _without_liars(self, case: Case) -> list[Mask]:
        """Return whom to go by without those found to lie: all of them; those found as often as half of the worst.

        Without signatures a bad dealer makes liars of honest holders, but only at itself.
        """
        lies, most = self._lies[case.holders] * case.there, case.have - self._threshold
        masks = list[Mask]()
        for least in (1, lies.max() // 2):
            rows = np.flatnonzero(lies >= max(1, least))
            if rows.size > most:
                rows = rows[np.argsort(-lies[rows], kind="stable")[:most]]
            kept = case.there.copy()
            kept[rows] = False
            if rows.size and not any(np.array_equal(kept, mask) for mask in masks):
                masks.append(kept)
        return masks

    def _settles(self, case: Case, kept: Mask) -> bool:
        """Open a secret with the shares kept, if they fit each other and the commitment."""
        self._try([case], [kept])
        return bool(case.secret)

    def _try(self, cases: Sequence[Case], kept: Sequence[Mask]) -> None:
        """Open secrets with the shares kept, where they fit each other and the commitment.

        The cases have the same points. Whose shares lie off the polynomials of an open secret is remembered.
        """
        masks = np.stack(kept)
        for case in cases:
            case.tried = self._learnt
        elements = np.stack([case.elements for case in cases], axis=1)
        secrets = shamir.secrets_of(*cases[0].points.read(masks, elements))
        opened = [
            place
            for place, (case, secret) in enumerate(zip(cases, secrets, strict=True))
            if secret is not None and self._evidence.verify(case.dealer, secret)
        ]
        if opened:
            words = multiply(elements[:, opened].reshape(-1, shamir.LIMBS), self._combinations[:, :CHECKS])
            others = np.stack([cases[place].there for place in opened]) & ~masks[opened]
            words = words.reshape(len(elements), len(opened), CHECKS)
            off = cases[0].points.misfits(masks[opened], others, words)
            for place, wrong in zip(opened, off, strict=True):
                self._settle(cases[place], secrets[place], np.flatnonzero(wrong))

    def _settle(self, case: Case, secret: bytes | None, wrong: NDArray[np.intp]) -> None:
        assert secret is not None
        case.secret, case.wrong = secret, wrong
        if not self._evidence.signed:  # else only what is proven counts
            self._learn(case.holders[wrong].tolist(), 1)

    def _learn(self, liars: Sequence[int], times: int) -> None:
        if liars:
            self._lies[liars] += times
            self._learnt += 1

    # --- signed shares

    def _compare(self, case: Case) -> None:
        """Open a secret from what its dealer signed; whoever returned something else is at fault."""
        rows = np.flatnonzero(case.there)
        self._work.spent(self._evidence.verdicts_work(case.dealer, rows.size))  # never refused: what is signed decides
        lied = self._signed_others(case, rows)
        out = case.there.copy()
        out[rows] = lied
        liars = case.holders[out].tolist()
        self._learn(liars, 1)
        self._noted[case.dealer] += [Correction(case.dealer, holder, (holder,)) for holder in liars]
        every, case.there, case.compared = case.there, case.there & ~out, True
        if case.have < self._threshold:
            if not self._opens_with_liars(case, every):
                raise Unrecoverable(case.dealer, case.have, frozenset(liars))
        elif not (self._settles(case, case.there) or self._decodes(case)):
            self._guess(case)

    def _opens_with_liars(self, case: Case, every: Mask) -> bool:
        """Try to open a secret of which too few right shares came: liars may have agreed on others that give it too.

        Whose shares lie off their polynomials says nothing.
        """
        honest, case.there = case.there, every
        try:
            opened = self._settles(case, every) or self._locates(case, every)
        except (OutOfWork, Unrecoverable):
            opened = False
        case.there, case.wrong = honest, case.wrong[:0]
        return opened

    # --- decoding

    def _opened_together(self, cases: Sequence[Case]) -> Sequence[Case]:
        """Open what opens once liars are located for many dealers at once; return the dealers that are left.

        Liars may keep away from the dealers that are looked at together, by missing shares of the others: then those
        are looked at next. Each look opens half of them or is the last, so there are few.
        """
        left = cases
        while len(left) > 1 and self._locate_together(left):
            for start in range(0, len(left), _DEALERS_AT_ONCE):
                self._leave_liars_out(left[start : start + _DEALERS_AT_ONCE])
            still = [case for case in left if not case.secret]
            if 2 * len(still) > len(left):
                return still
            left = still
        return left

    def _locate_together(self, cases: Sequence[Case]) -> bool:
        """Locate the holders that lie about many dealers, where all dealers have the same holders; tell whether any
        were found."""
        points, spare = cases[0].points, cases[0].holders.size - self._threshold
        if spare < 2 or any(case.points is not points for case in cases):
            return False
        # What is missing is noise here. A dealer of garbage is missed by many: go by the half with the most shares.
        half = sorted(cases, key=lambda case: -case.have)[: (len(cases) + 1) // 2]
        asked = [case for case in cases if case.have >= half[-1].have]
        missed = (~np.stack([case.there for case in asked])).sum(axis=0)
        often = missed * _OFTEN > len(asked)
        self._learn(cases[0].holders[often].tolist(), len(asked))  # no lie perhaps, but nothing to go by
        spare -= int(often.sum())
        if spare < 2:
            return bool(often.any())
        # As many combinations of each dealer's limbs as give all the rank that errors of `spare` holders can have.
        columns = min(shamir.LIMBS, 1 + spare * 5 // (4 * len(asked)))
        words = np.concatenate([self._folded(case, columns)[~often] for case in asked], axis=1)
        cost = 5 * spare**3 // 2
        if cost > self._together:
            words = multiply(words, uniform((words.shape[1], CHECKS), self._randomness))
        else:
            self._together -= cost
        try:
            wrong = self._code_of(cases[0], ~often).wrong_shares(words, self._randomness)
        except TooManyErrors:
            return bool(often.any())
        self._learn(list(wrong), len(asked))
        return bool(often.any() or wrong)

    def _folded(self, case: Case, columns: int) -> Elements:
        """Return random combinations of a secret's limbs, (m, columns); noise for shares that are not there."""
        words = multiply(case.elements, self._combinations[:, :columns])
        words[~case.there] = uniform((case.holders.size - case.have, columns), self._randomness)
        return words

    def _decodes(self, case: Case) -> bool:
        """Locate a dealer's wrong shares: among all, then among those of holders that were not found to lie."""
        if not case.decoded:
            case.decoded = True
            if self._locates(case, case.there):
                return True
        return any(self._locates(case, trusted) for trusted in self._without_liars(case))

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
            raise self._unrecoverable(case)
        kept = among & ~np.isin(case.holders, list(wrong))
        return bool(wrong) and self._settles(case, kept)

    def _code_of(self, case: Case, among: Mask) -> ShareCode:
        points = tuple(case.holders[among].tolist())
        if self._code is None or self._code.points != points:
            self._code = ShareCode(points, self._threshold, weights=case.points.weights(among))
        return self._code

    # --- guessing

    def _guess(self, case: Case) -> None:
        """Open a secret with any set of shares that gives the committed one. Raises `Unrecoverable`."""
        have, spare = case.have, case.have - self._threshold
        each = 5_000 + 3 * spare**2 + 50 * spare + self._evidence.verify_work(case.dealer)
        most = self._work.left // each
        # Decoding would have found fewer. The chance that one guess leaves all of them out is then at most:
        chance = prod((spare - lie) / (have - lie) for lie in range((spare + 1) // 2))
        if not spare or most * chance < _HOPE:
            raise self._unrecoverable(case)
        for left_out, secrets in case.points.guesses(case.elements, case.there, most, self._randomness):
            self._work.spend(each * len(secrets))
            for rows, secret in zip(left_out, secrets, strict=True):
                if secret is not None and self._evidence.verify(case.dealer, secret):
                    kept = case.there.copy()
                    kept[rows] = False
                    self._settles(case, kept)
                    return
        raise self._unrecoverable(case)

    # --- who was wrong

    def _corrected(self, case: Case) -> list[Correction]:
        """Return the corrections of shares that lie off the polynomials.

        A dealer that signed one is only to blame if all the others are its own words too. Else its holder was left out
        because it returned something else than what another dealer signed.
        """
        dealer, holders = case.dealer, case.holders[case.wrong].tolist()
        if not self._evidence.signed:
            return [Correction(dealer, holder, (dealer, holder, SERVER)) for holder in holders]
        if case.compared:
            return [Correction(dealer, holder, (dealer,)) for holder in holders]
        return [Correction(dealer, holder, (holder,)) for holder in holders]

    def _signed_others(self, case: Case, rows: NDArray[np.intp]) -> list[bool]:
        """Tell for each of these shares whether it is certain that the dealer signed another one."""
        shares = [share.tobytes() for share in case.shares[rows]]
        verdicts = self._evidence.verdicts(case.dealer, case.holders[rows].tolist(), shares)
        return [verdict is Verdict.HOLDER for verdict in verdicts]
