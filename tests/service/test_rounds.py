"""Rounds over HTTPS: they end with the right sums, whoever is stopped and started again on the way."""

import threading
import time

import pytest

from secagg.service.joining import Over, Unreachable, join
from secagg_protocols import RoundFailed, StateError
from secagg_protocols.errors import InputError

from .conftest import NAMES, Sums


def in_threads(coordinators, answering, said=lambda text: None):
    """Start a site for each of the coordinators; return the threads."""
    threads = []
    for name, one in coordinators.items():
        arguments = {"once": True, "say": said, "sleep": lambda seconds: time.sleep(0.05)}
        threads.append(threading.Thread(target=join, args=(one, answering(name)), kwargs=arguments))
        threads[-1].start()
    return threads


def ended(running, threads):
    for thread in (*threads, running.thread):
        thread.join(40)
        assert not thread.is_alive()


def test_two_rounds_of_five_sites(coordinator, called, answering, federation, tmp_path):
    sums = Sums(tmp_path / "state", federation, 2)
    running = coordinator(sums)
    ended(running, in_threads({name: called(running.url, name) for name in NAMES}, answering))
    assert running.error is None
    assert sums.totals == [[15, 15, 15]] * 2
