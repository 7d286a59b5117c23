"""What participants of our schemes check, each as a `Weakness` that leaves it out; a server's are in `weak_servers`.

Those that name no base are of all schemes whose participants deal shares.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, cached_property
from typing import Any

import msgspec

from secagg_he import ThresholdCkks
from secagg_he.threshold import steps as threshold
from secagg_he.threshold.client import ThresholdCkksClient
from secagg_he.threshold.messages import SealedShares
from secagg_protocols import SERVER, Bonawitz, Envelope, Step
from secagg_protocols.bonawitz import steps as bonawitz
from secagg_protocols.bonawitz.client import BonawitzClient
from secagg_protocols.core.machine import Transitions
from secagg_protocols.core.wire import Message
from secagg_protocols.dealing import Dealing, steps
from secagg_protocols.dealing.client import DealingClient
from secagg_protocols.dealing.messages import UnmaskRequest
from secagg_protocols.dealing.server import DealingServer
from secagg_protocols.primitives.suites import Ciphersuite, suite_named

from .weakened import Weakness


@contextmanager
def _told(machine: Any, context_digest: bytes) -> Iterator[None]:
    """Have a machine believe for a moment that the round is about this."""
    own = machine.context
    machine.context = replace(own, context_digest=context_digest)
    try:
        yield
    finally:
        machine.context = own


class _AnyModelClient(DealingClient):
    def _check_advertised(self, advertised: Any) -> tuple[bytes, ...]:
        with _told(self, advertised.context_digest):
            return super()._check_advertised(advertised)  # type: ignore[safe-super]


class _AnyModelServer(DealingServer):
    def _check_advertised(self, message: Any) -> tuple[bytes, ...]:
        with _told(self, message.context_digest):
            return super()._check_advertised(message)  # type: ignore[safe-super]


MODEL_CONTEXT = Weakness(
    "model context",
    "keys are taken from participants that were sent another model",
    client=_AnyModelClient,
    server=_AnyModelServer,
)


class _BlankSessionClient(DealingClient):
    @property
    def _member(self) -> steps.Member:
        return replace(super()._member, context=replace(self.context, context_digest=bytes(32)))


class _BlankSessionServer(DealingServer):
    def _send_key_list(self, answered: tuple[int, ...]) -> list[Envelope]:
        with _told(self, bytes(32)):
            return super()._send_key_list(answered)


MODEL_IN_SESSION = Weakness(
    "model in the session",
    "masks, channels and signatures do not say which model they are for",
    client=_BlankSessionClient,
    server=_BlankSessionServer,
)


class _AnyCompany(DealingClient):
    @property
    def _member(self) -> steps.Member:
        return replace(super()._member, floor=0)


COHORT_FLOOR = Weakness("cohort floor", "a participant takes part with however few", client=_AnyCompany)


class _AnyKeys(DealingClient):
    def _verify_relayed(self, signer: int, kind: str, payload: bytes, signature: bytes) -> None:
        if kind != Step.ADVERTISE_KEYS.value:
            super()._verify_relayed(signer, kind, payload, signature)


SIGNED_KEYS = Weakness("signed keys", "a key list is taken whoever signed the keys in it", client=_AnyKeys)


class _AnySurvivors(DealingClient):
    def _answer_request(self, message: UnmaskRequest) -> list[Envelope]:
        if self.scheme.active:
            self._memory.survivors = message.survivors
            unread = (b"",) * len(message.survivors)
            message = msgspec.structs.replace(message, signers=message.survivors, signatures=unread)
        return super()._answer_request(message)

    def _verify_relayed(self, signer: int, kind: str, payload: bytes, signature: bytes) -> None:
        if kind != Step.CONSISTENCY_CHECK.value:
            super()._verify_relayed(signer, kind, payload, signature)


SURVIVORS_SIGNED = Weakness(
    "survivors' signatures", "secrets are opened for survivors for whom nobody has signed", client=_AnySurvivors
)


class _BothLists(DealingClient):
    def _answer_request(self, message: UnmaskRequest) -> list[Envelope]:
        """Open what is asked, name by name: for the survivors, then for those of them who are not listed as gone."""
        asked = [message.survivors, tuple(who for who in message.survivors if who not in message.vanished)]
        requests = [msgspec.structs.replace(message, survivors=survivors) for survivors in dict.fromkeys(asked)]
        return [self.seal(self.scheme.opening_step.value, SERVER, self._open(request)) for request in requests]


BOTH_LISTS = Weakness(
    "both lists", "both secrets of a participant are opened when it is listed as there and as gone", client=_BothLists
)


class _Answering(DealingClient):
    @property
    def transitions(self) -> Transitions:
        asked = self.scheme.exchange.rows[-1].asks[-1].kind
        again = {event: event[0] for event in super().transitions if event[1] == asked}
        return {**super().transitions, **again}

    def _settle(self, survivors_digest: bytes) -> None:
        """Note nothing."""

    def _forget(self) -> None:
        """Keep all."""


ONE_ANSWER = Weakness(
    "one answer", "secrets are opened as often as they are asked for, and never forgotten", client=_Answering
)


class _AnyThreshold(Dealing):
    def minimum_threshold(self, colluders: int) -> int:
        return colluders + 1


THRESHOLD_RULE = Weakness(
    "threshold rule", "two halves of the participants may each be enough to open", scheme=_AnyThreshold
)


class _AnyNoise(Dealing):
    def check_dropouts(self, survivors: int) -> None:
        """Ask nothing."""


NOISE_FLOOR = Weakness("noise floor", "a sum is opened with however little noise in it", scheme=_AnyNoise)


class _AnyShare(BonawitzClient):
    def _accept(self, dealer: int, dealt: bytes) -> bytes:
        return bonawitz.kept_share(self.scheme, dealt)


SHARE_ROOTS = Weakness(
    "share roots",
    "a share is kept that is not under its dealer's signed root",
    client=_AnyShare,
    within=Bonawitz,
)


@cache
def _unchecked(suite: Ciphersuite) -> Ciphersuite:
    """Return a suite that takes any public key."""
    agreement: Any = type(suite.agreement)
    kind = type(f"Unchecked{agreement.__name__}", (agreement,), {"check_public": lambda self, public_key: None})
    return replace(suite, agreement=kind())


class _AnyKeyForm(Dealing):
    @cached_property
    def suite(self) -> Ciphersuite:
        return _unchecked(suite_named(self.ciphersuite))


KEY_FORM = Weakness("key form", "public keys are taken that are degenerate, or in another form", scheme=_AnyKeyForm)


class _AnyChallenge(ThresholdCkksClient):
    def _handle(self, kind: str, message: Message) -> list[Envelope]:
        if isinstance(message, SealedShares):
            self._memory.commitment = threshold.commit(message.challenge)
        return super()._handle(kind, message)


ONE_CHALLENGE = Weakness(
    "one challenge",
    "shares are checked under a challenge that was not promised before they were dealt",
    client=_AnyChallenge,
    within=ThresholdCkks,
)
