"""Two views: a server that follows the protocol twice, and shows participants two rounds that go on from one start.

In one everybody has answered the step that is closed, in the other participant 5 has not, and all that either sends is
authentic. Nothing of a protocol is forged here, so this is asked of every scheme.
"""

import pytest

from secagg_protocols import RemoteError, RepeatedContext, RoundFailed, StateError

from ..capability import ANSWERS, ANSWERS_AFTERWARDS, RECOVERS_DROPOUTS, REPEATABLE, SIGNS, needs

LAST = 5
HALVES = (1, 2, LAST), (3, 4)


def views_of(make_round, scheme, step):
    """Return two rounds, from the same seed, in which `step` is closed: everybody has answered, and 5 has not."""
    views = []
    for drop in ({}, {LAST: step}):
        running = make_round(scheme, drop=drop)
        running.open()
        running.take()
        while running.server.step is not step:
            running.advance()
            running.hear()
            running.take()
        running.advance()
        views.append(running)
    return views


def shown(running, who):
    """Return what a participant is sent in the step that is open."""
    return running.parse(running.downlink[who][0])


def answered(client, vector, envelope):
    """Return what a participant sends, as bytes; nothing where it refuses."""
    try:
        answers = client.receive(envelope)
        if client.awaits_vector:
            answers += client.contribute(vector)
    except (RemoteError, RepeatedContext, StateError):
        return []
    return [answer.to_bytes() for answer in answers]


@needs(ANSWERS, RECOVERS_DROPOUTS, REPEATABLE)
def test_restored_twice_and_shown_two_rounds_a_participant_answers_in_one(case, make_round):
    """Its secrets would be opened half in one and half in the other."""
    scheme = case.make(5, 20)
    for step in scheme.steps[:-1]:
        whole, without = views_of(make_round, scheme, step)
        snapshot = whole.clients[1].snapshot()
        assert snapshot == without.clients[1].snapshot()
        if shown(whole, 1).to_bytes() == shown(without, 1).to_bytes():
            continue  # this step does not tell who answered
        first = whole.restore(1, snapshot)
        second = whole.restore(1, snapshot)
        assert answered(first, whole.vectors[1], shown(whole, 1))
        assert not answered(second, whole.vectors[1], shown(without, 1))


@needs(ANSWERS, RECOVERS_DROPOUTS, REPEATABLE)
def test_shown_another_round_after_it_has_answered_a_participant_stays_as_it_is(case, make_round):
    scheme = case.make(5, 20)
    for step in scheme.steps[:-1]:
        whole, without = views_of(make_round, scheme, step)
        client = whole.clients[1]
        assert answered(client, whole.vectors[1], shown(whole, 1))
        before = client.snapshot()
        with pytest.raises((RemoteError, StateError)):
            client.receive(shown(without, 1))
        assert client.snapshot() == before


@needs(SIGNS, RECOVERS_DROPOUTS, ANSWERS_AFTERWARDS, REPEATABLE)
def test_two_halves_that_are_told_of_other_survivors_open_no_two_sums(case, make_round):
    """The difference of the sums would be the vector of the one who is left out."""
    scheme = case.make(5, 20)
    views = views_of(make_round, scheme, scheme.upload_step)
    clients = views[0].clients
    for running, half in zip(views, HALVES, strict=True):
        server = running.server
        while server.output is None:
            for who in half:
                for data in answered(clients[who], running.vectors[who], shown(running, who)):
                    server.receive(running.parse(data))
            for queue in running.downlink.values():
                queue.clear()
            try:
                running.advance()
            except RoundFailed:
                break
    assert None in [running.server.output for running in views]
