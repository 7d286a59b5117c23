"""A durable participant that dies once it has claimed its answer: asked again it gives the same bytes, or none."""

import pytest

from secagg_protocols import DurableClient, Participant, RepeatedContext, SnapshotStore
from secagg_protocols.core.machine import CONTRIBUTE

from ..capability import RECOVERS_DROPOUTS, needs


class Killed(BaseException):
    """The process is gone: nothing of ours may catch it."""


class DyingStore(SnapshotStore):
    """A store whose process dies when the ledger is on disk and the snapshot is not; the answer is lost with it."""

    dying = False

    def save(self, session, record):
        if self.dying:
            self.lost = record.answers
            raise Killed
        super().save(session, record)


@needs(RECOVERS_DROPOUTS)
def test_killed_after_its_claim_at_any_step_it_answers_with_the_same_bytes_or_not_at_all(
    repeatable_case, make_round, tmp_path, quick_disk
):
    scheme = repeatable_case.make(4, 5)
    running = make_round(scheme)
    store = DyingStore(tmp_path)
    context = running.contexts[1]
    gone = []

    def durable():
        held = {"identity": running.identities.get(1), "roster": running.roster, "policy": running.policy}
        held["standing"] = running.group_key
        return DurableClient(store, scheme, 1, context, Participant(**held))

    def take_turn(turn, call):
        store.dying = True
        with pytest.raises(Killed):
            call(durable())
        store.dying = False
        try:
            answers = call(durable())
        except RepeatedContext:
            assert turn == CONTRIBUTE  # the one answer that is given once at all
            gone.append(1)
            return []
        if turn not in ("start", CONTRIBUTE):  # before the keys are advertised nothing has been promised
            assert tuple(answers) == store.lost
        assert call(durable()) == answers
        return answers

    running.open()
    running.uplink[1] = take_turn("start", lambda client: client.start())
    while running.server.output is None:
        if durable().awaits_vector and not gone:
            running.uplink[1] += take_turn(CONTRIBUTE, lambda client: client.contribute(running.vectors[1]))
        running.take()
        running.advance()
        if running.server.output is None:
            requests, running.downlink[1] = running.downlink[1], []
            running.hear()
            for data in requests:
                kind = running.parse(data).kind
                running.uplink[1] = take_turn(kind, lambda client, data=data: client.receive(data))
    assert gone == [1]
    assert running.server.output.survivors == (2, 3, 4)
    running.check()


def test_a_whole_answer_that_was_lost_on_its_way_comes_again_whole(case, make_round, tmp_path, quick_disk):
    """One reply may carry what a request is answered at once and the vector: asked again, it carries both again."""
    scheme = case.make(4, 5)
    running = make_round(scheme)
    held = {"identity": running.identities.get(1), "roster": running.roster, "policy": running.policy}
    held["standing"] = running.group_key

    def durable():
        return DurableClient(SnapshotStore(tmp_path), scheme, 1, running.contexts[1], Participant(**held))

    def reply(call):
        answers = call(durable())
        return answers + durable().contribute(running.vectors[1]) if durable().awaits_vector else answers

    running.open()
    running.uplink[1] = reply(lambda client: client.start())
    while running.server.output is None:
        running.take()
        running.advance()
        if running.server.output is None:
            requests, running.downlink[1] = running.downlink[1], []
            running.hear()
            for data in requests:
                lost = reply(lambda client, data=data: client.receive(data))
                running.uplink[1] += durable().receive(data)
                assert running.uplink[1][-len(lost) :] == lost
    assert running.server.output.survivors == (1, 2, 3, 4)
