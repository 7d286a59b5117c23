"""A coordinator and its sites on this machine's loopback, in threads: what moves is the bytes of real rounds."""

import asyncio
import re
import runpy
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import secagg
from secagg import Identity, Roster
from secagg.round import Proposal, Round, Site, SitePolicy, SiteStore, bound_digest, kept_round, received_digest
from secagg.service.calls import Caller
from secagg.service.conduct import Rounds
from secagg.service.joining import Coordinator, Over, join
from secagg.service.serving import serve
from secagg.service.settings import Address, Deadlines
from secagg.service.tls import pinned_context, server_context
from secagg_protocols import Aggregator, DurableServer

NAMES = ("north", "south", "east", "west", "mid")
PARTY = str(Path(__file__).with_name("party.py"))
LOADED = ("secagg.cli.app", "secagg.service.serving", "secagg.service.joining", "secagg.stats.site", "pandas")
SEEN = received_digest({"asked": np.zeros(1)})


def write_certificate(folder: Path, name: str, days: int = 2) -> Path:
    """Write NAME.crt and NAME.key, a certificate that signs itself; return the first. days: until it expires."""
    key = ec.generate_private_key(ec.SECP256R1())
    called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(called)
        .issuer_name(called)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    (folder / f"{name}.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / f"{name}.key").write_bytes(key.private_bytes(*encoding))
    return folder / f"{name}.crt"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The coordinator's certificate; its key stands beside it."""
    return write_certificate(tmp_path_factory.mktemp("tls"), "coordinator")


@dataclass(frozen=True)
class Federation:
    """Everybody's keys, as files in a folder."""

    folder: Path
    identities: dict[str, Identity]
    roster: Roster

    def file(self, name: str) -> Path:
        return self.folder / f"{name}.identity.json"


@pytest.fixture(scope="session")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Federation:
    folder = tmp_path_factory.mktemp("federation")
    identities = {name: Identity.generate(name) for name in ("server", *NAMES)}
    roster = Roster.of("x25519", [one.public(number) for number, one in enumerate(identities.values())])
    made = Federation(folder, identities, roster)
    for name, identity in identities.items():
        identity.save(made.file(name))
    roster.save(folder / "roster.json")
    return made


@dataclass
class Sums:
    """Rounds of plain sums: so many, each in a folder of its own."""

    folder: Path
    federation: Federation
    count: int
    length: int = 3
    totals: list[list[int]] = field(default_factory=list)
    may_leave_out: bool = True
    refused: tuple = ()

    @property
    def done(self) -> bool:
        return len(self.totals) == self.count

    @contextmanager
    def open(self) -> Iterator[Round[str]]:
        number = len(self.totals) + 1
        scheme = secagg.Bonawitz(len(NAMES), self.length, adversary="active", colluders=1)
        context = secagg.RoundContext("sums", number, bound_digest(SEEN, bytes([number])))
        proposal = Proposal.of(scheme, context, terms=bytes([number]))
        party = Aggregator(identity=self.federation.identities["server"], roster=self.federation.roster)
        server = DurableServer(self.folder / str(number), scheme, context, party)
        with kept_round(self.folder / str(number), server, proposal, NAMES) as rnd:
            try:
                yield rnd
            finally:
                self.refused += rnd.refused

    def close(self, output) -> None:
        self.totals.append(output.total.tolist())


@dataclass
class Processes:
    """Processes that all end with the block. Each is a copy of one that has loaded everything and done nothing."""

    folder: Path
    started: list = field(default_factory=list)

    def start(self, name, *arguments, dies_at=0):
        given = {"GIVEN": ([str(one) for one in arguments], str(self.output(name)), dies_at)}
        context = get_context("forkserver")
        process = context.Process(target=runpy.run_path, args=(PARTY, given, "__main__"))
        process.start()
        self.started.append(process)
        return process

    def serve(self, federation, certificate, port=0):
        """Start the coordinator of query.json, its state beside it."""
        return self.start(
            "coordinator", "serve", "--query", self.folder / "query.json", "--state", self.folder / "state",
            "--roster", federation.folder / "roster.json", "--identity", federation.file("server"),
            "--tls-cert", certificate, "--tls-key", certificate.with_suffix(".key"), "--host", "127.0.0.1",
            "--port", port, "--grace", "30", "--step-timeout", "40", "--result", self.folder / "result.json",
        )  # fmt: skip

    def url(self):
        """Return where the coordinator listens, once it does."""
        return self.wait_for("coordinator", r"listening on (https://127.0.0.1:(\d+))")[1]

    def output(self, name):
        return self.folder / f"{name}.out"

    def wait_for(self, name, pattern, seconds=40):
        """Return what a process has written that fits."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.output(name).exists() and (found := re.search(pattern, self.output(name).read_text())):
                return found
            time.sleep(0.05)
        raise AssertionError(f"{name} did not write {pattern}: {self.output(name).read_text()}")


@pytest.fixture
def processes(tmp_path):
    get_context("forkserver").set_forkserver_preload(list(LOADED))
    running = Processes(tmp_path)
    yield running
    for process in running.started:
        process.kill()
        process.join(10)
        assert not process.is_alive()


class Running:
    """A coordinator in a thread. `url`, once it listens; `stop` ends it as its owner does."""

    def __init__(self, rounds: Rounds, roster: Roster, context: ssl.SSLContext, deadlines: Deadlines) -> None:
        self.url = ""
        self.rounds = rounds
        self.error: BaseException | None = None
        self._listens = threading.Event()
        self._arguments = (rounds, roster, Address(host="127.0.0.1", port=0), context, deadlines)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self._listens.wait(20), self.error

    def _run(self) -> None:
        async def main() -> None:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            await serve(*self._arguments, self._say)

        try:
            asyncio.run(main())
        except BaseException as error:
            self.error = error
        finally:
            self._listens.set()

    def _say(self, text: str) -> None:
        if not self.url:
            self.url = next(word for word in text.split() if "://" in word)
            self._listens.set()

    def stop(self) -> None:
        if self.thread.is_alive():
            self._loop.call_soon_threadsafe(self._task.cancel)
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture
def coordinator(certificate: Path, federation: Federation) -> Iterator[Callable[..., Running]]:
    """A function: rounds → a coordinator that listens. All are stopped at the end."""
    started = []
    context = server_context(certificate, certificate.with_suffix(".key"), datetime.now(UTC))

    def start(rounds: Rounds, **deadlines: float) -> Running:
        chosen = Deadlines(**({"grace": 20.0, "step_timeout": 60.0} | deadlines))
        started.append(Running(rounds, federation.roster, context, chosen))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def called(federation: Federation, certificate: Path) -> Callable[..., Coordinator]:
    """A function: (url, name) → the coordinator as that site calls it."""

    def call(url: str, name: str, roster: Roster | None = None) -> Coordinator:
        caller = Caller(federation.identities[name], roster or federation.roster)
        return Coordinator(url, caller, pinned_context(certificate, datetime.now(UTC)))

    return call


@pytest.fixture
def answering(federation: Federation, tmp_path: Path) -> Callable[[str], Callable[[bytes], bytes]]:
    """A function: name → what that site answers to a request: its number, each time made anew from its folder."""

    def of(name: str) -> Callable[[bytes], bytes]:
        def answer(request: bytes) -> bytes:
            policy = SitePolicy(roster=federation.roster, identity=federation.identities[name])
            turn = Site(policy, SiteStore(tmp_path / f"store of {name}")).take(request)
            vector = np.full(3, NAMES.index(name) + 1)
            return turn.contribute(vector, SEEN) if turn.awaits_vector else turn.answers

        return answer

    return of


def in_threads(coordinators, answers, said=lambda text: None):
    """Start a thread for each site; return them. answers: name → what answers its requests."""
    threads = []
    for name, one in coordinators.items():
        arguments = {"once": True, "say": said, "sleep": lambda seconds: time.sleep(0.05)}
        threads.append(threading.Thread(target=_join, args=(one, answers(name)), kwargs=arguments, daemon=True))
        threads[-1].start()
    return threads


def _join(*arguments, **named):
    with suppress(Over):  # the tests look at why the coordinator has failed
        join(*arguments, **named)


def ended(running, threads):
    for thread in (*threads, running.thread):
        thread.join(40)
        assert not thread.is_alive()


def connected(called_url):
    """Return a connection with TLS, as a stranger makes it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    parts = urlsplit(called_url)
    raw = socket.create_connection((parts.hostname, parts.port), timeout=10)
    return context.wrap_socket(raw)


def head(method, target, headers):
    given = {"host": "here"} | headers
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def gone(raw):
    """Wait until the other side has closed; a few seconds without a byte are an error."""
    raw.settimeout(5)
    try:
        while raw.recv(4096):
            pass
    except ConnectionError:
        return True
    return True
