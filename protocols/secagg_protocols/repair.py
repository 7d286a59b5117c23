"""Opening secrets although some of their shares are wrong, within a budget of work for the whole round.

A dealer after the other, and what is learnt at one is used at the next:

1. The holders that were found to lie are left out. If what the others returned fits and gives the committed secret,
   that is it.
2. Signed shares are compared with what the dealer signed, every one of them. What differs is out, and its holder is at
   fault; what is left are the dealer's own words. So it can only be blamed for those: no polynomial that liars agree on
   decides.
3. Else Reed–Solomon decoding locates the wrong shares. Where all dealers have the same holders, of all of them at once.
4. Beyond its reach the commitment decides which shares are right: sets of them are tried.

1 and 2 take no more work than the honest step does, for every liar there is; 3 and 4 go as far as the budget.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import shamir
from .blame import Correction, Evidence, Unrecoverable, Verdict
from .errors import SERVER, SecAggError
from .field import PRIME, Elements, multiply, uniform
from .interpolation import CHECKS, Interpolation, Mask
from .randomness import Randomness
from .reed_solomon import ShareCode, TooManyErrors

BUDGET = 1_500_000_000
"""Work that one round may cost beyond its honest steps, in units of about a nanosecond."""

_LOOK = 200_000
"""What one look at a dealer's shares costs at least."""


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


@dataclass(slots=True, eq=False)
class Case:
    """A dealer whose shares do not give its secret. holders: m ids. shares: (m, SHARE_BYTES). there: those to go by."""

    dealer: int
    holders: NDArray[np.int64]
    shares: NDArray[np.uint8]
    there: Mask
    points: Interpolation
    secret: bytes = b""
    kept: Mask | None = None
    decoded: bool = False
    """Whether locating the wrong shares among all was tried."""
    compared: bool = False
    """Whether only shares are there that the dealer signed."""

    @property
    def elements(self) -> Elements:
        """The shares in elements, (m, LIMBS); anything for those that are not there."""
        shares = self.shares if self.there.all() else np.where(self.there[:, None], self.shares, 0).astype(np.uint8)
        return shamir.decode(shares)

    def share(self, row: int) -> bytes:
        """Return what a holder returned."""
        share: bytes = self.shares[row].tobytes()
        return share

    @property
    def have(self) -> int:
        """How many shares are there."""
        return int(self.there.sum())


