"""The exchange tables: what follows from them is whole, and a table says each thing once."""

from __future__ import annotations

import pytest

from secagg import Adversary
from secagg.schemes import SCHEMES
from secagg_protocols.core.exchange import Binding
from secagg_protocols.core.machine import ADVANCE, CONTRIBUTE, START, Terminal

TABLES = [
    pytest.param(SCHEMES[name].exchange.against(server), id=f"{name}-{server}")
    for name in SCHEMES
    for server in sorted(SCHEMES[name].traits.adversaries) or [Adversary.SEMI_HONEST]
]


@pytest.mark.parametrize("table", TABLES)
def test_every_kind_of_message_is_sent_in_one_step_and_one_direction(table):
    kinds = [sent.kind for row in table.rows for sent in (*row.asks, *row.answers)]
    assert len(set(kinds)) == len(kinds)
    assert table.to_participant.keys() | table.to_server.keys() == set(kinds) == table.binding.keys()


@pytest.mark.parametrize("table", TABLES)
def test_a_steps_last_answer_has_its_name(table):
    assert [row.answers[-1].kind for row in table.rows] == [step.value for step in table.steps]


@pytest.mark.parametrize("table", TABLES)
def test_a_participant_comes_through_all_it_is_asked_in_the_order_of_the_table(table):
    """From New, by the one event that each state knows, until nothing new comes."""
    state = Terminal.NEW
    heard = []
    while state is not Terminal.DONE:
        ((event, following),) = [
            (event, to) for (at, event), to in table.participant_transitions.items() if at == state
        ]
        heard.append(event)
        if following == state:
            break
        state = following
    expected = [START]
    for row in table.rows:
        expected += [sent.kind for sent in row.asks] + [CONTRIBUTE] * row.vector
    assert heard == expected
    assert heard.count(CONTRIBUTE) == 1


@pytest.mark.parametrize("table", TABLES)
def test_the_server_takes_a_steps_answers_in_that_step_and_no_others(table):
    for step, row in zip(table.steps, table.rows, strict=True):
        taken = {event for (state, event) in table.server_transitions if state == step}
        assert taken == {sent.kind for sent in row.answers} | {ADVANCE}


@pytest.mark.parametrize("table", TABLES)
def test_nothing_is_bound_to_a_session_before_there_is_one(table):
    """Once something is, all that follows is: an envelope of another session is seen from there on."""
    bound = [table.binding[sent.kind] for row in table.rows for sent in (*row.asks, *row.answers)]
    order = [Binding.ADDRESS, Binding.KEY_LIST, Binding.SESSION]
    assert bound == sorted(bound, key=order.index)
