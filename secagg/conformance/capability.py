"""What a scheme can do, as it says itself: the suite asks no more of it, and no less."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from secagg_protocols import Keys, Scheme, Step
from secagg_protocols.bonawitz.messages import KeyList, SealedShares, Unmasking, UnmaskRequest
from secagg_protocols.core.wire import Message

from .case import Case
from .spoilt import spoils

Test = TypeVar("Test", bound=Callable[..., Any])


@dataclass(frozen=True)
class Capability:
    """One thing that a scheme can do. lacking: what is said of one that cannot. held: asked of `Case.sample`."""

    lacking: str
    held: Callable[[Case, Scheme], bool]


def heard(scheme: Scheme) -> Mapping[str, type[Message]]:
    """Return every message that a participant may receive, by kind."""
    return scheme.exchange.against(scheme.adversary).to_participant


def _uploads_blocks(scheme: Scheme) -> bool:
    upload = scheme.exchange.to_server[scheme.upload_step.value]
    return {"block", "words"} <= set(upload.__struct_fields__)


def exchanges(*kinds: type[Message]) -> Callable[[Case, Scheme], bool]:
    """Return whether these very messages are exchanged, whatever the scheme is called that sends them."""
    return lambda _, scheme: set(kinds) <= set(scheme.exchange.messages)


PROTECTS = Capability("it hides no vector", lambda _, scheme: scheme.traits.protects)
SIGNS = Capability("its messages are not signed", lambda _, scheme: scheme.active)
UNSIGNED = Capability("its messages are signed", lambda _, scheme: not scheme.active)
ANSWERS = Capability("the vector is a participant's only message", lambda _, scheme: len(scheme.steps) > 1)
RECOVERS_DROPOUTS = Capability("it needs everybody", lambda _, scheme: scheme.quorum < scheme.participants)
ADVERTISES_KEYS = Capability("participants advertise no keys", lambda _, scheme: scheme.steps[0] == Step.ADVERTISE_KEYS)
ROUND_SECRETS = Capability("a round has no secrets of its own", lambda _, scheme: scheme.traits.keys == Keys.OWN)
GROUP_KEY = Capability("participants share no key", lambda _, scheme: scheme.traits.keys == Keys.GROUP)
DEALS_SHARES = Capability("participants deal no shares", lambda _, scheme: scheme.share_bytes > 0)
ANSWERS_AFTERWARDS = Capability(
    "nothing is asked of a participant once it has given its vector",
    lambda _, scheme: scheme.steps[-1] != scheme.upload_step,
)
UPLOADS_LATER = Capability(
    "the vector is a participant's first message", lambda _, scheme: scheme.steps[0] != scheme.upload_step
)
UPLOADS_BLOCKS = Capability("its vectors do not come in blocks", lambda _, scheme: _uploads_blocks(scheme))
SPOILS = Capability(
    "Case.spoil names no message of its server that could be spoilt",
    lambda case, scheme: bool(spoils(case, heard(scheme))),
)
REPEATABLE = Capability("its bytes do not follow a seed", lambda case, _: case.repeatable)
OPENS_SECRETS = Capability("a round opens no secret", lambda _, scheme: bool(scheme.traits.opens))
BONAWITZ_MESSAGES = Capability(
    "its messages are other ones than those of Bonawitz", exchanges(KeyList, SealedShares, UnmaskRequest, Unmasking)
)

_NEEDS: dict[str, tuple[Capability, ...]] = {}


def needs(*capabilities: Capability) -> Callable[[Test], Test]:
    """Say what a test, or whoever uses a fixture, needs of a scheme. Written below `pytest.fixture`."""

    def note(test: Test) -> Test:
        _NEEDS[test.__name__] = capabilities
        return test

    return note


def lacking(case: Case, names: Iterable[str]) -> str:
    """Return why a case cannot take a test that goes by, or uses, these names; empty where it can."""
    wanted = [capability for name in names for capability in _NEEDS.get(name, ())]
    if not wanted:
        return ""
    missing = [capability.lacking for capability in wanted if not capability.held(case, case.sample)]
    return missing[0] if missing else ""
