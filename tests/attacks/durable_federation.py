"""A whole round, server and participants kept on disk, in one process that is killed at one of its syncs.

Run by test_crash.py as a script: `durable_federation.py FOLDER ADVERSARY SYNC`. The process that is killed is a fork of
it; then it goes on over the same folder. Standard output, when the round has ended: its survivors and sum, as JSON.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

import msgspec
import numpy as np

from secagg import (
    SERVER,
    Bonawitz,
    DurableClient,
    DurableServer,
    Identity,
    LateMessage,
    RepeatedContext,
    Roster,
    RoundContext,
    SnapshotStore,
    StateError,
)
from secagg_protocols import Aggregator, Participant

PARTICIPANTS = range(1, 6)


class DyingDisk:
    """Syncs files, and ends the process as a power cut does at one of them."""

    def __init__(self, point: int) -> None:
        self.left, self.sync = point, os.fsync

    def __call__(self, descriptor: int) -> None:
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
        self.sync(descriptor)


def parties(folder: Path, adversary: str) -> tuple[dict[int, Identity], Roster | None]:
    """Make the identities and the roster, or find them again."""
    if adversary != "active":
        return {}, None
    if not (folder / "roster").exists():
        made = {party: Identity.generate(f"party {party}") for party in (SERVER, *PARTICIPANTS)}
        for party, identity in made.items():
            (folder / f"identity {party}").unlink(missing_ok=True)
            identity.save(folder / f"identity {party}")
        Roster.of("x25519", [own.public(party) for party, own in made.items()]).save(folder / "roster")
    identities = {party: Identity.load(folder / f"identity {party}") for party in (SERVER, *PARTICIPANTS)}
    return identities, Roster.load(folder / "roster")


def answers_of(client: DurableClient, request: bytes | None, vector: np.ndarray) -> list[bytes]:
    """Ask a participant (None: to start), and give its vector where it is due."""
    answers = client.start() if request is None else client.receive(request)
    if client.awaits_vector:
        with contextlib.suppress(RepeatedContext):
            answers = client.contribute(vector)
    return answers


def main(kill_at: int) -> None:
    folder, adversary = Path(sys.argv[1]), sys.argv[2]
    scheme, context = Bonawitz(5, 20, adversary=adversary, threshold=3), RoundContext("job", 1, bytes(32))
    identities, roster = parties(folder, adversary)
    os.fsync = DyingDisk(kill_at)
    clients = {
        who: DurableClient(
            SnapshotStore(folder / f"store {who}"),
            scheme,
            who,
            context,
            Participant(identity=identities.get(who), roster=roster),
        )
        for who in PARTICIPANTS
    }
    server = DurableServer(
        folder / "round 1", scheme, context, Aggregator(identity=identities.get(SERVER), roster=roster)
    )
    outgoing = server.start()
    while server.output is None:
        asked = [(envelope.recipient, envelope.to_bytes()) for envelope in outgoing]
        for who, request in asked or [(who, None) for who in PARTICIPANTS]:
            for data in answers_of(clients[who], request, np.arange(20) + 1000 * who):
                with contextlib.suppress(StateError, LateMessage):  # it had come before
                    server.receive(data)
        outgoing = server.advance()
    total, survivors = server.output.total.tolist(), server.output.survivors
    sys.stdout.buffer.write(msgspec.json.encode({"total": total, "survivors": survivors}))


if __name__ == "__main__":
    first = os.fork()
    if not first:
        main(int(sys.argv[3]))
        os._exit(0)
    _, status = os.waitpid(first, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    main(0)
