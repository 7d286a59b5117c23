"""Who calls: every call is signed by an identity of the roster, for this start of this coordinator, and counts once.

    Authorization: secagg-1 PARTY START COUNT BODY SIGNATURE

PARTY is the roster's number, START 16 random bytes that a coordinator draws when it starts (`Hello`), COUNT a number
that grows with every call of the party, BODY the SHA-256 of the body, and SIGNATURE is over all of it, method and
target, the roster and the coordinator's key. So a call that was recorded is refused when it comes again, at another
coordinator too, or at the same one started again; and no two clocks need to agree.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from secagg_protocols import SERVER, AuthenticationError, Identity, ParameterError, PublicIdentity, Roster, WireError
from secagg_protocols.primitives.domain import Use, separated

VERSION = 1
"""Of the calls. Requests and answers have their own."""
SCHEME = f"secagg-{VERSION}"
START_BYTES = 16
DONE = "done"
"""What sites are told at the end where nothing has failed."""
DIGEST = "secagg-request"
"""Header with the digest of a request, which its answer names."""

_HEADER = re.compile(rf"{SCHEME} ([0-9]{{1,10}}) ([0-9a-f]{{32}}) ([0-9]{{1,19}}) ([0-9a-f]{{64}}) ([0-9a-f]{{128}})")


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """What a coordinator tells anyone who asks. start: of this process, hexadecimal. roster: its digest. count: of the
    last call of the party that asks."""

    secagg: Literal["coordinator"] = "coordinator"
    version: int = VERSION
    start: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    roster: str
    count: Annotated[int, Meta(ge=0, lt=1 << 62)]

    @classmethod
    def read(cls, data: bytes) -> Hello:
        """Decode. Raises `WireError`."""
        try:
            hello = msgspec.json.decode(data, type=cls)
        except msgspec.MsgspecError:
            raise WireError("what answers there is no coordinator of secagg") from None
        if hello.version != VERSION:
            raise WireError(f"the coordinator speaks version {hello.version}, this side speaks version {VERSION}")
        return hello


class Call(msgspec.Struct, frozen=True):
    """One call as it is signed. body: the SHA-256 of its body."""

    party: int
    start: bytes
    count: int
    method: str
    target: str
    body: bytes

    def signed(self, roster: Roster) -> bytes:
        """Return what the signature is over."""
        return separated(
            Use.SERVICE_CALL,
            roster.digest,
            roster.key_of(SERVER),
            self.party,
            self.start,
            self.count,
            self.method,
            self.target,
            self.body,
        )


class Caller:
    """A site: signs its calls, in the order in which it makes them. Raises `ParameterError` for a stranger."""

    def __init__(self, identity: Identity, roster: Roster) -> None:
        own = [entry for entry in roster.entries if entry.public_key == identity.public_key and entry.id != SERVER]
        if not own:
            raise ParameterError(
                f"the identity {identity.name!r} (--identity) is no participant of the roster (--roster): its key is "
                f"{identity.public_key.hex()}"
            )
        self.entry: PublicIdentity = own[0]
        self.roster = roster
        self._identity = identity
        self._start = b""
        self._count = 0

    @property
    def greeted(self) -> bool:
        """Whether the coordinator's start is known."""
        return bool(self._start)

    def greet(self, hello: Hello) -> None:
        """Take what the coordinator says of itself. Raises `WireError` where it has another roster."""
        if hello.roster != self.roster.digest.hex():
            raise WireError(
                f"the coordinator's roster has the digest {hello.roster[:16]}…, this site's (--roster) has "
                f"{self.roster.digest.hex()[:16]}…: all parties need the same file"
            )
        self._start = bytes.fromhex(hello.start)
        self._count = max(self._count, hello.count)

    def header(self, method: str, target: str, body: bytes = b"") -> str:
        """Return the header of the next call."""
        self._count += 1
        call = Call(self.entry.id, self._start, self._count, method, target, hashlib.sha256(body).digest())
        signature = self._identity.sign(call.signed(self.roster))
        return f"{SCHEME} {call.party} {call.start.hex()} {call.count} {call.body.hex()} {signature.hex()}"


class Doorkeeper:
    """The coordinator: lets in who is in the roster, each call once. start: fresh for every process."""

    def __init__(self, roster: Roster, start: bytes) -> None:
        assert len(start) == START_BYTES
        self._roster = roster
        self._start = start
        self._entries = {entry.id: entry for entry in roster.entries if entry.id != SERVER}
        self._counts = dict.fromkeys(self._entries, 0)

    def hello(self, party: int) -> Hello:
        """Return what anyone is told who asks for this party."""
        digest = self._roster.digest.hex()
        return Hello(start=self._start.hex(), roster=digest, count=self._counts.get(party, 0))

    def admit(self, header: str, method: str, target: str, now: datetime) -> tuple[PublicIdentity, bytes]:
        """Return who calls, and the digest that the body must have. Raises `AuthenticationError`, and `ParameterError`
        for an identity whose time is not now."""
        found = _HEADER.fullmatch(header)
        if found is None:
            raise AuthenticationError(f"the call is not signed as {SCHEME} asks")
        party, count = int(found[1]), int(found[3])
        call = Call(party, bytes.fromhex(found[2]), count, method, target, bytes.fromhex(found[4]))
        if party not in self._entries:
            raise AuthenticationError(f"party {party} is no participant of the roster")
        if call.start != self._start:
            raise AuthenticationError("the call is for another start of the coordinator")
        self._roster.suite.signatures.verify(
            self._roster.key_of(party), bytes.fromhex(found[5]), call.signed(self._roster)
        )
        if count <= self._counts[party]:
            raise AuthenticationError(f"call {count} of party {party} came before; its last was {self._counts[party]}")
        entry = self._entries[party]
        entry.check_valid_at(now)
        self._counts[party] = count
        return entry, call.body
