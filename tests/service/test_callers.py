"""Who calls, and what a caller may cost: refused by name, before anything is parsed."""

import asyncio
import socket
from datetime import UTC, datetime

import pytest

from secagg import Identity, Roster
from secagg.service import listening, web
from secagg.service.calls import Caller, Doorkeeper
from secagg.service.joining import Coordinator, Unreachable
from secagg.service.limits import Connections, Rate
from secagg.service.listening import listen
from secagg.service.serving import names_of, serve
from secagg.service.settings import Address, Deadlines
from secagg.service.tls import pinned_context, server_context
from secagg_protocols import AuthenticationError, InputError, ParameterError, WireError

from .conftest import Running, Sums, connected, gone, head, write_certificate

NOW = datetime.now(UTC)


@pytest.fixture
def running(coordinator, federation, tmp_path):
    return coordinator(Sums(tmp_path / "state", federation, 1))


@pytest.fixture(scope="module")
def shared(certificate, federation, tmp_path_factory):
    """One coordinator, for tests that leave it as it was."""
    context = server_context(certificate, certificate.with_suffix(".key"), NOW)
    sums = Sums(tmp_path_factory.mktemp("shared"), federation, 1)
    running = Running(sums, federation.roster, context, Deadlines())
    yield running
    running.stop()


def status(site, method, target, header, content=None):
    answered = site.client.request(method, target, headers={"authorization": header}, content=content)
    return answered.status_code, answered.text


def test_no_call_counts_twice_nor_for_another_target_or_body(running, called):
    north = called(running.url, "north")
    about, _ = north.poll()
    caller = north.caller
    once = caller.header("GET", "/v1/request?wait=0")
    assert status(north, "GET", "/v1/request?wait=0", once)[0] == 200
    assert status(north, "GET", "/v1/request?wait=0", once) == (401, "call 2 of party 1 came before; its last was 2")
    other = caller.header("GET", "/v1/request?wait=0")
    assert "does not verify" in status(north, "GET", "/v1/request?wait=1", other)[1]
    target = f"/v1/answer?about={about}"
    assert "not the one that was signed" in status(north, "POST", target, caller.header("POST", target, b"a"), b"b")[1]
    assert status(north, "GET", "/v1/request?wait=0", "")[0] == 401


def test_a_call_is_for_one_start_of_one_coordinator(federation):
    caller = Caller(federation.identities["north"], federation.roster)
    first = Doorkeeper(federation.roster, bytes(16))
    caller.greet(first.hello(1))
    header = caller.header("GET", "/v1/request")
    with pytest.raises(AuthenticationError, match=r"another start"):
        Doorkeeper(federation.roster, bytes([1] * 16)).admit(header, "GET", "/v1/request", NOW)
    entry, _ = first.admit(header, "GET", "/v1/request", NOW)
    assert entry.name == "north"
    again = Caller(federation.identities["north"], federation.roster)  # the site was started again
    again.greet(first.hello(1))
    first.admit(again.header("GET", "/v1/request"), "GET", "/v1/request", NOW)


def test_whoever_is_not_in_the_roster_is_told_so(federation, called, running):
    mallory = Identity.generate("mallory")
    with pytest.raises(ParameterError, match=r"'mallory' .--identity. is no participant of the roster"):
        Caller(mallory, federation.roster)
    own = Roster.of("x25519", [federation.identities["server"].public(0), mallory.public(1)])
    coordinator = Coordinator(running.url, Caller(mallory, own), called(running.url, "north").context)
    with pytest.raises(WireError, match=r"all parties need the same file"):
        coordinator.poll()


def test_an_identity_whose_time_is_over_is_not_let_in(federation):
    entries = [federation.identities["server"].public(0)]
    entries.append(federation.identities["north"].public(1, not_after="2020-01-01T00:00:00+00:00"))
    roster = Roster.of("x25519", entries)
    caller = Caller(federation.identities["north"], roster)
    keeper = Doorkeeper(roster, bytes(16))
    caller.greet(keeper.hello(1))
    with pytest.raises(ParameterError, match=r"renew it"):
        keeper.admit(caller.header("GET", "/"), "GET", "/", NOW)


