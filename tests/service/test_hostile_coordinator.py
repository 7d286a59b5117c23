"""A coordinator that cheats, over HTTPS, against sites with their default floor: refused by name, and no sum."""

import socket
import threading
from contextlib import contextmanager

import msgspec
import numpy as np
import pandas as pd
import pytest

from secagg.round import Request
from secagg.service import joining
from secagg.service.joining import Unreachable
from secagg.stats import Inquiry, Mean, Number, Query, StatPolicy, StatSite, settings_of
from secagg_protocols import RoundFailed, WireError

from .conftest import NAMES, ended, in_threads


def query(high=120):
    return Query(columns={"age": Number(0, high)}, rows=1000, minimum_cell=5, statistics=(Mean("age"),))


@pytest.fixture
def inquiry(federation, tmp_path):
    """A function: query → one that is asked honestly."""

    def make(asked):
        signed = {"identity": federation.identities["server"], "roster": federation.roster}
        return Inquiry(asked, settings_of({"scheme": "bonawitz", "adversary": "active", **signed}), NAMES)

    return make


@pytest.fixture
def answers(federation, tmp_path):
    """A function: name → what a site answers, by its own policy, from its own table."""

    def of(name):
        keys = {
            "secagg-adversary": "active",
            "secagg-identity": str(federation.file(name)),
            "secagg-roster": str(federation.folder / "roster.json"),
            "secagg-store": str(tmp_path / f"{name} store"),
            "secagg-stats-ledger": str(tmp_path / f"{name} ledger.jsonl"),
        }
        table = pd.DataFrame({"age": np.arange(30, 60) + NAMES.index(name)})
        return StatSite(StatPolicy.read(keys), table).take

    return of


class Cheating:
    """Rounds whose requests a coordinator changes. change: (requests, number of the step) → requests."""

    def __init__(self, inquiry, change):
        self.inquiry = inquiry
        self.change = change
        self.refused = ()

    def __getattr__(self, name):
        return getattr(self.inquiry, name)

    @contextmanager
    def open(self):
        with self.inquiry.open() as rnd:
            try:
                yield CheatingRound(rnd, self.change)
            finally:
                self.refused += tuple(map(str, rnd.refused))


class CheatingRound:
    """A round, but for what it asks."""

    def __init__(self, rnd, change):
        self.rnd = rnd
        self.change = change
        self.step_number = 0

    def __getattr__(self, name):
        return getattr(self.rnd, name)

    def begin(self):
        return self.change(dict(self.rnd.begin()), 0)

    def advance(self):
        self.step_number += 1
        return self.change(dict(self.rnd.advance()), self.step_number)


SWAPS = {
    "it was asked for other keys": ("", "StateError: KeyList is not expected in state New"),
    "under the same digest": (
        "terms",
        "ProtocolViolation: the proposal's job, round or digest are not those of the query",
    ),
}


@pytest.mark.parametrize("swap", sorted(SWAPS))
def test_another_query_to_one_site(coordinator, called, inquiry, answers, swap):
    """It begins with what all were asked, and is then told that it was something else: its rows are in no sum."""
    field, reason = SWAPS[swap]
    other = inquiry(query(high=50))
    with other.open() as rnd:
        proposal = rnd.proposal

    def change(requests, step):
        if step == 1 and "north" in requests:
            asked = Request.from_bytes(requests["north"])
            told = msgspec.structs.replace(asked.proposal, terms=proposal.terms) if field else proposal
            requests["north"] = Request(told, 0, asked.envelopes).to_bytes()
        return requests

    cheating = Cheating(inquiry(query()), change)
    running = coordinator(cheating, grace=2.0)
    ended(running, in_threads({name: called(running.url, name) for name in NAMES}, answers))
    assert [text for text in cheating.refused if reason in text and text.startswith("north")]
    assert cheating.inquiry.asked == NAMES[1:]
    assert cheating.inquiry.results[0].rows[0].n == 4 * 30


def test_a_cohort_of_two(coordinator, called, inquiry, answers):
    def change(requests, step):
        changed = {}
        for name, request in requests.items():
            asked = Request.from_bytes(request)
            changed[name] = Request(msgspec.structs.replace(asked.proposal, participants=2), 0, ()).to_bytes()
        return changed

    cheating = Cheating(inquiry(query()), change)
    running = coordinator(cheating)
    ended(running, in_threads({name: called(running.url, name) for name in NAMES}, answers))
    assert isinstance(running.error, RoundFailed)
    refused = cheating.refused
    assert len(refused) == 5
    assert all(
        "asks for 3 participants in a sum; the scheme has 2 (secagg-minimum-" in text for text in cheating.refused
    )


def test_a_query_repeated_with_one_site_fewer(coordinator, called, inquiry, answers):
    """The difference of the two sums would be that site's own."""
    running = coordinator(inquiry(query()))
    ended(running, in_threads({name: called(running.url, name) for name in NAMES}, answers))
    assert running.error is None
    again = Cheating(inquiry(query()), lambda requests, step: requests)
    running = coordinator(again, grace=1.0)
    ended(running, in_threads({name: called(running.url, name) for name in NAMES[:-1]}, answers))
    assert isinstance(running.error, RoundFailed)
    assert len(again.refused) == 4
    assert all("would tell 1 site(s) apart" in text and "secagg-stats-apart=3" in text for text in again.refused)


@contextmanager
def answering_with(data, pause=0.0):
    """Yield the URL of what answers every call with these bytes, the last of them again and again after a pause."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ends = threading.Event()

        def serve():
            while not ends.is_set():
                connection, _ = server.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(data)
                    while pause and not ends.wait(pause):
                        try:
                            connection.sendall(data[-1:])
                        except OSError:
                            break

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        host, port = server.getsockname()
        try:
            yield f"http://{host}:{port}"
        finally:
            ends.set()
            socket.create_connection((host, port)).close()
            thread.join(10)


def test_requests_too_long_or_too_slow_are_not_read_by_a_site(called, monkeypatch):
    """Whatever their head says."""
    head = b"HTTP/1.1 200 OK\r\n%b\r\n"
    with answering_with(head % b"content-length: 10000000000\r\n") as url, pytest.raises(WireError, match="at most"):
        called(url, "north").poll()
    monkeypatch.setattr(joining, "REQUEST_BYTES", 100)
    endless = head % b"connection: close\r\n" + b"a" * 4096
    with answering_with(endless, pause=0.01) as url, pytest.raises(WireError, match="more than 100 bytes"):
        called(url, "north").poll()
    monkeypatch.setattr(joining, "body_seconds", lambda length: 0.3)
    monkeypatch.setattr(joining, "POLL_SECONDS", 0.1)
    slow = head % b"content-length: 100\r\n" + b"a"
    with answering_with(slow, pause=0.05) as url, pytest.raises(Unreachable, match="too slowly"):
        called(url, "north").poll()


def test_what_is_no_coordinator_is_told_apart(called):
    other = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
    with answering_with(other) as url, pytest.raises(WireError, match="is no coordinator"):
        called(url, "north").poll()
