"""A site: polls its coordinator outwards, and answers what it is asked.

It keeps nothing itself. What was answered is in the site's own store, so that a site that was killed takes the same
request again and answers the same bytes.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlencode, urlsplit

from secagg.extras import needed
from secagg.round.request import one_line
from secagg_protocols import AuthenticationError, InputError, ParameterError, RemoteError, WireError

from .calls import DIGEST, DONE, Caller, Hello
from .limits import POLL_SECONDS, REQUEST_BYTES, body_seconds
from .tls import is_loopback

with needed("service"):
    import httpx

log = logging.getLogger("secagg.service")

CONNECT_SECONDS = 10.0
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds before a call is tried again: twice as long each time."""
ANSWER_BYTES = 1 << 12
"""Longest answer that is read where no request is."""


class Over(RemoteError):
    """The coordinator asks nothing more. The text says why."""


class Unreachable(RemoteError):
    """No answer, or one that says to come again."""


@dataclass
class Coordinator:
    """The coordinator as a site calls it. url: https, or http on this machine. context: which certificate is taken.

    Raises `ParameterError` for another url.
    """

    url: str
    caller: Caller
    context: ssl.SSLContext
    client: httpx.Client = field(init=False, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        local = is_loopback(parts.hostname or "")
        safe = parts.scheme == "https" or (parts.scheme == "http" and local)
        if not (parts.hostname and safe and _has_port(parts)) or parts.path.strip("/") or parts.query:
            raise ParameterError(f"{self.url!r} is no URL of a coordinator: give https://HOST:PORT")
        self.client = httpx.Client(
            base_url=f"{parts.scheme}://{parts.netloc}",
            verify=self.context,
            trust_env=not local,  # a proxy, where this machine has one
            timeout=httpx.Timeout(POLL_SECONDS + 15, connect=CONNECT_SECONDS),
            headers={"accept-encoding": "identity"},
        )

    def poll(self, wait: float = POLL_SECONDS) -> tuple[str, bytes] | None:
        """Return what is asked, with its digest; None where nothing is within `wait` seconds. Raises `Over`,
        `Unreachable`, and what `_call` raises."""
        status, headers, data = self._call("GET", "/v1/request", {"wait": f"{wait:.0f}"})
        if status == 204:
            return None
        if status != 200 or DIGEST not in headers:
            raise WireError(f"the coordinator answers {status} to a site that asks what is asked")
        return headers[DIGEST], data

    def answer(self, about: str, answer: bytes) -> None:
        """Send what is answered to a request. An answer that nobody waits for any more is no error."""
        status, _, data = self._call("POST", "/v1/answer", {"about": about}, answer)
        if status == 409:
            log.warning("secagg: this answer came too late: %s", one_line(data.decode(errors="replace")))

    def _call(
        self, method: str, path: str, query: dict[str, str], body: bytes = b""
    ) -> tuple[int, httpx.Headers, bytes]:
        """Make one signed call. Raises `Unreachable`, `Over`, `AuthenticationError` where the coordinator does not take
        this site, and `InputError` for a certificate that is not the pinned one."""
        if not self.caller.greeted:
            self._greet()
        target = f"{path}?{urlencode(query)}"
        status, headers, data = self._signed(method, target, body)
        if status == 401:  # the coordinator was started again, or another process of this site has called
            self._greet()
            status, headers, data = self._signed(method, target, body)
        told = one_line(data.decode(errors="replace"))
        if status == 401:
            raise AuthenticationError(f"the coordinator does not take this site: {told}")
        if status == 410:
            raise Over(told)
        self._check(status, told)
        return status, headers, data

    def _signed(self, method: str, target: str, body: bytes) -> tuple[int, httpx.Headers, bytes]:
        return self._exchange(method, target, {"authorization": self.caller.header(method, target, body)}, body)

    def _check(self, status: int, told: str) -> None:
        if status in (200, 204, 409):
            return
        if status in (408, 429) or status >= 500:
            raise Unreachable(f"it answers {status}: {told}")
        raise WireError(f"the coordinator refuses a call ({status}): {told}")

    def _greet(self) -> None:
        status, _, data = self._exchange("GET", f"/v1/hello?party={self.caller.entry.id}", {}, b"")
        self._check(status, one_line(data.decode(errors="replace")))
        self.caller.greet(Hello.read(data))

    def _exchange(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, httpx.Headers, bytes]:
        """Return status, headers and body, which is read up to its limit, and not for ever."""
        try:
            with self.client.stream(method, target, headers=headers, content=body or None) as response:
                limit = REQUEST_BYTES if response.status_code == 200 else ANSWER_BYTES
                return response.status_code, response.headers, _read(response, limit)
        except httpx.TransportError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise InputError(
                    f"the certificate of {self.url} is not the one that this site expects (--tls-cert), or has "
                    f"expired; nothing was sent: {one_line(str(error))}"
                ) from None
            raise Unreachable(f"{type(error).__name__}: {one_line(str(error))}") from None


def _has_port(parts: SplitResult) -> bool:
    """Tell whether the port is one, or left out."""
    try:
        return parts.port != 0
    except ValueError:
        return False


def join(
    coordinator: Coordinator,
    site: Callable[[bytes], bytes],
    *,
    once: bool,
    say: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Answer what is asked. once: return when the coordinator is done; else go on with what it asks next.

    Raises what `Coordinator` raises, `Over` only where it has failed, and never `Unreachable`: then it tries again.
    """
    wait = FIRST_WAIT
    unsent: tuple[str, bytes] | None = None
    while True:
        try:
            if unsent is None:
                asked = coordinator.poll()
                unsent = None if asked is None else (asked[0], site(asked[1]))
            if unsent is not None:
                coordinator.answer(*unsent)
            unsent = None
            wait = FIRST_WAIT
        except Over as over:
            say(f"the coordinator asks nothing more: {over}")
            if once and str(over) == DONE:
                return
            if once:
                raise
            sleep(LONGEST_WAIT)
        except Unreachable as unreachable:
            say(f"the coordinator cannot be reached ({unreachable}); trying again in {wait:g} s")
            sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)


def _read(response: httpx.Response, limit: int) -> bytes:
    said = response.headers.get("content-length", "0")
    if not said.isdecimal() or len(said) > 15 or int(said) > limit:
        raise WireError(f"the coordinator sends {one_line(said)} bytes; at most {limit} are read")
    end = time.monotonic() + POLL_SECONDS + body_seconds(int(said))
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > limit:
            raise WireError(f"the coordinator sends more than {limit} bytes; no more are read")
        if time.monotonic() > end:
            raise Unreachable("it sends too slowly")
    return bytes(body)
