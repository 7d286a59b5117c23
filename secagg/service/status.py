"""How far the coordinator has come, as plain data: public, and the same for people and machines. No vector, no sum, and
no result: those are in the files that the coordinator's owner names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from .desk import Desk


class State(StrEnum):
    """What a site does in the open step."""

    AWAITED = "awaited"
    ANSWERED = "answered"
    DROPPED = "not in this round any more"
    IDLE = "not asked"


@dataclass(frozen=True)
class SiteStatus:
    """One site. heard: seconds since it last called; None: never. refused: the last refusal, in one line."""

    name: str
    state: State
    heard: float | None
    refused: str


@dataclass(frozen=True)
class Status:
    """All of it. round: its number; 0 between rounds. step: its name; empty where none is open. open_for: seconds.

    needed: with how many answers the step can be closed. over: why nothing more is asked. calls: outcome → how many.
    """

    title: str
    round: int
    step: str
    open_for: float
    needed: int
    over: str
    sites: tuple[SiteStatus, ...]
    calls: Mapping[str, int]

    @classmethod
    def of(cls, desk: Desk, title: str, calls: Mapping[str, int], now: float) -> Status:
        """Look at the desk. now: on the loop's clock."""
        view = desk.view
        sites = []
        for name, seen in desk.sites.items():
            heard = None if seen.heard is None else now - seen.heard
            sites.append(SiteStatus(name, _state(desk, name), heard, seen.refused))
        return cls(
            title=title,
            round=0 if view is None else view.round,
            step="" if view is None else view.step,
            open_for=0.0 if desk.since is None else now - desk.since,
            needed=0 if view is None else view.needed,
            over=desk.over,
            sites=tuple(sites),
            calls=dict(calls),
        )


def _state(desk: Desk, name: str) -> State:
    if desk.view is None:
        return State.IDLE
    if name in desk.missing:
        return State.AWAITED
    return State.DROPPED if name in desk.view.left else State.ANSWERED
