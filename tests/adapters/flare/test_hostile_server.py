"""A server that cheats: what it is refused by a site, by name. The sites are FLARE's own job runners in memory."""

import pytest
from nvflare.apis.fl_constant import ReservedTopic
from nvflare.apis.shareable import Shareable

from secagg.adapters.flare.task import answers_in
from secagg.adapters.flare_origin import TOPIC
from secagg_protocols import Identity, Roster, RoundFailed


def test_an_honest_round_is_answered(federation):
    server = federation()
    rnd, task = server.round()
    assert len(server.run(rnd, {None: task}).survivors) == 4
    assert [site.trainer.calls for site in server.sites.values()] == [1] * 4


def test_another_model_for_one_site_is_not_trained_on(federation):
    server = federation()
    rnd, task = server.round()
    other = server.memory.train_task(server.memory.moved(server.memory.MODEL, 1), 0)
    output = server.run(rnd, {None: task, "site-3": other})
    assert len(output.survivors) == 3, "the others' round goes on"
    assert server.sites["site-3"].trainer.calls == 0
    said = server.sites["site-3"].audit
    assert "secagg refused: ProtocolViolation: the model and configuration are not those" in said


def test_a_round_number_of_its_own_for_one_site_is_refused(federation):
    server = federation()
    rnd, task = server.round()
    server.run(rnd, {None: task, "site-3": server.memory.train_task(server.memory.MODEL, 1)})
    assert server.sites["site-3"].trainer.calls == 0
    assert "InputError: the task is of round 1, the proposal of 0" in server.sites["site-3"].audit


def test_a_cohort_of_two_is_refused(federation):
    server = federation(2)
    rnd, task = server.round(minimum_cohort=2)
    said = server.first_answers(rnd)
    assert all("asks for 3 participants in a sum" in why and "(minimum-cohort)" in why for why in said.values()), said
    for site in server.sites.values():
        reply = site.task(task)
        assert reply.get_return_code() == "TASK_DATA_FILTER_ERROR"
        assert "DXO" not in reply
        assert site.trainer.calls == 0


@pytest.mark.parametrize("job", [None, "another-job"])
def test_a_repeated_model_with_one_site_fewer_is_refused_by_all(federation, job):
    """The difference of the two sums would be the update of the one that is left out. In another job of the same
    sites, too: their stores outlast jobs."""

    def policy(own):
        return {"store": "store"}

    server = federation(4, policy)
    rnd, task = server.round()
    server.run(rnd, {None: task})
    again = server if job is None else federation(4, policy, job)
    del again.sites["site-4"]
    repeated, task = again.round(1)
    with pytest.raises(RoundFailed):
        again.run(repeated, {None: task})
    for site in again.sites.values():
        assert "secagg refused: RepeatedContext" in site.audit


@pytest.mark.parametrize("name", ["submit_model", "other"])
def test_any_other_task_gets_nothing(federation, name):
    server = federation(3)
    rnd, task = server.round()
    server.run(rnd, {None: task})
    site = server.sites["site-1"]
    reply = site.task(task, name)
    assert reply.get_return_code() == "TASK_DATA_FILTER_ERROR"
    assert "DXO" not in reply
    assert site.trainer.calls == 1, "but for the round"
    assert f"ProtocolViolation: task '{name}' is neither train nor validate" in site.audit


def test_a_train_task_that_comes_twice_gives_no_second_vector(federation):
    server = federation(3)
    rnd, task = server.round()
    server.run(rnd, {None: task})
    for site in server.sites.values():
        assert "DXO" not in site.task(task)
        assert site.trainer.calls == 1
        assert "without a step of the protocol: this site gives no update" in site.audit