class Repair:
    """Opens the secrets of dealers whose shares do not fit, and keeps the corrections."""

    def __init__(self, threshold: int, evidence: Evidence, randomness: Randomness) -> None:
        self._threshold, self._evidence, self._randomness = threshold, evidence, randomness
        self._work = Work(BUDGET)
        self._lies = np.zeros(PRIME, dtype=np.int64)  # by holder: how often it was found to lie
        self._code: ShareCode | None = None
        self.corrections: list[Correction] = []

    def secrets(self, cases: Sequence[Case]) -> dict[int, bytes]:
        """Return every dealer's secret, verified. Raises `Unrecoverable`."""
        if not self._evidence.signed:
            self._locate_together(cases)
        pending = list(cases)
        while pending:
            deferred = [case for case in pending if not self._opens(case)]
            if len(deferred) == len(pending):  # nothing was learnt from any of them
                self._guess(deferred.pop(0))
            pending = deferred
        self._note_wrong_shares(cases)
        return {case.dealer: case.secret for case in cases}

    def _opens(self, case: Case) -> bool:
        """Try to open a dealer's secret; tell whether it is open. Raises `Unrecoverable` where nothing can help."""
        try:
            if case.decoded:  # it was tried before
                self._work.spend(_LOOK)
            trusted = self._without_liars(case)
            if trusted is not None and self._settles(case, trusted):
                return True
            if self._evidence.signed:
                self._compare(case)
                return True
            return self._decodes(case)
        except OutOfWork:
            raise self._unrecoverable(case) from None

    def _unrecoverable(self, case: Case) -> Unrecoverable:
        if self._evidence.signed:  # what is left is what the dealer signed
            return Unrecoverable(case.dealer, case.have, frozenset({case.dealer}))
        holders = case.holders[case.there].tolist()
        return Unrecoverable(case.dealer, case.have, frozenset({case.dealer, SERVER, *holders}))

    # --- holders that were found to lie

    def _without_liars(self, case: Case) -> Mask | None:
        """Return whom to go by without those found to lie, most often first, as far as enough are left."""
        lies = self._lies[case.holders] * case.there
        rows, most = np.flatnonzero(lies), case.have - self._threshold
        if rows.size > most:
            rows = rows[np.argsort(-lies[rows], kind="stable")[:most]]
        if not rows.size:
            return None
        kept = case.there.copy()
        kept[rows] = False
        return kept

    def _settles(self, case: Case, kept: Mask) -> bool:
        """Open the secret with the shares kept, if they fit each other and the commitment."""
        values = multiply(case.points.forms(kept), case.elements[kept])
        (secret,) = shamir.secrets_of(values[:1])
        if values[1:].any() or secret is None or not self._evidence.verify(case.dealer, secret):
            return False
        case.secret, case.kept = secret, kept
        return True

    # --- signed shares

    def _compare(self, case: Case) -> None:
        """Open a secret from what its dealer signed; whoever returned something else is at fault."""
        out = np.zeros_like(case.there)
        for row in np.flatnonzero(case.there).tolist():
            holder = int(case.holders[row])
            verdict = self._evidence.verdict(case.dealer, holder, case.share(row))
            if verdict is Verdict.HOLDER:
                out[row] = True
                self._lies[holder] += 1
                self.corrections.append(Correction(case.dealer, holder, verdict.culprits(case.dealer, holder)))
        case.there, case.compared = case.there & ~out, True
        if case.have < self._threshold:
            raise Unrecoverable(case.dealer, case.have, frozenset(case.holders[out].tolist()))
        if not (self._settles(case, case.there) or self._decodes(case)):
            self._guess(case)

    # --- decoding

    def _locate_together(self, cases: Sequence[Case]) -> None:
        """Locate the holders that lie about many dealers, where all dealers have the same holders."""
        points, spare = cases[0].points, cases[0].holders.size - self._threshold
        if len(cases) == 1 or spare < 2 or any(case.points is not points for case in cases):
            return
        # Missing shares are noise here. So go by the half that misses fewest: a dealer of garbage is missed by many.
        half = sorted(cases, key=lambda case: -case.have)[: (len(cases) + 1) // 2]
        asked = [case for case in cases if case.have >= half[-1].have]
        columns = min(shamir.LIMBS, 1 + spare * 5 // (4 * len(asked)))
        holders = cases[0].holders
        try:
            self._work.spend(6 * spare**3 + 100 * holders.size * len(asked) * columns)
            words = np.concatenate([self._folded(case, columns) for case in asked], axis=1)
            wrong = self._code_of(holders).wrong_shares(words, self._randomness)
        except (OutOfWork, TooManyErrors):
            return
        self._lies[list(wrong)] += len(asked)

    def _folded(self, case: Case, columns: int) -> Elements:
        """Return random combinations of a secret's limbs, (m, columns); noise for shares that are not there."""
        words = multiply(case.elements, uniform((shamir.LIMBS, columns), self._randomness))
        words[~case.there] = uniform((case.holders.size - case.have, columns), self._randomness)
        return words

    def _decodes(self, case: Case) -> bool:
        """Locate a dealer's wrong shares: among all, then among those of holders that were not found to lie."""
        if not case.decoded:
            case.decoded = True
            if self._locates(case, case.there):
                return True
        trusted = self._without_liars(case)
        return trusted is not None and self._locates(case, trusted)

    def _locates(self, case: Case, among: Mask) -> bool:
        spare = int(among.sum()) - self._threshold
        rank = min(shamir.LIMBS, spare)
        self._work.spend(1_000_000 + 40_000 * spare + (spare + rank) ** 3 // 3)
        try:
            wrong = self._code_of(case.holders[among]).wrong_shares(case.elements[among], self._randomness)
        except TooManyErrors:
            return False
        if not wrong and among is case.there:  # they fit each other: no other set of them gives another secret
            raise self._unrecoverable(case)
        kept = among & ~np.isin(case.holders, list(wrong))
        if not (wrong and self._settles(case, kept)):
            return False
        self._lies[list(wrong)] += 1
        return True

    def _code_of(self, holders: NDArray[np.int64]) -> ShareCode:
        points = tuple(holders.tolist())
        if self._code is None or self._code.points != points:
            self._code = ShareCode(points, self._threshold)
        return self._code

    # --- guessing

    def _guess(self, case: Case) -> None:
        """Open a secret with any set of shares that gives the committed one. Raises `Unrecoverable`."""
        spare = case.have - self._threshold
        each = 5_000 + 3 * spare**2 + 50 * spare + self._evidence.verify_work(case.dealer)
        guesses = case.points.guesses(case.elements, case.there, self._work.left // each, self._randomness)
        for left_out, secrets in guesses if spare else ():
            self._work.spend(each * len(secrets))
            for rows, secret in zip(left_out, secrets, strict=True):
                if secret is not None and self._evidence.verify(case.dealer, secret):
                    kept = case.there.copy()
                    kept[rows] = False
                    case.secret, case.kept = secret, kept
                    self._take_back(case)
                    return
        raise self._unrecoverable(case)

    def _take_back(self, case: Case) -> None:
        """Keep whoever was left out by chance: its share fits. The others lie."""
        off = self._misfits([case])[:, 0]
        case.kept = case.there.copy()
        case.kept[np.flatnonzero(off)] = False
        self._lies[case.holders[off]] += 1

    # --- who was wrong

    def _misfits(self, cases: Sequence[Case]) -> NDArray[np.bool_]:
        """Tell whose shares are there and lie off the polynomials: (m, dealers). All have the same kept and there."""
        first = cases[0]
        assert first.kept is not None
        others = first.there & ~first.kept
        words = np.concatenate([self._folded(case, CHECKS) for case in cases], axis=1)
        off = np.zeros((first.holders.size, len(cases)), dtype=np.bool_)
        if others.any():
            expected = multiply(first.points.values_at(first.kept, others), words[first.kept])
            off[others] = (expected != words[others]).reshape(-1, len(cases), CHECKS).any(axis=2)
        return off

    def _note_wrong_shares(self, cases: Sequence[Case]) -> None:
        alike: defaultdict[tuple[int, bytes, bytes], list[Case]] = defaultdict(list)
        for case in cases:
            assert case.kept is not None
            if not np.array_equal(case.kept, case.there):
                alike[id(case.points), case.kept.tobytes(), case.there.tobytes()].append(case)
        for group in alike.values():
            off = self._misfits(group)
            for case, column in zip(group, off.T, strict=True):
                self._note(case, np.flatnonzero(column).tolist())
        self.corrections.sort(key=lambda one: (one.dealer, one.holder))

    def _note(self, case: Case, rows: Iterable[int]) -> None:
        for row in rows:
            holder = int(case.holders[row])
            self.corrections.append(Correction(case.dealer, holder, self._culprits(case, row, holder)))

    def _culprits(self, case: Case, row: int, holder: int) -> frozenset[int]:
        """Return who is at fault for a share that lies off the polynomials.

        A dealer that signed it is only to blame if all the others are its own words too. Else it or the holder is: the
        holder was left out because it was found to lie.
        """
        if not self._evidence.signed:
            return Verdict.UNSIGNED.culprits(case.dealer, holder)
        if case.compared:
            return Verdict.DEALER.culprits(case.dealer, holder)
        try:
            self._work.spend(self._evidence.verdict_work(case.dealer))
        except OutOfWork:
            return frozenset({case.dealer, holder})
        if self._evidence.verdict(case.dealer, holder, case.share(row)) is Verdict.HOLDER:
            return Verdict.HOLDER.culprits(case.dealer, holder)
        return frozenset({case.dealer, holder})
