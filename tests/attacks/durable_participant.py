"""Calls to a durable participant, each in a process of its own, killed where the environment variable KILL says.

Run by test_crash.py as a script, which forks a process for each call: imports take longer than the calls. Standard
input: lists of calls that are made at the same time, a line each (JSON); standard output: a line for each list, with
how every process ended. Exit code 3: the call was refused, and the output says how.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np

from secagg import Bonawitz, Identity, Roster, RoundContext, SecAggError
from secagg_protocols import Participant
from secagg_protocols.core.durable_client import DurableClient
from secagg_protocols.core.snapshots import Record, SnapshotStore

BEFORE_SNAPSHOT, WRITING_SNAPSHOT, BEFORE_SEND = "before the snapshot", "while it is written", "before the send"
WRITING_LEDGER = "while the ledger is written"
TIME_LIMIT = 60


class Call(msgspec.Struct):
    """What to do. folder: of the store. keys: folder of `identity` and `roster` (active). call: start, receive, …
    kill: where its process is killed (empty: nowhere)."""

    folder: str
    keys: str
    adversary: str
    job: str
    participant: int
    call: str
    noise: str = ""
    data: bytes = b""
    vector: list[int] = []
    kill: str = ""


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


class Ended(msgspec.Struct):
    """How the process of a call ended. code: as of subprocess. output: at the very end, the answers (msgpack)."""

    code: int
    output: bytes


def main(call: Call, output: BinaryIO) -> int:
    """Make one call in a process of its own; return its exit code."""
    os.replace = killed_replace
    signal.alarm(TIME_LIMIT)
    try:
        answers = answer(call, KilledStore(Path(call.folder)))
    except SecAggError as error:
        output.write(f"{type(error).__name__}: {error}".encode())
        return 3
    if os.environ.get("KILL") == BEFORE_SEND:
        die()
    output.write(msgspec.msgpack.encode(answers))
    return 0


def start(call: Call) -> tuple[int, BinaryIO]:
    """Fork a process that makes a call; return its id and what to read its output from."""
    reading, writing = os.pipe()
    own = os.fork()
    if own:
        os.close(writing)
        return own, open(reading, "rb")
    code = 1
    try:
        os.environ["KILL"] = call.kill
        with open(writing, "wb") as output:
            code = main(call, output)
    finally:
        os._exit(code)


def serve() -> None:
    """Make the calls that come on standard input. This process only imports, and makes none itself."""
    for line in sys.stdin.buffer:
        processes = [start(call) for call in msgspec.json.decode(line, type=list[Call])]
        ended = []
        for own, output in processes:
            with output:
                said = output.read()
            ended.append(Ended(os.waitstatus_to_exitcode(os.waitpid(own, 0)[1]), said))
        sys.stdout.buffer.write(msgspec.json.encode(ended) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    serve()
