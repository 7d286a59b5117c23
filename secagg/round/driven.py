"""What a round drives: a server's machine that ends with its process, or one that is rebuilt."""

from __future__ import annotations

from typing import Protocol

from secagg_protocols import Envelope, Server


class Driven(Protocol):
    """A server's machine, and how it is driven: a `DurableServer`, or `InMemory`."""

    @property
    def machine(self) -> Server:
        """The machine, to be looked at."""

    def start(self) -> list[Envelope]:
        """Begin; return what goes out. After a crash: what the open step began with."""

    def receive(self, data: bytes | memoryview, envelope: Envelope | None = None) -> None:
        """Take one envelope's bytes. envelope: what they were read as, where they were read before."""

    def advance(self) -> list[Envelope]:
        """Close the open step; return what goes out next."""


class InMemory:
    """A machine that ends with its process."""

    def __init__(self, machine: Server) -> None:
        self.machine = machine

    def start(self) -> list[Envelope]:
        """Begin; return what goes out."""
        return self.machine.start()

    def advance(self) -> list[Envelope]:
        """Close the open step; return what goes out next."""
        return self.machine.advance()

    def receive(self, data: bytes | memoryview, envelope: Envelope | None = None) -> None:
        """Take one envelope's bytes. envelope: what they were read as, where they were read before."""
        self.machine.receive(envelope or Envelope.from_bytes(data, self.machine.scheme.envelope_limit))
