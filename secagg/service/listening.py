"""The listening end: connections are counted before TLS begins, and a call's head must come in time.

uvicorn does the rest. Its own limits begin when a request has been read, and it waits for a head for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import Counter
from collections.abc import Iterator
from typing import Any

from secagg.extras import needed
from secagg_protocols import InputError

from .limits import HEAD_BYTES, HEAD_SECONDS, IDLE_SECONDS, Connections

with needed("service"):
    import h11
    import uvicorn
    from starlette.types import ASGIApp
    from uvicorn.protocols.http.h11_impl import H11Protocol


class _Counted(socket.socket):
    """An accepted connection, which is counted until it is closed."""

    def __init__(self, accepted: socket.socket, address: str, open_now: Counter[str]) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, accepted.detach())
        self._address = address
        self._open_now: Counter[str] | None = open_now
        open_now[address] += 1

    def close(self) -> None:
        counted, self._open_now = self._open_now, None
        if counted is not None:
            counted[self._address] -= 1
            if not counted[self._address]:
                del counted[self._address]
        super().close()


class Listening(socket.socket):
    """A socket that closes connections beyond its limits as soon as it has accepted them."""

    def __init__(self, family: int, limits: Connections) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self._limits = limits
        self.open_now: Counter[str] = Counter()

    def accept(self) -> tuple[socket.socket, Any]:
        while True:
            connection, address = super().accept()
            host = str(address[0])
            if self.open_now[host] < self._limits.of_address and self.open_now.total() < self._limits.in_all:
                return _Counted(connection, host, self.open_now), address
            connection.close()


def listen(host: str, port: int, limits: Connections) -> Listening:
    """Open the port. Raises `InputError` where that cannot be."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = Listening(family, limits)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(128)
            return listening
        except BaseException:
            listening.close()
            raise
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{host}:{port} cannot be listened on ({why}): give another --port, or --host") from None


class _InTime(H11Protocol):
    """A connection that is closed where a call's head, or a body that nobody waits for, does not come in time."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_there()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def shutdown(self) -> None:
        super().shutdown()
        if self.transport.is_closing():  # and not for as long as the other side takes to close TLS
            self.transport.abort()

    def _look(self) -> None:
        busy = self.cycle is not None and not self.cycle.response_complete
        idle = self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]
        if busy or idle:  # uvicorn closes what is idle
            self._head_is_there()
        else:
            self._await_head()

    def _await_head(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _head_is_there(self) -> None:
        if self._late is not None:
            self._late.cancel()
        self._late = None


class Server(uvicorn.Server):
    """uvicorn, with our connections; signals are the caller's."""

    def __init__(self, app: ASGIApp, context: ssl.SSLContext | None) -> None:
        config = uvicorn.Config(
            app,
            http=_InTime,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level="error",  # what strangers send amiss must not fill a disk
            access_log=False,
            proxy_headers=False,
            server_header=False,
            h11_max_incomplete_event_size=HEAD_BYTES,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=1,
            ssl_context_factory=None if context is None else lambda config, default: context,
        )
        super().__init__(config)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def served(app: ASGIApp, listening: Listening, context: ssl.SSLContext | None) -> Any:
    """Serve while the block runs. context: None only where nobody but this machine can connect."""
    server = Server(app, context)
    task = asyncio.create_task(server.serve([listening]))
    try:
        yield
    finally:
        server.should_exit = True
        await task
