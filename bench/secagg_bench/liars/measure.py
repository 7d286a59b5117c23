"""The server's last step under each mix of liars, beside the honest one."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec
import numpy as np

from secagg import Bonawitz, LightSecAgg, RoundFailed, Scheme, SecAggPlus
from secagg_he import ThresholdCkks
from secagg_protocols.dealing.params import Dealing

from .mixes import MIXES, Answers, Lie, Mix, Script, bad_dealers, nobody
from .stage import Progress, Stage, real, short

LEAST_S = 2.0
TIMES = 5.0
"""What a last step may cost: so many seconds of CPU time, or so many times the honest one, whichever is more."""

VALUE_BITS = 16

SCHEMES: dict[str, Callable[[int, int], Dealing]] = {
    "bonawitz": lambda n, length: Bonawitz(n, length, value_bits=VALUE_BITS),
    "bonawitz-active": lambda n, length: Bonawitz(n, length, value_bits=VALUE_BITS, adversary="active"),
    "secagg-plus": lambda n, length: SecAggPlus(n, length, value_bits=VALUE_BITS),
    "lightsecagg": lambda n, length: LightSecAgg(n, length, value_bits=VALUE_BITS),
    "threshold-ckks": lambda n, length: ThresholdCkks(n, length, value_bits=VALUE_BITS),
}

WHOLE = frozenset({"threshold-ckks"})
"""Of these, those whose participants are not shortened: what they upload is checked against what they dealt."""


class Row(msgspec.Struct, frozen=True):
    """One mix. honest_s, attacked_s: CPU seconds of the last step. exact: whether the sum came out, and is right.

    corrected: wrong shares that were left out. named: who is named, the server not counted. broken: what should not be.
    """

    scheme: str
    clients: int
    threshold: int
    mix: str
    liars: int
    honest_s: float
    attacked_s: float
    exact: bool
    corrected: int
    named: int
    broken: list[str]

    @property
    def ratio(self) -> float:
        """How much more than honest answers these cost."""
        return self.attacked_s / self.honest_s


@dataclass(frozen=True, slots=True)
class Closing:
    """How a last step ended. total: None where there is no sum."""

    seconds: float
    total: np.ndarray | None
    corrections: tuple[tuple[int, frozenset[int]], ...]
    culprits: frozenset[int]


def close(stage: Stage, answers: Answers) -> Closing:
    """Give a server these answers and close its last step."""
    server, advance = stage.close(answers)
    gc.collect()
    before = time.process_time()
    failure = None
    try:
        advance()
    except RoundFailed as error:
        failure = error
    seconds = time.process_time() - before
    corrections = tuple((one.holder, one.culprits) for one in server.corrections)
    total = None if failure is not None else server.output.total
    return Closing(seconds, total, corrections, failure.culprits if failure is not None else frozenset())


def rows_of(name: str, clients: int, length: int, move: Progress) -> Iterator[Row]:
    """Yield a row for each mix that this scheme can meet."""
    scheme = SCHEMES[name](clients, length)
    draw = np.random.default_rng(clients)
    vectors = draw.integers(0, 1 << VALUE_BITS, (clients, length))
    prepare = real if name in WHOLE else short
    stage = prepare(scheme, lambda one: vectors[one - 1], {}, move)
    script = Script(stage)
    close(stage, nobody(script).answers)  # what is made once is made now
    honest = close(stage, nobody(script).answers)
    for with_bad_dealers in (False, True):
        if with_bad_dealers:
            if not stage.by_dealer:
                return  # they are among those who make a sum of shares wrong
            stage = prepare(scheme, lambda one: vectors[one - 1], bad_dealers(clients, script.spare), move)
            script = Script(stage)
        mixes = [mix for mix in MIXES if mix.bad_dealers == with_bad_dealers]
        for mix in mixes:
            if mix.name.endswith("few dealers") and not stage.by_dealer:
                continue
            lie = mix.play(script)
            yield _row(name, stage, mix, lie, honest, close(stage, lie.answers))


def _row(name: str, stage: Stage, mix: Mix, lie: Lie, honest: Closing, attacked: Closing) -> Row:
    scheme: Scheme = stage.scheme
    exact = attacked.total is not None and np.array_equal(attacked.total, stage.total)
    guilty = lie.liars | stage.bad.keys()
    broken = []
    if attacked.seconds > max(LEAST_S, TIMES * honest.seconds):
        broken.append("took too long")
    if attacked.total is not None and not exact:
        broken.append("gave a wrong sum")
    if attacked.total is None and mix.has_to_come_out(stage, lie):
        broken.append("gave no sum")
    if scheme.active and not all(culprits & guilty for _, culprits in attacked.corrections):
        broken.append("named honest participants alone")
    if attacked.total is None and not attacked.culprits & guilty:
        broken.append("failed and did not name who lied")
    return Row(
        name,
        scheme.participants,
        stage.scheme.quorum,
        mix.name,
        len(guilty),
        honest.seconds,
        attacked.seconds,
        exact,
        len(attacked.corrections),
        len(attacked.culprits.union(*(culprits for _, culprits in attacked.corrections)) - {0}),
        broken,
    )