def test_another_certificate_is_refused_before_anything_is_sent(running, federation, tmp_path):
    other = pinned_context(write_certificate(tmp_path, "other"), NOW)
    coordinator = Coordinator(running.url, Caller(federation.identities["north"], federation.roster), other)
    with pytest.raises(InputError, match=r"is not the one that this site expects .--tls-cert.*nothing was sent"):
        coordinator.poll()


def test_certificates_that_cannot_be_used_are_refused_by_name(tmp_path):
    expired = write_certificate(tmp_path, "expired", days=-1)
    made = write_certificate(tmp_path, "made")
    with pytest.raises(InputError, match=r"expired.crt .--tls-cert. has expired"):
        server_context(expired, expired.with_suffix(".key"), NOW)
    with pytest.raises(InputError, match=r"is not the private key of"):
        server_context(made, expired.with_suffix(".key"), NOW)
    with pytest.raises(InputError, match=r"none.key does not exist"):
        server_context(made, tmp_path / "none.key", NOW)
    with pytest.raises(InputError, match=r"is no certificate in PEM"):
        pinned_context(made.with_suffix(".key"), NOW)


def test_without_tls_nobody_else_may_connect(federation):
    with pytest.raises(ParameterError, match=r"--host 127.0.0.1"):
        asyncio.run(serve(None, federation.roster, Address(), None, None, print))
    with pytest.raises(ParameterError, match=r"give https://"):
        Coordinator("http://192.0.2.1", Caller(federation.identities["north"], federation.roster), None)


def test_two_sites_of_one_name_are_refused(federation):
    keys = [federation.identities["server"].public(0)]
    keys += [Identity.generate("twin").public(number) for number in (1, 2)]
    with pytest.raises(ParameterError, match=r"called 'twin'"):
        names_of(Roster.of("x25519", keys))


def test_a_port_that_is_taken_is_named():
    with listen("127.0.0.1", 0, Connections(4, 4)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"127.0.0.1:{port} cannot be listened on .* give another --port"):
            listen("127.0.0.1", port, Connections(4, 4))


def test_an_answer_longer_than_the_round_takes_is_refused_unread(running, called):
    north = called(running.url, "north")
    about, _ = north.poll()
    target = f"/v1/answer?about={about}"
    said = {"content-length": str(10**10), "authorization": north.caller.header("POST", target)}
    with connected(running.url) as raw:
        raw.sendall(head("POST", target, said))
        assert b"413" in raw.recv(4096)
    with connected(running.url) as raw:
        chunked = {"transfer-encoding": "chunked", "authorization": north.caller.header("POST", target)}
        raw.sendall(head("POST", target, chunked))
        assert b"411" in raw.recv(4096)
    with connected(running.url) as raw:
        both = {"content-length": "10", "transfer-encoding": "chunked"}
        raw.sendall(head("POST", target, both | {"authorization": north.caller.header("POST", target)}))
        raw.sendall(b"10\r\n" + bytes(16) + b"\r\n")  # more follows
        assert b"413" in raw.recv(4096)
    with connected(running.url) as raw:
        raw.sendall(head("POST", target, {"content-length": "1000"}))  # not signed: its body is not waited for
        assert b"401" in raw.recv(4096)
        assert gone(raw)


STRANGE = {
    "another host": head("GET", "/v1/request?wait=0", {"host": "["}),
    "two lengths": head("POST", "/v1/answer?about=a", {"content-length": "1", "Content-Length": "2"}),
    "no HTTP": b"\x16\x03\x01" * 100 + b"\r\n\r\n",
    "a number that is none": head("GET", "/v1/hello?party=-1", {}),
    "a long number": head("GET", "/v1/hello?party=" + "9" * 5000, {}),
    "no parameter": head("GET", "/v1/hello?party", {}),
    "bytes in a parameter": head("GET", "/v1/hello?party=%ff%fe&party=%00", {}),
    "nothing of ours": head("PUT", "/..%2f..%2fetc/passwd", {}),
    "a long head": head("GET", "/", {"cookie": "a" * 20_000}),
    "half a signature": head("GET", "/v1/request?wait=0", {"authorization": "secagg-1 1 " + "0" * 32}),
    "another protocol": head("GET", "/", {"upgrade": "websocket", "connection": "upgrade"}),
}


