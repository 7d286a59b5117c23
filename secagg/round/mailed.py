"""Rounds over sites that answer some day, by letters: in a folder, for as many days as the sites take.

Nothing is kept but the folder: each `step` makes the round anew from it, so that a process may end at any time. A step
goes out as one letter for each site; who has not answered by the deadline is a dropout.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec

from secagg.listing import listed
from secagg_protocols import InputError, ParameterError
from secagg_protocols.core import storage
from secagg_protocols.errors import LocalError

from .approvals import run_id
from .request import Answers, one_line
from .rounds import Round, Rounds

T = TypeVar("T")

POLL = 30.0
"""Seconds between two looks of `Mailed.wait`."""

_ASKED, _LOCK = "asked.json", "run.lock"


class _Asked(msgspec.Struct, frozen=True):
    """The open step. since: seconds since 1970. letters: site → name of its letter. sent: the sites whose letter has
    left for certain."""

    round: int = 0
    step: str = ""
    since: float = 0.0
    letters: dict[str, str] = {}
    sent: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Status:
    """How far a run has come. step: the open one. owners: site → what became of its letter, in the transport's own
    words."""

    run_id: str
    round: int
    step: str
    done: bool
    owners: Mapping[str, str]

    def __str__(self) -> str:
        if self.done:
            return f"run {self.run_id}: done"
        head = f"run {self.run_id}: round {self.round}, step {self.step}"
        return "\n".join([head, *(f"  {owner}: {said}" for owner, said in self.owners.items())])


@dataclass
class Mailed(ABC):
    """A run in a folder. deadline: seconds that sites have for one step."""

    folder: Path
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC), repr=False)

    deadline: float = field(init=False, repr=False)
    prefix: ClassVar[str]
    """Of the names of letters."""
    unreached: ClassVar[str]
    """What is said of sites to which nothing could be sent."""
    unread: ClassVar[str] = "what became of it cannot be read"
    """What is said of a letter that was sent, and is not among `_sent`."""

    @abstractmethod
    def _rounds(self) -> Rounds:
        """Return its rounds, made from the folder."""

    @abstractmethod
    def _send(self, site: str, name: str, request: bytes, uploads: bool) -> bool:
        """Send a letter; tell whether there is a way to the site. uploads: whether it asks for a vector.

        Called again where the process may have ended on the way: what has come twice is as good as once.
        """

    @abstractmethod
    def _sent(self) -> Iterable[tuple[str, str, Any]]:
        """Return what was ever sent: site, name, and the letter as the transport has it."""

    @abstractmethod
    def _answer(self, letter: Any, limit: int) -> bytes | Answers | None:
        """Return what has come, no more than one byte beyond the limit; None: nothing yet."""

    @abstractmethod
    def _state(self, letter: Any) -> str:
        """Say what became of a letter."""

    @abstractmethod
    def _sync(self) -> None:
        """Send and fetch what waits."""

    def check(self) -> None:
        """Read all that the open round has in the folder. Raises `InputError`, with the place of what is damaged."""
        with self._alone():
            rounds = self._rounds()
            if not rounds.done:
                with rounds.open():
                    pass

    @property
    def run_id(self) -> str:
        """Its short name, which sites approve."""
        return run_id(self._rounds().job)

    @property
    def done(self) -> bool:
        """Whether nothing more is asked."""
        return self._rounds().done

    @property
    def status(self) -> Status:
        """Who has answered the open step, as far as this machine was synced."""
        rounds, asked = self._rounds(), self._asked()
        letters = self._letters(asked)
        states = {site: one_line(self._state(letter)) for site, letter in letters.items()}
        said = {
            site: states.get(site, self.unread if site in asked.sent else "not submitted") for site in asked.letters
        }
        return Status(run_id(rounds.job), asked.round, asked.step, rounds.done, said)

    def step(self, *, close: bool = False) -> Status:
        """Take what has come; where all have answered, or the deadline is over, ask what comes next. close: do not wait
        for those who are missing.

        After the first sum, sites that are missing are waited for, since the others would refuse to be told apart from
        them. Raises `RoundFailed` for too few answers (the next call asks anew), `LocalError` where another process is
        at this folder.
        """
        with self._alone():
            rounds = self._rounds()
            if not rounds.done:
                self._sync()
                if self._go(rounds, close) and not rounds.done:
                    self._go(rounds, False)
        return self.status

    def wait(self, timeout: float, poll: float = POLL) -> None:
        """Step until nothing more is asked. Both in seconds.

        Raises `LocalError` when the time is over, and what `step` raises.
        """
        end = time.monotonic() + timeout
        while not self.done:
            status = self.step()
            left = end - time.monotonic()
            if not status.done and left <= 0:
                raise LocalError(f"no result within {timeout:g} s; {status}".replace("\n", " "))
            time.sleep(0 if status.done else min(poll, left))

    def _go(self, rounds: Rounds, close: bool) -> bool:
        """Go on with the open step; tell whether its sum is there."""
        with rounds.open() as rnd:
            self._submit(rnd, rnd.begin())
            waiting = self._take(rnd)
            if not (close or not waiting or self._overdue(rounds, rnd)):
                return False
            requests = rnd.advance()
            if rnd.output is None:
                self._submit(rnd, requests)
                return False
            rounds.close(rnd.output)
        return True

    def _submit(self, rnd: Round[str], requests: Mapping[str, bytes]) -> None:
        """Submit what was not submitted before."""
        asked = self._asked()
        if (asked.round, asked.step) != (rnd.proposal.round, str(rnd.step)):
            name = f"{self.prefix}{run_id(rnd.proposal.job)}-{rnd.proposal.round}-{rnd.step}"
            letters = dict.fromkeys(requests, name)
            asked = _Asked(rnd.proposal.round, str(rnd.step), self.now().timestamp(), letters)
            self._note(asked)
        if new := requests.keys() - asked.sent:
            reached = {
                site for site in sorted(new) if self._send(site, asked.letters[site], requests[site], rnd.uploads)
            }
            self._note(msgspec.structs.replace(asked, sent=asked.sent | reached))
            if strange := sorted(new - reached):
                raise ParameterError(f"{listed(strange)} {self.unreached}")

    def _take(self, rnd: Round[str]) -> set[str]:
        """Take what has come; return of whom nothing has."""
        asked = self._asked()
        waiting = set(rnd.waiting_for) & asked.letters.keys()
        letters = self._letters(asked)
        for site in sorted(waiting & letters.keys()):
            answer = self._answer(letters[site], rnd.answer_limit)
            if answer is not None:
                waiting.discard(site)
                rnd.take(site, answer)
        return waiting

    def _overdue(self, rounds: Rounds, rnd: Round[str]) -> bool:
        """Whether nobody is waited for any more."""
        steps = rnd.server.scheme.steps
        assert rnd.step is not None
        settled = steps.index(rnd.step) > steps.index(rnd.server.scheme.upload_step)
        late = self.now().timestamp() > self._asked().since + self.deadline
        return late and (settled or rounds.may_leave_out)

    def _note(self, asked: _Asked) -> None:
        storage.replace(self.folder / _ASKED, msgspec.json.encode(asked))

    def _asked(self) -> _Asked:
        path = self.folder / _ASKED
        return decoded(path, _Asked) if path.exists() else _Asked()

    def _letters(self, asked: _Asked) -> dict[str, Any]:
        """Return the letters of the open step, by site."""
        return {site: letter for site, name, letter in self._sent() if asked.letters.get(site) == name}

    @contextmanager
    def _alone(self) -> Iterator[None]:
        descriptor = storage.open_locked(self.folder / _LOCK, wait=False)
        try:
            yield
        finally:
            os.close(descriptor)


def decoded(path: Path, kind: type[T]) -> T:
    """Return what a file of a run holds. Raises `InputError` where it is missing or damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): is {path.parent} the folder of a run?") from None
    except msgspec.MsgspecError as error:
        raise InputError(f"{path} is damaged ({error}): submit another run") from None
