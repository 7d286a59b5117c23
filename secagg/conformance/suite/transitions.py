"""The transition tables are the whole behaviour: every pair that is not in them is refused and changes nothing."""

import pytest
from msgspec.structs import replace

from secagg_protocols import LateMessage, ProtocolViolation, StateError
from secagg_protocols.core.machine import ADVANCE, CONTRIBUTE, START

from ..capability import SPOILS, needs
from ..spoilt import about_to_abort


def client_states(finished, participant):
    """Return state → snapshot, for every state the participant went through."""
    return dict(reversed(finished.snapshots[participant]))


def client_events(finished, participant):
    """Return event → call on a machine: start, contribute, and every message it was sent in this very session."""
    vector = finished.vectors[participant]
    calls = {START: lambda client: client.start(), CONTRIBUTE: lambda client: client.contribute(vector)}
    for who, kind in finished.heard:
        if who == participant:
            data = finished.heard[who, kind]
            calls[kind] = lambda client, data=data: client.receive(finished.parse(data))
    return calls


def rerun(make_round, finished, participant, snapshot):
    """Return a machine from a snapshot, with a ledger that remembers nothing."""
    return make_round(finished.scheme).restore(participant, snapshot)


def test_every_pair_outside_a_client_s_table_is_refused_and_changes_nothing(small, make_round):
    finished = make_round(small).finish()
    table = finished.clients[1].transitions
    states = client_states(finished, 1)
    missing = set(finished.clients[1].messages)
    missing -= {kind for who, kind in finished.heard if who == 1}
    assert {*(state for state, _ in table), *table.values()} == set(states)
    for kind in missing:  # a semi-honest round has no consistency step
        assert all(event != kind for _, event in table)
        other = finished.parse(next(data for (who, _), data in finished.heard.items() if who == 1))
        finished.heard[1, kind] = replace(other, kind=kind).to_bytes()
    refusals = 0
    for state, snapshot in states.items():
        for event, call in client_events(finished, 1).items():
            client = rerun(make_round, finished, 1, snapshot)
            if (state, event) in table:
                call(client)
                assert client.state is table[state, event]
                continue
            with pytest.raises(StateError):
                call(client)
            assert client.snapshot() == snapshot
            refusals += 1
    assert refusals == len(states) * len(client_events(finished, 1)) - len(table)


def test_a_table_names_only_messages_the_machine_may_receive(small, make_round):
    running = make_round(small)
    for machine in (running.server, running.clients[1]):
        events = {event for _, event in machine.transitions} - {START, CONTRIBUTE, ADVANCE}
        assert events <= set(machine.messages)


@needs(SPOILS)
def test_an_aborted_participant_refuses_everything(case, small, make_round):
    """A participant aborts on an authentic message with invalid content; afterwards nothing is in its table."""
    finished, client, spoilt, says = about_to_abort(case, make_round(small))
    with pytest.raises(ProtocolViolation, match=says):
        client.receive(spoilt)
    assert str(client.state) == "Aborted"
    assert client.abort_reason
    before = client.snapshot()
    for call in client_events(finished, 1).values():
        with pytest.raises(StateError):
            call(client)
        assert client.snapshot() == before


def test_every_pair_outside_the_server_s_table_is_refused_and_the_round_still_succeeds(small, make_round):
    recorded = make_round(small).finish()
    recorded.check()
    running = make_round(small)
    genuine = {(p, kind): data for (p, kind), data in recorded.sent.items()}
    seen = set()

    def probe():
        table = running.server.transitions
        for (_, kind), data in genuine.items():
            if (running.server.state, kind) in table:
                continue
            before = running.observable()
            with pytest.raises((StateError, LateMessage)):
                running.server.receive(running.parse(data))
            assert running.observable() == before
            seen.add((str(running.server.state), kind))
        for event, call in ((START, running.server.start), (ADVANCE, running.server.advance)):
            if (running.server.state, event) not in table:
                before = running.observable()
                with pytest.raises(StateError):
                    call()
                assert running.observable() == before
                seen.add((str(running.server.state), event))

    probe()
    for _ in running.moments():
        probe()
    running.check()
    assert running.server.output.survivors == recorded.server.output.survivors
    states = {str(state) for pair in running.server.transitions.items() for state in (pair[0][0], pair[1])}
    events = {event for _, event in running.server.transitions}
    table = {(str(state), event) for state, event in running.server.transitions}
    assert seen == {(state, event) for state in states for event in events} - table


def test_a_server_has_no_open_step_before_the_start_and_after_the_end(small, make_round):
    running = make_round(small)
    with pytest.raises(StateError):
        running.server.step  # noqa: B018
    running.finish()
    with pytest.raises(StateError):
        running.server.step  # noqa: B018


def test_messages_of_the_wrong_direction_are_refused(small, make_round, refused):
    """What is meant for the server is no message for a participant, and the reverse."""
    recorded = make_round(small).finish()
    for data in recorded.sent.values():
        running = make_round(small)
        before = running.clients[1].snapshot()
        refused(lambda data=data, running=running: running.clients[1].receive(running.parse(data)))
        assert running.clients[1].snapshot() == before
    for data in recorded.heard.values():
        running = make_round(small)
        running.open()
        before = running.observable()
        refused(running.offer, data)
        assert running.observable() == before


def test_a_duplicate_of_a_message_is_refused_and_changes_nothing(small, make_round, refused):
    running = make_round(small)
    running.open()
    while running.server.output is None:
        for data in running.drain():
            running.server.receive(running.parse(data))
            before = running.observable()
            refused(running.offer, data)
            assert running.observable() == before
        running.advance()
        if running.server.output is None:
            again = {participant: list(queue) for participant, queue in running.downlink.items()}
            running.hear()
            for participant, queue in again.items():
                before = running.clients[participant].snapshot()
                for data in queue:
                    refused(lambda p=participant, data=data: running.clients[p].receive(running.parse(data)))
                assert running.clients[participant].snapshot() == before
    running.check()
