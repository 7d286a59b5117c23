"""Messages that are authentic and that no honest server sends: what a participant must abort on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from secagg_protocols import Client, Envelope
from secagg_protocols.core.wire import Message

from .case import Case, Spoil

if TYPE_CHECKING:
    from .driver import Rehearsal


def _without_the_first_dealer(message: Any) -> Any:
    return replace(message, dealers=message.dealers[1:])


def _with_one_survivor(message: Any) -> Any:
    return replace(message, survivors=message.survivors[:1])


KNOWN: Mapping[str, tuple[str, Spoil, str]] = {
    "SealedShares": ("dealers", _without_the_first_dealer, "dealers"),
    "ReleaseRequest": ("survivors", _with_one_survivor, "survivor list"),
}
"""Kind of message, of protocols that come with secagg → (the field, what spoils it, what the participant says)."""


def spoils(case: Case, messages: Mapping[str, type[Message]]) -> dict[str, tuple[Spoil, str]]:
    """Return kind → (what spoils it, what the participant says), of these messages: the case's own, and known ones."""
    known = {
        kind: (spoil, says)
        for kind, (name, spoil, says) in KNOWN.items()
        if kind in messages and name in messages[kind].__struct_fields__
    }
    return known | dict(case.spoil)


def about_to_abort(case: Case, running: Rehearsal) -> tuple[Rehearsal, Client, Envelope, str]:
    """Return a finished round, a participant as it was before a message, that message spoilt, and its words for it."""
    finished = running.finish()
    honest_client = finished.clients[1]
    kind, (spoil, says) = next(iter(spoils(case, honest_client.messages).items()))
    snapshot = next(snapshot for state, snapshot in finished.snapshots[1] if (state, kind) in honest_client.transitions)
    client = type(running)(running.scheme).restore(1, snapshot)
    honest = finished.parse(finished.heard[1, kind])
    return finished, client, finished.server.seal(kind, 1, spoil(client.open(honest))), says
