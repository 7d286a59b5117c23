"""Random mixes of liars, bad dealers and missing shares: the secrets are right or the round ends, and blame is fair."""

import numpy as np
import pytest

from secagg_protocols.primitives import shamir
from secagg_protocols.primitives.randomness import SYSTEM
from secagg_protocols.primitives.recovery import OpenedShares, Recovery, Unrecoverable, Verdict

P = 65537


class Told:
    """What a server knows: the secrets committed to and, if signed, the shares that each dealer dealt."""

    def __init__(self, secrets, dealt, signed, two_lists):
        self._secrets, self._dealt, self.signed, self._two_lists = secrets, dealt, signed, two_lists

    def verify(self, dealer, secret):
        return secret == self._secrets[dealer - 1]

    def verify_work(self, dealer):
        return 8_000

    def verdicts(self, dealer, holders, shares):
        if dealer in self._two_lists:
            return [Verdict.DEALER] * len(holders)
        own = [self._dealt[holder - 1, dealer - 1].tobytes() for holder in holders]
        return [Verdict.DEALER if a == b else Verdict.HOLDER for a, b in zip(own, shares, strict=True)]

    def verdicts_work(self, dealer, count):
        return 1_400 * count


class Mix:
    """A round in which some deal and some open what they should not."""

    def __init__(self, seed, signed):
        self.draw = draw = np.random.default_rng(seed)
        self.n = n = int(draw.integers(4, 16))
        self.threshold = t = int(draw.integers(n // 2 + 1 if signed else 2, n + 1))
        self.secrets = [draw.bytes(32) for _ in range(n)]
        self.dealt = shamir.deal(self.secrets, range(1, n + 1), t, SYSTEM)
        cheats = draw.permutation(np.arange(1, n + 1))[: draw.integers(0, n - t + 1)]
        bad = int(draw.integers(0, 3)) * draw.integers(0, 2)
        self.bad, self.liars = set(cheats[:bad].tolist()), set(cheats[bad:].tolist())
        for dealer in self.bad:
            off = draw.choice(n, draw.integers(1, n - t + 2), replace=False)
            self.dealt[off, dealer - 1] = self.noise(off.size)
        self.told = Told(self.secrets, self.dealt, signed, {dealer for dealer in self.bad if draw.random() < 0.3})
        answer = sorted(self.liars | set(draw.permutation(np.arange(1, n + 1))[: draw.integers(t, n + 1)].tolist()))
        shares = self.dealt[np.array(answer) - 1].copy()
        self.present = np.ones(shares.shape[:2], dtype=bool)
        agreed = draw.integers(1, P, (n, shamir.LIMBS))
        zeros = draw.choice(answer, min(t - 2, len(answer)), replace=False)
        for row, holder in enumerate(answer):
            if holder in self.liars:
                self.lie(row, holder, shares, agreed, zeros)
        self.opened = OpenedShares(tuple(answer), tuple(range(1, n + 1)), shares, self.present)

    def noise(self, count):
        return shamir.encode(self.draw.integers(0, P, (count, shamir.LIMBS)))

    def lie(self, row, holder, shares, agreed, zeros):
        way = self.draw.integers(0, 5)
        about = np.flatnonzero(self.draw.random(self.n) < self.draw.choice([0.1, 0.5, 1.0]))
        if way == 0:
            shares[row, about] = self.noise(about.size)
        elif way == 1:
            self.present[row, about[about != holder - 1]] = False
        elif way == 2:  # keep a share and mirror another's
            shares[row, about] = shares[(row + 1) % len(shares), about]
        else:
            value = holder if way == 3 else int(self.draw.integers(1, P))
            for zero in zeros.tolist() if way == 3 else ():
                value = value * (holder - zero) % P
            elements = shamir.decode(shares[row, about])
            shares[row, about] = shamir.encode((elements + value * agreed[about]) % P)


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_secrets_are_right_or_the_round_ends_and_nobody_honest_is_blamed_alone(signed):
    opened = 0
    for seed in range(200):
        mix = Mix(seed, signed)
        recovery = Recovery(mix.threshold, mix.told, SYSTEM)
        guilty = mix.bad | mix.liars
        try:
            found = recovery.secrets(mix.opened)
        except Unrecoverable as failure:
            assert failure.culprits & guilty
            enough = len(set(mix.opened.holders) - mix.liars) >= mix.threshold
            assert not (signed and enough and not mix.bad), seed
        else:
            opened += 1
            assert found == dict(enumerate(mix.secrets, 1))
        for one in recovery.corrections:
            if signed:
                assert one.culprits & guilty, seed
                assert one.culprits <= {one.dealer, one.holder}
            else:
                assert one.culprits == {one.dealer, one.holder, 0}
    assert opened > 100
