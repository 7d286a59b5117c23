"""Late uploads, second ones, and uploads that are garbage."""

import os

import pytest
from msgspec.structs import replace

from secagg_protocols import SERVER, LateMessage

from ..attack import EVERY
from ..capability import ANSWERS_AFTERWARDS, PROTECTS, RECOVERS_DROPOUTS, UPLOADS_BLOCKS, needs

EVERYONE = (1, 2, 3, 4, 5)
IN_TIME = (1, 2, 3, 4)


def hold_back(attack, envelopes):
    """Keep participant 5's upload on the way."""
    attack.held = envelopes
    return []


def bring(attack, envelopes):
    """Deliver it as soon as the step is closed."""
    while getattr(attack, "held", None):
        attack.to_server(attack.held.pop())
    return envelopes


@needs(RECOVERS_DROPOUTS, ANSWERS_AFTERWARDS)
def test_an_upload_after_the_step_was_closed_is_refused(launch, scheme):
    attack = launch(scheme, {5: {scheme.upload_step.value: hold_back}, SERVER: {EVERY: bring}})
    assert attack.by(SERVER)
    assert all(isinstance(refusal, LateMessage) for refusal in attack.by(SERVER))
    attack.check_total_of(*IN_TIME)


@needs(RECOVERS_DROPOUTS)
def test_an_upload_after_the_end_is_refused(launch, scheme):
    attack = launch(scheme, {5: {scheme.upload_step.value: hold_back}})
    before = attack.server.output
    bring(attack, [])
    assert attack.by(SERVER)
    assert all(isinstance(refusal, LateMessage) for refusal in attack.by(SERVER))
    assert attack.server.output is before
    attack.check_total_of(*IN_TIME)


def test_a_second_upload_is_refused(launch, scheme):
    attack = launch(scheme, {3: {scheme.upload_step.value: lambda attack, sent: sent + sent}})
    assert attack.by(SERVER)
    assert "already answered" in str(attack.by(SERVER)[-1])
    attack.check_total_of(*EVERYONE)


def garbage(attack, envelopes):
    """Send random words of the right size."""
    machine = attack.clients[3]
    forged = []
    for envelope in envelopes:
        message = attack.server.open(envelope)
        words = memoryview(os.urandom(len(message.words)))
        forged.append(machine.seal(envelope.kind, SERVER, replace(message, words=words)))
    return forged


@needs(PROTECTS, UPLOADS_BLOCKS)
def test_garbage_never_comes_out_as_a_sum(case, launch):
    """It ends the round, or its sender is left out. (At 200 coordinates garbage does not look like a sum.)"""
    scheme = case.make(5, 200)
    attack = launch(scheme, {3: {scheme.upload_step.value: garbage}})
    if attack.server.output is not None:
        attack.check_total_of(1, 2, 4, 5)


@needs(UPLOADS_BLOCKS, RECOVERS_DROPOUTS)
@pytest.mark.parametrize("block", [-1, 1, 1 << 40])
def test_a_block_that_cannot_be_drops_only_its_sender(launch, scheme, block):
    def misplace(attack, envelopes):
        message = attack.server.open(envelopes[0])
        return [attack.clients[3].seal(envelopes[0].kind, SERVER, replace(message, block=block))]

    attack = launch(scheme, {3: {scheme.upload_step.value: misplace}})
    assert set(attack.server.dropped) == {3}
    attack.check_total_of(1, 2, 4, 5)
