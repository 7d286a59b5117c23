"""Schemes with one fault each, planted: a suite that lets one of them pass is worth nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from cancelling import Cancelling, CancellingClient, CancellingServer
from foreign_schemes import Mine

import secagg
from secagg_protocols.core.machine import CONTRIBUTE


class MiscountingServer(CancellingServer):
    """Its sums are one too large, at the first coordinate."""

    def _close(self, step: secagg.Step, answered: tuple[int, ...]) -> list[secagg.Envelope]:
        self._sum.words[0] += 1
        return super()._close(step, answered)


@dataclass(frozen=True)
class WrongSums(Cancelling):
    """Sums wrongly, and says nothing."""

    name: ClassVar[str] = "wrong-sums"
    traits = Cancelling.traits
    machines = CancellingClient, MiscountingServer


class ForgetfulClient(CancellingClient):
    """Asks no ledger whether it has answered."""

    def contribute(self, vector: Any) -> list[secagg.Envelope]:
        following = self._next(CONTRIBUTE)
        outgoing = self._contribute(self.scheme.domain.check(vector))
        self.state = following
        return outgoing


@dataclass(frozen=True)
class AnswersTwice(Cancelling):
    """Answers for one model as often as it is asked."""

    name: ClassVar[str] = "answers-twice"
    traits = Cancelling.traits
    machines = ForgetfulClient, CancellingServer


class UnboundClient(CancellingClient):
    """Binds its messages to nothing."""

    @property
    def _session_binding(self) -> bytes:
        return bytes(32)

    def _pad(self) -> bytes:
        return super()._session_binding


class UnboundServer(CancellingServer):
    """Takes messages of whatever session."""

    @property
    def _session_binding(self) -> bytes:
        return bytes(32)


@dataclass(frozen=True)
class AnySession(Cancelling):
    """Accepts a message of another session."""

    name: ClassVar[str] = "any-session"
    traits = Cancelling.traits
    machines = UnboundClient, UnboundServer


class BareClient(CancellingClient):
    """Masks nothing."""

    def _masks(self) -> tuple[list[bytes], list[bytes]]:
        return [], []


@dataclass(frozen=True)
class HidesNothing(Cancelling):
    """Says that it hides vectors, and sends them as they are."""

    name: ClassVar[str] = "hides-nothing"
    traits = Cancelling.traits
    machines = BareClient, CancellingServer


@dataclass(frozen=True)
class SaysTooLittle(Mine):
    """Declares less than it opens."""

    name: ClassVar[str] = "says-too-little"
    traits = replace(Mine.traits, opens=frozenset({"self_mask_seeds"}))
