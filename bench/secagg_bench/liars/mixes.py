"""Mixes of liars: who lies, and how. Each changes true answers; none knows what the server draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from secagg_protocols.primitives.field import Elements

from .shares import OF_THE_SUM, Answer
from .stage import BadDealers, Stage

Answers = dict[int, Answer]


@dataclass(frozen=True, slots=True)
class Lie:
    """What holders answer (those left out do not), and who of them lies."""

    answers: Answers
    liars: frozenset[int]


class Script:
    """The means of liars in one round. All that they do follows from `seed`."""

    def __init__(self, stage: Stage, seed: int = 0) -> None:
        self.stage = stage
        self.draw = np.random.default_rng(seed)
        n = stage.scheme.participants
        t = stage.scheme.quorum
        self.neighbours = stage.holders_of(stage.answers[1].dealers[0])
        self.sparse = len(self.neighbours) < n
        self.spare = len(self.neighbours) - t
        """m − t, where all answer."""
        self.many = n // 3 if self.sparse else n - t
        """As many liars as may be: n − t. On a sparse graph t is a number of neighbours; then a third of all."""

    def pick(self, count: int) -> list[int]:
        """Return holders of one dealer's shares; any where there are not so many."""
        among = self.neighbours if count <= len(self.neighbours) else tuple(self.stage.answers)
        return sorted(self.draw.choice(among, count, replace=False).tolist())

    def lie(self, liars: Sequence[int], change: Callable[[int, Answer], Answer]) -> Lie:
        """Let liars change their answers."""
        changed = {holder: change(holder, self.stage.answers[holder]) for holder in liars}
        return Lie({**self.stage.answers, **changed}, frozenset(liars))

    def noise(self, holder: int, answer: Answer) -> Answer:
        """Answer with uniform elements."""
        return replace(answer, elements=self.draw.integers(0, self.stage.modulus, answer.elements.shape))

    def along(self, factors: Mapping[int, int]) -> Callable[[int, Answer], Answer]:
        """Return how liars answer that agree on one vector for each dealer, each with a factor of its own."""
        modulus = self.stage.modulus
        columns = self.stage.answers[1].elements.shape[1]
        dealers = range(self.stage.scheme.participants + 1)
        agreed = self.draw.integers(1, modulus, (len(dealers), columns))

        def change(holder: int, answer: Answer) -> Answer:
            vectors: Elements = agreed[list(answer.dealers)]
            return replace(answer, elements=(answer.elements + factors[holder] * vectors % modulus) % modulus)

        return change

    def in_concert(self, count: int) -> Lie:
        """All along multiples of one vector: nothing but their number helps to find them."""
        liars = self.pick(count)
        factors = self.draw.integers(1, 1 << 16, count).tolist()
        return self.lie(liars, self.along(dict(zip(liars, factors, strict=True))))

    def missing(self, holder: int, answer: Answer) -> Answer:
        """Say that half of the shares never came."""
        if answer.dealers == (OF_THE_SUM,):
            return replace(answer, missing=(holder % self.stage.scheme.participants + 1,))
        others = [dealer for dealer in answer.dealers if dealer != holder and self.draw.random() < 0.5]
        return replace(answer, missing=tuple(others))

    def about_few(self, holder: int, answer: Answer) -> Answer:
        """Lie about a twentieth of all dealers only."""
        lied = self.draw.random(len(answer.dealers)) < 0.05
        lied[self.draw.integers(len(answer.dealers))] = True
        return replace(answer, elements=np.where(lied[:, None], self.noise(holder, answer).elements, answer.elements))


# --- the mixes


def nobody(script: Script) -> Lie:
    """Lie in nothing."""
    return Lie(dict(script.stage.answers), frozenset())