def test_a_site_that_still_trains_deals_no_shares_for_the_next_round(federation):
    """It would be missing at the vector, in a second round for one delay. What it then brings is of its own round."""
    server = federation(4)
    rnd, task = server.round()
    late = server.sites["site-4"]
    said = []

    def slowly(arrays):
        following, _ = server.round(1, server.memory.moved(server.memory.MODEL, 1))
        said.append(server.memory.reason(late.ask(following.begin()["site-4"])))
        return server.memory.moved(arrays, 0.4)

    late.trainer.function = slowly
    output = server.run(rnd, {None: task})
    assert said[0].startswith("StateError: this site still trains for round 0")
    assert len(output.survivors) == 4, "its vector of that round is as it was"
    following, task = server.round(1, server.memory.moved(server.memory.MODEL, 1))
    late.trainer.function = lambda arrays: server.memory.moved(arrays, 0.4)
    assert len(server.run(following, {None: task}).survivors) == 4, "and it is back in the next"


def test_a_site_that_plays_the_server_is_not_heard_by_another(federation):
    """FLARE carries messages from client to client, and tasks in them."""
    server = federation(3)
    rnd, task = server.round()
    site = server.sites["site-2"]
    for message, topic in ((Shareable({TOPIC: rnd.begin()["site-2"]}), TOPIC), (task, ReservedTopic.DO_TASK)):
        assert site.sent(message, f"site-1.{server.job}", topic).payload is None
        assert site.sent(message, f"server.{server.job}", topic).payload is not None


def test_a_vector_is_given_once_however_often_its_step_is_asked_for(federation):
    """While training runs the server asks again, and then has the site train anew: it gets the same bytes."""
    server = federation(3)
    rnd, task = server.round()
    site = server.sites["site-3"]
    asked, left = [], []

    def trained(arrays):
        assert not server.memory.reason(site.ask(asked[-1]))
        return server.memory.moved(arrays, 0.3 * site.trainer.calls)

    def exchange(requests, uploads):
        asked.append(requests["site-3"])
        for peer, request in requests.items():
            yield peer, server.sites[peer].ask(request)
        if uploads:
            left.extend(answers_in(site.task(task), server.memory.LIMIT) for _ in range(2))
            yield "site-3", left[0]
            for peer in ("site-1", "site-2"):
                yield peer, answers_in(server.sites[peer].task(task), server.memory.LIMIT)

    site.trainer.function = trained
    assert len(server.memory.drive(rnd, exchange).survivors) == 3
    assert site.trainer.calls == 2
    assert left[0] == left[1]


def test_keys_of_the_next_round_do_not_bring_a_second_vector_of_the_last(federation):
    """The server opens the next round, and sends the last one's model again."""
    server = federation(4)
    rnd, task = server.round()
    server.run(rnd, {None: task})
    following, _ = server.round(1, server.memory.moved(server.memory.MODEL, 1))
    with pytest.raises(RoundFailed):
        server.run(following, {None: task})
    assert [site.trainer.calls for site in server.sites.values()] == [1] * 4


def test_a_site_that_does_not_trust_the_server_takes_no_less_than_active_and_validates_no_model_of_its_choice(
    federation, tmp_path
):
    """From a loss at many models it would work out a gradient."""
    identities = [Identity.generate(f"party {own}") for own in range(5)]
    Roster.of("x25519", [one.public(own) for own, one in enumerate(identities)]).save(tmp_path / "roster")
    for own, identity in enumerate(identities):
        identity.save(tmp_path / str(own))

    def policy(own):
        files = {"roster": str(tmp_path / "roster"), "identity": str(tmp_path / str(own)), "store": "store"}
        return {"adversary": "active", **files}

    server = federation(4, policy)
    rnd, _ = server.round()
    assert all("policy asks for an active adversary" in why for why in server.first_answers(rnd).values())
    for site in server.sites.values():
        assert "DXO" not in site.task(server.memory.train_task(server.memory.MODEL, 0), "validate")
        assert "ProtocolViolation: this site tells no numbers about a model of the server's choice" in site.audit
        assert site.trainer.calls == 0
