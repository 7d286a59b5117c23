"""What so many institutions can withstand and miss: the scheme among them, and the faults that a round survives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from secagg.codec import fit
from secagg.schemes import ONE_KEY, PROTECTING, make_scheme
from secagg_protocols import Policy, Scheme
from secagg_protocols.errors import ParameterError

from .aggregation import Aggregation
from .config import TrainConfig
from .distributed import Encoding

LEAST_HONEST = Policy().minimum_cohort
"""Participants that a sum must hide one among, colluders not counted."""
USUAL_DROPOUTS = 2
FEWEST_WITH_NOISE = 2
"""Honest survivors that share the noise of a sum (`secagg_protocols.core.noise`)."""


@dataclass(frozen=True)
class Cohort:
    """config: with what was left to the number of institutions. fewest: how many of them a sum takes.

    notes: what these few are not asked to withstand, though more would be.
    """

    config: TrainConfig
    scheme: Scheme
    encoding: Encoding
    policy: Policy
    fewest: int
    notes: tuple[str, ...]


class Encodings(Protocol):
    """How updates are encoded, by what the noise under their sum, if there is any, withstands.

    bare: makes the scheme, as it would be without noise, for a vector's length.
    """

    def __call__(self, bare: Callable[[int], Scheme], *, colluders: int, tolerated: int) -> Encoding: ...


def make_cohort(config: TrainConfig, participants: int, encodings: Encodings) -> Cohort:
    """Make the scheme among `participants` institutions, and fit to them what was not asked for.

    Raises: ParameterError for colluders or dropouts that so few institutions do not survive.
    """
    colluders = _colluders(config.aggregation, participants)
    aggregation = replace(config.aggregation, colluders=colluders)
    policy = _policy(config, aggregation)
    for dropouts in _dropouts(config, participants, colluders):
        tolerated = dropouts if config.privacy.tolerated is None else config.privacy.tolerated
        missed = max(dropouts, tolerated) if config.privacy.distributed else dropouts
        bare = partial(_scheme, aggregation, participants, missed)
        fewest = _fewest(bare(1), policy)
        if participants - missed < fewest:
            continue
        encoding = encodings(bare, colluders=colluders, tolerated=tolerated)
        scheme = bare(encoding.codec.length, value_bits=encoding.codec.value_bits, noise=encoding.noise)
        fit(scheme, encoding.codec)
        scheme.check_policy(policy)
        fitted = _fitted(replace(config, aggregation=aggregation), encoding, dropouts, tolerated)
        return Cohort(fitted, scheme, encoding, policy, fewest, _notes(config, fitted, participants, fewest))
    name, option = ("dropouts", "--drop-per-round") if missed == dropouts else ("tolerated", "--tolerated")
    raise ParameterError(
        f"{name} = {missed} of {participants} institutions leave {max(0, participants - missed)}, and a sum "
        f"takes {fewest} under {aggregation.scheme} with colluders = {colluders}: use {option} "
        f"{_at_most(participants - fewest)}"
    )


def _dropouts(config: TrainConfig, participants: int, colluders: int) -> Sequence[int]:
    """Return how many dropouts a round to try, the most first. Raises `ParameterError` for what no noise can miss."""
    asked = config.deployment.dropouts
    most = USUAL_DROPOUTS
    if config.privacy.distributed:
        hidden = max(0, participants - colluders - FEWEST_WITH_NOISE)
        for name, option, value in (
            ("tolerated", "--tolerated", config.privacy.tolerated),
            ("dropouts", "--drop-per-round", asked),
        ):
            if value is not None and value > hidden:
                raise ParameterError(
                    f"{name} = {value} of {participants} institutions, with colluders = {colluders}, leave fewer than "
                    f"{FEWEST_WITH_NOISE} whose noise is counted: use {option} {_at_most(hidden)}"
                )
        tolerated = hidden if config.privacy.tolerated is None else config.privacy.tolerated
        most = min(most, tolerated)
    return range(most, -1, -1) if asked is None else (asked,)


def _fitted(config: TrainConfig, encoding: Encoding, dropouts: int, tolerated: int) -> TrainConfig:
    """Return the run with what was left to be derived."""
    privacy = replace(config.privacy, tolerated=tolerated) if config.privacy.distributed else config.privacy
    return replace(
        config,
        privacy=privacy,
        aggregation=replace(config.aggregation, value_bits=encoding.codec.value_bits),
        deployment=replace(config.deployment, dropouts=dropouts),
    )


def _notes(asked: TrainConfig, fitted: TrainConfig, participants: int, fewest: int) -> tuple[str, ...]:
    """Return what these few are not asked to withstand, though more would be."""
    notes = []
    colluders = fitted.aggregation.colluders
    if asked.aggregation.colluders is None and colluders == 0 and withstands_colluders(fitted.aggregation.scheme):
        notes.append(
            f"colluders = 0, as there are {participants} institutions: one that helps the server learns with it the "
            f"sum of the {participants - 1} others. From {LEAST_HONEST + 1} institutions on, one is withstood."
        )
    dropouts = fitted.deployment.dropouts
    if asked.deployment.dropouts is None and dropouts != USUAL_DROPOUTS:
        staged = (
            f"Dropouts are simulated: {dropouts} a round, not {USUAL_DROPOUTS}"
            if dropouts
            else "No dropout is simulated"
        )
        notes.append(
            f"{staged}. With {participants} institutions and colluders = {colluders} a sum takes {fewest} of them, and "
            "a round that fewer see to its end is lost."
        )
    return tuple(notes)


def _at_most(count: int) -> str:
    return f"{count} or less" if count else "0"


def _colluders(asked: Aggregation, participants: int) -> int:
    most = max(0, participants - LEAST_HONEST)
    if asked.colluders is None:
        return min(1, most) if withstands_colluders(asked.scheme) else 0
    if asked.colluders > most:
        raise ParameterError(
            f"colluders = {asked.colluders} of {participants} institutions leave {participants - asked.colluders} "
            f"honest ones, and a sum hides one among {LEAST_HONEST} at least: use --colluders {_at_most(most)}"
        )
    return asked.colluders


def withstands_colluders(scheme: str) -> bool:
    """Whether institutions may help the server under a scheme, and still open nothing but the sum."""
    return scheme in PROTECTING and scheme not in ONE_KEY


def _policy(config: TrainConfig, asked: Aggregation) -> Policy:
    """Return what every site insists on, where the scheme can give it."""
    if asked.scheme not in PROTECTING:
        return Policy()
    assert asked.colluders is not None  # `_colluders` fills it in
    # Under differential privacy a repeated question is charged to the budget too, which ends the run.
    reruns = config.training.rounds if config.privacy.noised else asked.reruns
    return Policy(colluders=asked.colluders, adversary=asked.adversary, reruns=reruns)


def _scheme(asked: Aggregation, participants: int, dropouts: int, length: int, **parameters: Any) -> Scheme:
    shape = {"ciphersuite": asked.ciphersuite} | parameters
    if asked.scheme in PROTECTING:
        shape["colluders"] = asked.colluders
        shape["threshold"] = asked.threshold
        shape["adversary"] = asked.adversary
        shape["dropout_rate"] = dropouts / participants
    return make_scheme(asked.scheme, participants, length, **shape)


def _fewest(scheme: Scheme, policy: Policy) -> int:
    """Return how many participants must stay to the end of a round, for the server and for each of them."""
    insisted = scheme.floor(policy) if scheme.traits.protects else 1
    return max(insisted, *map(scheme.needed, scheme.steps))
