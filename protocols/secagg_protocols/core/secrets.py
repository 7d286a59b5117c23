"""What participants share among each other, as one table: each secret, and when it is put together again.

Holders open by this table, the server recovers by it, and records say by it what was opened. A further secret is a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

Members = frozenset[int]


def survived(dealers: Members, survivors: Members) -> Members:
    """Return whose vectors are in the sum."""
    return dealers & survivors


def vanished(dealers: Members, survivors: Members) -> Members:
    """Return whose vectors are missed: nobody's where there is no sum."""
    return dealers - survivors if survivors else frozenset()


def _always(survivors: int) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret that every participant deals in shares.

    name: what a record calls what is put together. opened_of: (dealers, survivors) → those whose own is put together.
    summed: only the sum of them all is, never one by itself. when: how many survived in the whole round → whether any
    is put together at all.
    """

    name: str
    opened_of: Callable[[Members, Members], Members]
    summed: bool = False
    when: Callable[[int], bool] = _always


Secrets = Sequence[Secret]
"""In the order in which a holder's share holds them: a secret's place is its row."""


def names(secrets: Secrets) -> frozenset[str]:
    """Return what a round may put together."""
    return frozenset(secret.name for secret in secrets)


def opened(secrets: Secrets, dealers: Iterable[int], survivors: Iterable[int]) -> dict[str, tuple[int, ...]]:
    """Return which secrets a round puts together, and of whom, ascending."""
    parties = frozenset(dealers), frozenset(survivors)
    found: dict[str, Members] = {}
    for secret in secrets:
        whose = secret.opened_of(*parties) if secret.when(len(parties[1])) else frozenset()
        found[secret.name] = found.get(secret.name, frozenset()) | whose
    return {name: tuple(sorted(whose)) for name, whose in found.items()}


def rows_to_open(
    secrets: Secrets, dealers: Iterable[int], survivors: Iterable[int], in_all: int | None = None
) -> dict[int, int]:
    """Return dealer → the row of its share that is opened. One row and no other: two would open its vector.

    in_all: how many survived, where these are not all.
    """
    parties = frozenset(dealers), frozenset(survivors)
    count = len(parties[1]) if in_all is None else in_all
    rows: dict[int, int] = {}
    for row, secret in enumerate(secrets):
        for dealer in secret.opened_of(*parties) if secret.when(count) else ():
            assert dealer not in rows, "two secrets of one dealer are never opened"
            rows[dealer] = row
    return rows
