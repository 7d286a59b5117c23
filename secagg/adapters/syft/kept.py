"""The scientist's side of a run in PySyft: jobs in place of letters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from secagg.listing import listed
from secagg.round import Answers
from secagg.round.mailed import Mailed, decoded
from secagg.round.own_training import Training
from secagg_protocols import ParameterError

from .job import DONE, FAILED, PREFIX, REJECTED, Params, quiet, read_answer, submit

PLAN, ROUNDS = "run.json", "rounds"
_UNLISTED = SimpleNamespace(status="its state cannot be read", review_reason="")


class Plan(msgspec.Struct, frozen=True):
    """What a run was submitted with. query: its JSON. knobs: of `settings_of`, or of `Settings.of` where it is a
    training. deadline: seconds."""

    owners: tuple[str, ...]
    knobs: dict[str, Any]
    deadline: float
    query: str = ""
    training: Training | None = None


@dataclass
class Kept(Mailed):
    """What was submitted, and is kept in a folder. clients: owner's e-mail address → the scientist's client that
    reaches it."""

    clients: Mapping[str, Any] = field(kw_only=True, repr=False)
    _unlisted: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    prefix = PREFIX
    unreached = "is no peer of its client: client.add_peer(…), and step again"

    def __post_init__(self) -> None:
        self._plan = plan_in(self.folder)
        self.deadline = self._plan.deadline
        if sorted(self._plan.owners) != sorted(self.clients):
            raise ParameterError(f"{self.folder} is a run over {listed(self._plan.owners)}: give their clients")

    @abstractmethod
    def _params(self, request: bytes, uploads: bool) -> Params:
        """Return what a job holds. uploads: whether it asks for a vector."""

    def _send(self, site: str, name: str, request: bytes, uploads: bool) -> None:
        try:
            submit(self.clients[site], site, name, self._params(request, uploads))
        except FileExistsError:  # and is not listed: its owner has damaged its state, and is waited for
            self._unlisted[site] = name

    def _sent(self) -> Iterable[tuple[str, str, Any]]:
        with quiet():
            held = [job for client in self._each() for job in client.jobs]
        sent = [(job.datasite_owner_email, job.name, job) for job in held]
        return [*((*unlisted, _UNLISTED) for unlisted in self._unlisted.items()), *sent]

    def _answer(self, letter: Any, limit: int) -> bytes | Answers | None:
        if letter.status == DONE:
            return read_answer(letter, limit)
        if letter.status in (REJECTED, FAILED):
            return Answers((), f"{letter.status}: {letter.review_reason or 'it was run, and not answered'}")
        return None

    def _state(self, letter: Any) -> str:
        return f"{letter.status}: {letter.review_reason}" if letter.review_reason else str(letter.status)

    def _sync(self) -> None:
        with quiet():
            for client in self._each():
                client.sync()

    def _each(self) -> list[Any]:
        """Return each client once."""
        return list({id(client): client for client in self.clients.values()}.values())


def plan_in(folder: Path) -> Plan:
    """Return what a run was submitted with. Raises `InputError` for a folder without one."""
    return decoded(folder / PLAN, Plan)
