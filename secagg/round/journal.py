"""A round that lasts longer than its aggregator's process: it is taken up again from a folder.

The server's machine is a `DurableServer`, which writes down what it drew and received. Beside it stands who is who:
the peers in their order, and with a roster which participant each turned out to be. What is not kept: keys that came
ahead (their sites are asked again), and what was refused (it is in the log).

The folder is as secret as the aggregator's memory. Delete it when the sum is stored, and not before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from secagg_protocols import DurableServer, InputError
from secagg_protocols.core.journal import Journal
from secagg_protocols.primitives.domain import Use, digest

from .peers import Peers
from .rounds import Round
from .terms import Proposal

T = TypeVar("T")

_FILE = "peers"


class KeptPeers(Peers[str]):
    """Peers that are found again: their order, and who they turned out to be."""

    def __init__(
        self, path: Path, proposal: Proposal, names: Iterable[str], numbered: bool, left_out: Collection[str] = ()
    ) -> None:
        self._path = path
        self._journal = Journal(path, digest(Use.PEERS, msgspec.msgpack.encode(proposal)))
        given = list(dict.fromkeys(names))
        try:
            kept, *learnt = list(self._journal.entries()) or [b""]
            before = self._decoded(kept, list[str]) if kept else given
            if sorted(before) != sorted(given):
                raise InputError(f"{path} is of a round with other peers: give the same ones, or another folder")
            super().__init__(before, numbered, left_out)
            if not kept:
                self._journal.append(msgspec.msgpack.encode(given))
            for entry in learnt:
                super().learn(*self._decoded(entry, tuple[str, int]))
        except BaseException:
            self._journal.close()
            raise

    def _decoded(self, entry: bytes, kind: type[T]) -> T:
        try:
            return msgspec.msgpack.decode(entry, type=kind)
        except msgspec.MsgspecError:
            raise InputError(f"{self._path} is damaged: run the round again in another folder") from None

    def learn(self, peer: str, sender: int) -> None:
        if self.participants.get(peer) != sender:
            self._journal.append(msgspec.msgpack.encode((peer, sender)))
            super().learn(peer, sender)

    def close(self) -> None:
        """Let go of the file."""
        self._journal.close()


@contextmanager
def kept_round(
    folder: Path | str,
    server: DurableServer,
    proposal: Proposal,
    peers: Iterable[str],
    ahead: Mapping[str, bytes] | None = None,
    left_out: Collection[str] = (),
) -> Iterator[Round[str]]:
    """Yield a round that goes on where it was, as long as server, proposal and peers are made as before.

    folder: the server's own. left_out: peers who are not asked (`Peers`). `begin` returns whom to ask, at first and
    every time again. Raises `InputError` for a folder of another round.
    """
    try:
        known = KeptPeers(Path(folder) / _FILE, proposal, peers, not server.machine.scheme.active, left_out)
        try:
            yield Round(server, proposal, known, ahead=ahead)
        finally:
            known.close()
    finally:
        server.close()
