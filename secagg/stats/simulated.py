"""A query over sites that are all in this process: the same rounds, with function calls in place of a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from secagg.listing import listed
from secagg.round import MemoryStore, Requests, Round, SitePolicy, drive
from secagg.round.limits import Limits
from secagg.schemes import ONE_KEY
from secagg_protocols import Adversary, Identity, ParameterError, Policy, Roster, Step

from .floor import Floor, StatPolicy
from .inquiry import Inquiry, settings_of
from .query import Query
from .results import Result
from .site import StatSite
from .spans import MOST_BITS

LEAST = Floor(minimum_patients=0, minimum_cell=0, apart=1, queries_per_day=None)
"""What simulated sites ask for, unless it is said: whoever has all of the data needs no protection from itself."""


@dataclass(frozen=True)
class Answered:
    """What a simulated query came to. sites: how many are in the last sum of each statistic. steps: secure sums.

    disclosure: what the results tell beside what is true of all rows. epsilon: view → ε of one row, with noise.
    """

    results: tuple[Result, ...]
    sites: tuple[int, ...]
    steps: int
    disclosure: str
    epsilon: Mapping[str, float]


def simulate(
    query: Query,
    tables: Mapping[str, Any],
    scheme: str = "bonawitz",
    *,
    drop: Mapping[str, str] | None = None,
    floor: Floor = LEAST,
    **parameters: Any,
) -> Answered:
    """Ask a query of simulated sites. tables: site → its rows. scheme, parameters: of the secure sums.

    drop: site → the step of the first sum from which on it answers nothing ("MaskedInput"). floor: of every site.

    Raises `ParameterError`, and `RoundFailed` where too few sites are left or all refuse.
    """
    names = list(tables)
    away = _steps(drop or {}, names)
    if scheme in ONE_KEY:
        raise ParameterError(f"scheme={scheme!r} takes a key that all sites share: simulate with bonawitz")
    active = parameters.get("adversary") == Adversary.ACTIVE
    identities = [Identity.generate(name) for name in ("coordinator", *names)] if active else []
    roster = Roster.of("x25519", [one.public(party) for party, one in enumerate(identities)]) if active else None
    policy = SitePolicy(
        Policy(adversary=parameters.get("adversary", Adversary.SEMI_HONEST)),
        schemes=frozenset({scheme}),
        limits=Limits(bits=MOST_BITS),
        roster=roster,
    )
    sites = {}
    for own, name in enumerate(names, start=1):
        own_policy = replace(policy, identity=identities[own] if active else None)
        sites[name] = StatSite(StatPolicy(own_policy, floor), tables[name], MemoryStore())
    signed = {"identity": identities[0], "roster": roster} if active else {}
    inquiry = Inquiry(query, settings_of({"scheme": scheme, **signed, **parameters}), names)
    while not inquiry.done:
        with inquiry.open() as rnd:
            inquiry.close(drive(rnd, partial(_exchange, rnd, sites, away)))
    sites_in = inquiry.progress.sites
    return Answered(
        inquiry.results, sites_in, inquiry.progress.step, inquiry.noise, inquiry.epsilon(min(sites_in, default=0))
    )


def _exchange(
    rnd: Round[str], sites: Mapping[str, StatSite], away: Mapping[str, Step], requests: Requests[str], _: bool
) -> Iterator[tuple[str, bytes]]:
    gone = {name for name, step in away.items() if rnd.step in (step, None)}
    for name in requests:
        if name not in gone:
            yield name, sites[name].take(requests[name])


def _steps(drop: Mapping[str, str], names: Sequence[str]) -> dict[str, Step]:
    if strange := sorted(drop.keys() - set(names)):
        raise ParameterError(f"drop: there is no site {strange[0]!r}; there are {listed(names)}")
    try:
        return {name: Step(step) for name, step in drop.items()}
    except ValueError as error:
        raise ParameterError(f"drop: {error}; steps are {listed(Step, str)}") from None
