"""Threads: two calls on one machine at once would add up to something else than the sum, and nobody would notice."""

import threading

import pytest

from secagg_protocols import StateError
from secagg_protocols.core.aborts import ABORT, Abort


def calls_on(running, machine):
    """Return every call that changes a machine, or reads all of it."""
    sender = running.server if machine.me else running.clients[2]
    envelope = sender.seal(ABORT, machine.me, Abort("bye"))
    calls = {"start": machine.start, "receive": lambda: machine.receive(envelope)}
    if machine.me:
        vector = running.vectors[machine.me]
        return {
            **calls,
            "contribute": lambda: machine.contribute(vector),
            "bind_context": lambda: machine.bind_context(bytes(32)),
            "abort": machine.abort,
            "snapshot": machine.snapshot,
        }
    return {**calls, "advance": machine.advance, "aborts": machine.aborts}


@pytest.mark.parametrize("party", [0, 1])
def test_every_call_is_refused_while_another_is_under_way_and_changes_nothing(small, make_round, party):
    running = make_round(small)
    machine = running.clients[1] if party else running.server
    state = machine.state
    refused = {}

    def try_all():
        for name, call in calls_on(running, machine).items():
            try:
                call()
            except StateError as busy:
                refused[name] = str(busy)

    with machine._turn:
        thread = threading.Thread(target=try_all)
        thread.start()
        thread.join()
    assert refused.keys() == calls_on(running, machine).keys()
    assert all("another call on this machine is under way" in words for words in refused.values())
    assert machine.state is state
    machine.start()  # nothing is left behind