def one_at_the_threshold(script: Script) -> Lie:
    """One lies, and so few others answer that t of them are left."""
    t = script.stage.scheme.quorum
    answering = set(script.pick(t + 1))
    (liar,) = [sorted(answering)[t // 2]]
    lie = script.lie([liar], script.noise)
    silent = set(script.neighbours) - answering
    return Lie({holder: answer for holder, answer in lie.answers.items() if holder not in silent}, lie.liars)


def half_in_concert(script: Script) -> Lie:
    """Half of the spare shares are wrong, along multiples of one vector."""
    return script.in_concert(script.spare // 2)


def framing(script: Script) -> Lie:
    """Shares are shifted by a polynomial that is 0 at 0 and at t − 2 others: it fits them, and gives the secret."""
    liars = script.pick(script.many if script.stage.scheme.active else script.spare // 2)
    others = [holder for holder in script.neighbours if holder not in liars][: script.stage.scheme.quorum - 2]
    modulus = int(script.stage.modulus[0])
    factors = {}
    for liar in liars:
        value = liar
        for other in others:
            value = value * (liar - other) % modulus
        factors[liar] = value
    return script.lie(liars, script.along(factors))


def garbage(script: Script) -> Lie:
    """All but one of as many as there are spare shares answer with noise."""
    return script.lie(script.pick(script.spare - 1), script.noise)


def garbage_about_few(script: Script) -> Lie:
    """As many answer with noise, each about few dealers."""
    return script.lie(script.pick(script.spare - 1), script.about_few)


def garbage_apart(script: Script) -> Lie:
    """As many answer with noise, each about two dealers that no other lies about: nothing is learnt from the others."""
    liars = script.pick(script.spare - 1)
    dealers = script.draw.permutation(np.arange(1, script.stage.scheme.participants + 1))
    own = {liar: dealers[2 * place : 2 * place + 2] for place, liar in enumerate(liars)}

    def change(holder: int, answer: Answer) -> Answer:
        lied = np.isin(answer.dealers, own[holder])
        return replace(answer, elements=np.where(lied[:, None], script.noise(holder, answer).elements, answer.elements))

    return script.lie(liars, change)


def all_garbage(script: Script) -> Lie:
    """As many as may be answer with noise."""
    return script.lie(script.pick(script.many), script.noise)


def all_in_concert(script: Script) -> Lie:
    """As many as may be agree on one vector."""
    return script.in_concert(script.many)


def missing(script: Script) -> Lie:
    """As many as may be say that half of the shares never came, each another half."""
    return script.lie(script.pick(script.many), script.missing)


def missing_and_garbage(script: Script) -> Lie:
    """They say so, and half of them answer with noise about the rest."""
    liars = script.pick(script.many)
    return script.lie(
        liars,
        lambda holder, answer: (
            script.missing(holder, script.noise(holder, answer)) if holder % 2 else script.missing(holder, answer)
        ),
    )


def mixed(script: Script) -> Lie:
    """A third says so, a third answers with noise, a third agrees on one vector."""
    liars = script.pick(script.many)
    together = script.along({liar: 1 + place for place, liar in enumerate(liars)})
    ways = (script.missing, script.noise, together)
    kind = {liar: ways[place % len(ways)] for place, liar in enumerate(liars)}
    return script.lie(liars, lambda holder, answer: kind[holder](holder, answer))


def half_garbage(script: Script) -> Lie:
    """A third of as many as there are spare shares answer with noise, beside bad dealers."""
    return script.lie(script.pick(max(1, script.spare // 3)), script.noise)


@dataclass(frozen=True, slots=True)
class Mix:
    """A named mix. bad_dealers: whether it is played in the round that has some.

    must: whether the sum has to come out; `always`: in active Bonawitz only.
    """

    name: str
    play: Callable[[Script], Lie]
    must: bool = True
    bad_dealers: bool = False

    def has_to_come_out(self, stage: Stage, lie: Lie) -> bool:
        """Tell whether the server has to give the sum: what is signed decides, else as much as can be located."""
        if self.bad_dealers:
            return self.must
        if stage.scheme.active or self.play in (missing, nobody):
            return True
        columns = sum(len(answer.dealers) for answer in stage.answers.values()) // len(stage.answers)
        columns *= stage.answers[1].elements.shape[1]
        return self.must and (self.play is not garbage or columns >= len(lie.liars))


MIXES = (
    Mix("one liar at t + 1", one_at_the_threshold),
    Mix("half in concert", half_in_concert),
    Mix("framing polynomial", framing),
    Mix("garbage of m − t − 1", garbage),
    Mix("garbage about few dealers", garbage_about_few, must=False),
    Mix("each about its own few dealers", garbage_apart),
    Mix("n − t of garbage", all_garbage, must=False),
    Mix("n − t in concert", all_in_concert, must=False),
    Mix("crafted missing", missing),
    Mix("crafted missing, garbage", missing_and_garbage, must=False),
    Mix("mixed", mixed, must=False),
    Mix("bad dealers", nobody, bad_dealers=True),
    Mix("bad dealers, garbage", half_garbage, must=False, bad_dealers=True),
)


def bad_dealers(participants: int, spare: int, seed: int = 0) -> BadDealers:
    """Return a third of as many dealers as there are spare shares, each of which deals noise to as many holders."""
    draw = np.random.default_rng(seed)
    third = max(1, spare // 3)
    everyone = np.arange(1, participants + 1)
    return {
        int(dealer): frozenset(draw.choice(everyone[everyone != dealer], third, replace=False).tolist())
        for dealer in draw.choice(everyone, third, replace=False)
    }
