"""The coordinator over HTTP: what sites call, and what people and machines look at.

| call | by whom | what comes back |
|---|---|---|
| GET /v1/hello?party=N | anyone | `calls.Hello` |
| GET /v1/request?wait=S | a site | 200 and a request; 204: nothing within S seconds; 410: all is over |
| POST /v1/answer?about=DIGEST | a site | 204; 409 where nobody waits for it |
| GET /healthz | anyone | 200 while the service runs |
| GET / and /metrics | this machine | the status page; the same for Prometheus |

Whoever calls is known by the head of the call alone, before a byte of its body is read; a body is read up to the length
that the round allows this site at this step, and no longer than `limits.body_seconds`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qs

import msgspec

from secagg.extras import needed
from secagg_protocols import AuthenticationError, LateMessage, ParameterError, PublicIdentity

from .calls import DIGEST, Doorkeeper
from .desk import Desk
from .limits import ANSWERS_AT_ONCE, CALLS_AT_ONCE, POLL_SECONDS, Rate, body_seconds
from .page import metrics, page
from .status import Status
from .tls import is_loopback

with needed("service"):
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import HTMLResponse, PlainTextResponse, Response
    from starlette.routing import Route

FETCHES_NOTHING = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}
CLOSE = {"connection": "close"}
"""With a refusal before the body was read: the rest of it is not read either."""


@dataclass
class Service:
    """The coordinator's calls. shown_to_all: whether people and machines elsewhere may see the status."""

    desk: Desk
    doorkeeper: Doorkeeper
    title: str
    shown_to_all: bool = False
    calls: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        clock = asyncio.get_running_loop().time
        self._addresses = Rate(100, 400, clock)
        self._parties = Rate(50, 100, clock)
        self._at_once: Counter[int] = Counter()
        self._answers: Counter[int] = Counter()

    def application(self) -> Starlette:
        """Return it as uvicorn takes it."""
        routes = [
            Route("/v1/hello", self._counted(self.hello)),
            Route("/v1/request", self._counted(self.request)),
            Route("/v1/answer", self._counted(self.answer), methods=["POST"]),
            Route("/healthz", self._counted(self.healthz)),
            Route("/", self._counted(self.page)),
            Route("/metrics", self._counted(self.metrics)),
        ]
        return Starlette(routes=routes)

    def _counted(self, call: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Return the call, bounded in rate, its outcome counted."""

        async def counted(request: Request) -> Response:
            try:
                if not self._addresses.allows(_address(request)):
                    raise HTTPException(429, "too many calls of this address", {**CLOSE, "retry-after": "1"})
                answered = await call(request)
            except HTTPException as refused:
                self.calls[str(refused.status_code)] += 1
                raise
            except ClientDisconnect:
                self.calls["broken off"] += 1
                return Response(status_code=400, headers=CLOSE)
            self.calls[str(answered.status_code)] += 1
            return answered

        return counted

    async def hello(self, request: Request) -> Response:
        """Say what a caller must sign."""
        party = _number(request, "party", 10**9)
        return Response(msgspec.json.encode(self.doorkeeper.hello(party)), media_type="application/json")

    async def request(self, request: Request) -> Response:
        """Hand out what is asked of the caller, or wait for it."""
        async with self._admitted(request) as (entry, _):
            end = asyncio.get_running_loop().time() + min(_number(request, "wait", 10**4), POLL_SECONDS)
            while True:
                if self.desk.over:
                    self.desk.told.add(entry.name)
                    raise HTTPException(410, self.desk.over)
                if self.desk.stops:
                    raise HTTPException(503, "the coordinator stops", CLOSE)
                if (asked := self.desk.request_for(entry.name)) is not None:
                    digest, data = asked
                    return Response(data, media_type="application/octet-stream", headers={DIGEST: digest})
                left = end - asyncio.get_running_loop().time()
                if left <= 0:
                    return Response(status_code=204)
                await self.desk.change(left)

    async def answer(self, request: Request) -> Response:
        """Take what the caller answers."""
        async with self._admitted(request) as (entry, digest):
            about = _parameter(request, "about")
            try:
                limit = self.desk.answer_limit(entry.name, about)
                body = await self._body(request, entry.id, limit)
                if hashlib.sha256(body).digest() != digest:
                    raise HTTPException(401, "the body is not the one that was signed", CLOSE)
                await self.desk.take(entry.name, about, body)
            except LateMessage as late:
                raise HTTPException(409, str(late), CLOSE) from None
            return Response(status_code=204)

    async def healthz(self, request: Request) -> Response:
        """Say that the service runs."""
        return PlainTextResponse("ok\n")

    async def page(self, request: Request) -> Response:
        """Show people how far it has come."""
        self._check_shown(request)
        return HTMLResponse(page(self._status()), headers=FETCHES_NOTHING)

    async def metrics(self, request: Request) -> Response:
        """Show Prometheus the same."""
        self._check_shown(request)
        data, kind = metrics(self._status())
        return Response(data, headers={"content-type": kind})

    def _status(self) -> Status:
        return Status.of(self.desk, self.title, self.calls, asyncio.get_running_loop().time())

    def _check_shown(self, request: Request) -> None:
        if not self.shown_to_all and not is_loopback(_address(request)):
            raise HTTPException(403, "the status is for the coordinator's own machine (--show-status: for all)", CLOSE)

    @asynccontextmanager
    async def _admitted(self, request: Request) -> AsyncIterator[tuple[PublicIdentity, bytes]]:
        """Yield who calls, and the digest that its body must have."""
        target = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
        header = request.headers.get("authorization", "")
        try:
            entry, digest = self.doorkeeper.admit(header, request.method, target, datetime.now(UTC))
        except (AuthenticationError, ParameterError) as error:
            raise HTTPException(401, str(error), CLOSE) from None
        if not self._parties.allows(entry.name) or self._at_once[entry.id] >= CALLS_AT_ONCE:
            raise HTTPException(429, "too many calls of this party", {**CLOSE, "retry-after": "1"})
        self.desk.sites[entry.name].heard = asyncio.get_running_loop().time()
        self._at_once[entry.id] += 1
        try:
            yield entry, digest
        finally:
            self._at_once[entry.id] -= 1

    async def _body(self, request: Request, party: int, limit: int) -> bytes:
        """Return the body, one of a party at a time."""
        if self._answers[party] >= ANSWERS_AT_ONCE:
            raise HTTPException(429, "another answer of this party is on its way", {**CLOSE, "retry-after": "1"})
        self._answers[party] += 1
        try:
            return await _read(request, limit)
        finally:
            self._answers[party] -= 1


async def _read(request: Request, limit: int) -> bytes:
    """Return the body, of the length that the head says."""
    said = request.headers.get("content-length", "")
    if not said.isdecimal() or len(said) > 15:
        raise HTTPException(411, "an answer says how long it is", CLOSE)
    length = int(said)
    if length > limit:
        raise HTTPException(413, f"the answer is {length} bytes long; at most {limit} are allowed", CLOSE)
    body = bytearray()
    try:
        async with asyncio.timeout(body_seconds(length)):
            async for chunk in request.stream():
                body += chunk
                if len(body) > length:  # sent in chunks, which the head may say beside a length
                    raise HTTPException(413, f"the answer is longer than the {length} bytes that it says", CLOSE)
    except TimeoutError:
        raise HTTPException(408, f"the answer did not come within {body_seconds(length):.0f} seconds", CLOSE) from None
    return bytes(body)


def _address(request: Request) -> str:
    return "" if request.client is None else request.client.host


def _parameter(request: Request, name: str) -> str:
    found = parse_qs(request.url.query).get(name, [])
    if len(found) != 1:
        raise HTTPException(400, f"{name} is missing", CLOSE)
    return found[0]


def _number(request: Request, name: str, most: int) -> int:
    text = _parameter(request, name)
    if not text.isdecimal() or len(text) > len(str(most)) or int(text) > most:
        raise HTTPException(400, f"{name} is no number of at most {most}", CLOSE)
    return int(text)
