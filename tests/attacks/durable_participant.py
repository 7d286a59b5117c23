"""One call to a durable participant in a process of its own, killed where the environment variable KILL says.

Run by test_crash.py as a script. Standard input: the call (msgpack); standard output, at the very end: the answers.
Exit code 3: the call was refused, and standard output says how.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import msgspec
import numpy as np

from secagg import Bonawitz, Identity, Roster, RoundContext, SecAggError
from secagg_protocols import Participant
from secagg_protocols.core.durable_client import DurableClient
from secagg_protocols.core.snapshots import Record, SnapshotStore

BEFORE_SNAPSHOT, WRITING_SNAPSHOT, BEFORE_SEND = "before the snapshot", "while it is written", "before the send"
WRITING_LEDGER = "while the ledger is written"


class Call(msgspec.Struct):
    """What to do. folder: of the store. keys: folder of `identity` and `roster` (active). call: start, receive, …"""

    folder: str
    keys: str
    adversary: str
    job: str
    participant: int
    call: str
    noise: str = ""
    data: bytes = b""
    vector: list[int] = []


def die() -> None:
    """Leave as a power cut does."""
    os.kill(os.getpid(), signal.SIGKILL)


class KilledStore(SnapshotStore):
    """A store whose process is killed on the way."""

    def save(self, session: str, record: Record) -> None:
        if os.environ.get("KILL") == BEFORE_SNAPSHOT:
            die()
        super().save(session, record)


def killed_replace(source: Path, target: Path, replace=os.replace) -> None:
    """Put the new file in place, or die with it written beside the old one."""
    point = WRITING_LEDGER if Path(target).name == "ledger" else WRITING_SNAPSHOT
    if os.environ.get("KILL") == point:
        die()
    replace(source, target)


def scheme_of(adversary: str, noise: str = "") -> Bonawitz:
    """Return the scheme that both sides of these tests use."""
    return Bonawitz(5, 20, adversary=adversary, threshold=3, noise=noise or None)


def context_of(job: str) -> RoundContext:
    """Return the round: one model, whatever the job."""
    return RoundContext(job, 1, b"\x01" * 32)


def client_of(call: Call, store: SnapshotStore) -> DurableClient:
    """Make the participant as every process makes it anew."""
    identity = roster = None
    if call.adversary == "active":
        identity, roster = Identity.load(Path(call.keys) / "identity"), Roster.load(Path(call.keys) / "roster")
    scheme, context = scheme_of(call.adversary, call.noise), context_of(call.job)
    return DurableClient(store, scheme, call.participant, context, Participant(identity=identity, roster=roster))


def answer(call: Call, store: SnapshotStore) -> list[bytes]:
    """Make the call; return the answers."""
    client = client_of(call, store)
    if call.call == "start":
        return client.start()
    if call.call == "contribute":
        return client.contribute(np.array(call.vector))
    return client.receive(call.data)


def main() -> int:
    os.replace = killed_replace
    call = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Call)
    try:
        answers = answer(call, KilledStore(Path(call.folder)))
    except SecAggError as error:
        print(f"{type(error).__name__}: {error}")
        return 3
    if os.environ.get("KILL") == BEFORE_SEND:
        die()
    sys.stdout.buffer.write(msgspec.msgpack.encode(answers))
    return 0


if __name__ == "__main__":
    sys.exit(main())
