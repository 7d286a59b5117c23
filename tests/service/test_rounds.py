"""Rounds over HTTPS: they end with the right sums, whoever is stopped and started again on the way."""

import time

import pytest

from secagg.service.joining import Over, join
from secagg_protocols import RoundFailed, StateError

from .conftest import NAMES, Sums, ended, in_threads


def ignored(coordinator):
    """Let a site hear everything, and answer nothing."""
    while True:
        coordinator.poll()
        time.sleep(0.05)


def test_two_rounds_of_five_sites(coordinator, called, answering, federation, tmp_path):
    sums = Sums(tmp_path / "state", federation, 2)
    running = coordinator(sums)
    ended(running, in_threads({name: called(running.url, name) for name in NAMES}, answering))
    assert running.error is None
    assert sums.totals == [[15, 15, 15]] * 2


def test_a_coordinator_that_is_stopped_goes_on_where_it_was(coordinator, called, answering, federation, tmp_path):
    """One site has answered the first step, which another start must not ask again; the answer that comes twice, late
    and to the other start, is no error."""
    first = coordinator(Sums(tmp_path / "state", federation, 1))
    north = called(first.url, "north")
    about, request = north.poll()
    answer = answering("north")(request)
    north.answer(about, answer)
    north.answer(about, answer)
    assert north.poll(wait=0) is None
    first.stop()
    assert isinstance(first.error, StateError)
    assert "goes on where this one was" in str(first.error)
    assert first.rounds.refused == ()

    sums = Sums(tmp_path / "state", federation, 1)
    running = coordinator(sums)
    again = called(running.url, "north")
    assert again.poll(wait=0) is None
    again.answer(about, answer)
    ended(running, in_threads({name: called(running.url, name) for name in NAMES}, answering))
    assert sums.totals == [[15, 15, 15]]


def test_a_site_that_is_killed_before_its_answer_leaves_is_asked_again(
    coordinator, called, answering, federation, tmp_path
):
    """What it had answered, and nobody received, is what it answers again."""
    sums = Sums(tmp_path / "state", federation, 1)
    running = coordinator(sums)
    first = called(running.url, "north").poll()
    lost = answering("north")(first[1])
    assert called(running.url, "north").poll() == first
    assert answering("north")(first[1]) == lost
    ended(running, in_threads({name: called(running.url, name) for name in NAMES}, answering))
    assert sums.totals == [[15, 15, 15]]


def test_a_step_waits_no_longer_than_the_grace_for_those_who_are_late(
    coordinator, called, answering, federation, tmp_path
):
    """The late one hears that its answer came too late, and is no error."""
    sums = Sums(tmp_path / "state", federation, 1)
    running = coordinator(sums, grace=0.3)
    late = called(running.url, "mid")
    about, request = late.poll()
    answer = answering("mid")(request)
    threads = in_threads({name: called(running.url, name) for name in NAMES[:-1]}, answering)
    with pytest.raises(Over, match="done"):
        ignored(late)
    late.answer(about, answer)
    ended(running, threads)
    assert sums.totals == [[10, 10, 10]]


def test_where_nobody_may_be_left_out_a_step_waits_for_all(coordinator, called, answering, federation, tmp_path):
    running = coordinator(Sums(tmp_path / "state", federation, 1, may_leave_out=False), grace=0.1)
    threads = in_threads({name: called(running.url, name) for name in NAMES[:-1]}, answering)
    time.sleep(1)
    ended(running, [*threads, *in_threads({"mid": called(running.url, "mid")}, answering)])
    assert running.rounds.totals == [[15, 15, 15]]


def test_too_few_at_the_deadline_end_the_round_and_everybody_hears_why(
    coordinator, called, answering, federation, tmp_path
):
    running = coordinator(Sums(tmp_path / "state", federation, 1), step_timeout=1.0)
    said = []
    ended(running, in_threads({"north": called(running.url, "north")}, answering, said.append))
    assert isinstance(running.error, RoundFailed)
    assert any("nothing more: failed: round failed at" in text for text in said)


def test_a_coordinator_that_is_not_there_is_tried_again_and_the_site_says_so(called, answering):
    said, slept = [], []

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        join(called("https://127.0.0.1:9", "north"), answering("north"), once=True, say=said.append, sleep=sleep)
    assert slept == [0.5, 1.0, 2.0]
    assert all("the coordinator cannot be reached (ConnectError" in text for text in said)
