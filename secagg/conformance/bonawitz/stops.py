"""Where these attacks stop a round, and what they say there."""

import re

import pytest

from secagg_protocols import (
    Policy,
    ProtocolViolation,
    StateError,
)


def floor_of_five(scheme):
    """Return the policy of a participant that takes part with five or more (stated colluders are no company)."""
    return Policy(minimum_cohort=5 - scheme.colluders)


def run_until(running, step):
    """Run until the participants' messages of `step` are in `uplink`."""
    running.open()
    while running.server.step.value != step:
        running.take()
        running.advance()
        running.hear()
    return running


def to_clients(running, kind):
    """Run until the server's messages of `kind` are in `downlink`; return participant → envelope."""
    if str(running.server.state) == "New":
        running.open()
    while True:
        running.take()
        running.advance()
        envelopes = {p: running.parse(queue[0]) for p, queue in running.downlink.items() if queue}
        if next(iter(envelopes.values())).kind == kind:
            return envelopes
        running.hear()


def aborts(client, envelope, words=""):
    """The participant refuses authentic content, aborts, says why, and gives up its secrets."""
    with pytest.raises(ProtocolViolation) as caught:
        client.receive(envelope)
    assert re.search(words, str(caught.value))
    assert str(client.state) == "Aborted"
    assert client.abort_reason == str(caught.value)
    with pytest.raises(StateError):
        client.receive(envelope)
    assert client._memory.own is None
    assert not client._memory.shares
    return caught.value


def resealed(running, envelope, message):
    """Return the server's own, correctly signed envelope around another message."""
    return running.server.seal(envelope.kind, envelope.recipient, message)
