"""The scientist's side of a run in PySyft: jobs in place of letters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from secagg.listing import listed
from secagg.round import Answers
from secagg.round.mailed import Mailed
from secagg.round.mailed_plan import Plan
from secagg_protocols import ParameterError

from .job import DONE, FAILED, PREFIX, REJECTED, Params, quiet, read_answer, submit


@dataclass
class Kept(Mailed):
    """What was submitted, and is kept in a folder. clients: owner's e-mail address → the scientist's client that
    reaches it."""

    clients: Mapping[str, Any] = field(kw_only=True, repr=False)

    prefix = PREFIX
    unreached = "is no peer of its client: client.add_peer(…), and step again"
    unread = "its state cannot be read"  # PySyft lists no job whose owner has damaged it

    def __post_init__(self) -> None:
        self._plan = Plan.read(self.folder)
        self.deadline = self._plan.deadline
        if sorted(self._plan.sites) != sorted(self.clients):
            raise ParameterError(f"{self.folder} is a run over {listed(self._plan.sites)}: give their clients")

    @abstractmethod
    def _params(self, request: bytes, uploads: bool) -> Params:
        """Return what a job holds. uploads: whether it asks for a vector."""

    def _send(self, site: str, name: str, request: bytes, uploads: bool) -> bool:
        return submit(self.clients[site], site, name, self._params(request, uploads))

    def _sent(self) -> Iterable[tuple[str, str, Any]]:
        with quiet():
            held = [job for client in self._each() for job in client.jobs]
        return [(job.datasite_owner_email, job.name, job) for job in held]

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