@pytest.mark.parametrize("sent", sorted(STRANGE))
def test_whatever_a_stranger_sends_is_answered_and_logs_nothing(shared, sent, caplog):
    """What strangers send must not fill a disk."""
    with connected(shared.url) as raw:
        raw.settimeout(5)
        raw.sendall(STRANGE[sent])
        assert raw.recv(4096).startswith((b"HTTP/1.1 4", b"HTTP/1.1 2"))
    assert not caplog.records


def test_a_head_that_does_not_come_and_a_body_that_comes_too_slowly_are_cut_off(running, called, monkeypatch):
    monkeypatch.setattr(listening, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(web, "body_seconds", lambda length: 0.3)
    north = called(running.url, "north")
    about, _ = north.poll()
    target = f"/v1/answer?about={about}"
    with connected(running.url) as silent, connected(running.url) as halting, connected(running.url) as slow:
        halting.sendall(b"GET / HTTP/1.1\r\nhost: ")
        said = {"content-length": "1000", "authorization": north.caller.header("POST", target)}
        slow.sendall(head("POST", target, said) + b"a")
        assert b"408" in slow.recv(4096)
        assert gone(halting)
        assert gone(silent)


def test_connections_beyond_the_limits_are_closed_at_once():
    with listen("127.0.0.1", 0, Connections(3, 4)) as here:
        here.setblocking(False)
        opened = [socket.create_connection(here.getsockname()) for _ in range(5)]
        accepted = [here.accept()[0] for _ in range(3)]
        with pytest.raises(BlockingIOError):
            here.accept()
        assert here.open_now["127.0.0.1"] == 3
        assert gone(opened[3])
        for one in (*accepted, *opened):
            one.close()
        assert not here.open_now


def test_too_many_calls_are_told_to_come_again(shared, called, monkeypatch):
    monkeypatch.setattr(Rate, "allows", lambda rate, caller: False)
    with pytest.raises(Unreachable, match="429: too many calls of this address"):
        called(shared.url, "north").poll()
    monkeypatch.setattr(Rate, "allows", lambda rate, caller: caller == "127.0.0.1")
    with pytest.raises(Unreachable, match="429: too many calls of this party"):
        called(shared.url, "north").poll()


def test_of_one_site_one_answer_is_read_at_once(shared, called):
    north = called(shared.url, "north")
    about, _ = north.poll()
    target = f"/v1/answer?about={about}"

    def begin(raw):
        said = {"content-length": "100", "authorization": north.caller.header("POST", target)}
        raw.sendall(head("POST", target, said))

    with connected(shared.url) as first, connected(shared.url) as second:
        begin(first)
        first.settimeout(0.5)
        with pytest.raises(TimeoutError):  # its body is waited for
            first.recv(1)
        begin(second)
        found = b"".join(iter(lambda: second.recv(4096), b""))
        assert b"429" in found
        assert b"another answer of this party is on its way" in found


def test_a_rate_is_kept_for_each_caller_and_forgotten_for_those_who_were_quiet():
    now = [0.0]
    rate = Rate(2, 3, lambda: now[0])
    assert [rate.allows("a") for _ in range(4)] == [True, True, True, False]
    assert rate.allows("b")
    now[0] += 0.5
    assert [rate.allows("a") for _ in range(2)] == [True, False]


def test_people_and_machines_see_how_far_it_has_come_and_nothing_else(running, called):
    north = called(running.url, "north")
    north.poll()
    page = north.client.get("/").text
    assert "Round 1, step AdvertiseKeys" in page
    assert page.count("awaited") == 5
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert 'secagg_sites{state="awaited"} 5.0' in north.client.get("/metrics").text
    assert north.client.get("/healthz").text == "ok\n"


def test_the_status_is_for_the_coordinators_own_machine(running, called, monkeypatch):
    monkeypatch.setattr(web, "is_loopback", lambda host: False)
    north = called(running.url, "north")
    assert north.client.get("/").status_code == 403
    assert north.client.get("/metrics").status_code == 403
    assert north.client.get("/healthz").status_code == 200
