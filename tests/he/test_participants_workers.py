"""A participant's workers: they change where SEAL runs, and nothing that leaves; losing them costs only time."""

import os
import pickle
import signal
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import numpy as np
import pytest

from secagg_he import Bfv
from secagg_he.single_key import steps
from secagg_protocols import ParameterError, Participant, Policy, ProtocolViolation, StateError, Workers


class Inline(Executor):
    """Runs tasks at once, as pickled as a process would get them, and keeps what it was sent.

    once: as Dask does, one result serves all equal tasks.
    """

    def __init__(self, once: bool = False) -> None:
        self.sent, self.once, self.results = [], once, {}

    def submit(self, function, /, *arguments) -> Future:
        self.sent.append(arguments)
        call = pickle.dumps((function, arguments))
        if call not in self.results or not self.once:
            function, arguments = pickle.loads(call)
            self.results[call] = function(*arguments)
        future: Future = Future()
        future.set_result(self.results[call])
        return future


def shut_down(process_pool):
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    return pool


def killed(process_pool):
    pool = process_pool(1)
    os.kill(pool.submit(os.getpid).result(), signal.SIGKILL)
    return pool


def dying(process_pool):
    """The worker is killed when work waits behind what it does now, or just before."""
    pool = process_pool(1)
    pool.submit(os.kill, pool.submit(os.getpid).result(), signal.SIGKILL)
    return pool


def seeds(running, who):
    """The seeds of every ciphertext that a participant uploaded."""
    parameters, found = running.scheme.parameters, []
    for envelope in running.uploads[who]:
        message = running.server.open(envelope)
        body = running.server._sealer.open(1, who, message.block, message.words)
        _, seeds_ = steps.open_fresh(parameters, body, len(body) // parameters.fresh_bytes, who)
        found += [bytes(seeds_[start : start + 64]) for start in range(0, len(seeds_), 64)]
    return found


def test_sums_are_the_same_with_workers_and_releases_have_the_same_bytes(make, make_round, process_pool):
    """Participant 2 has no workers: the server refuses a round whose releasers differ in one bit."""
    scheme = make(3, 60_000, threshold=2)
    assert scheme.releasers((1, 2, 3), 1) == (1, 2)
    running = make_round(scheme, participant={"workers": Workers(parts=2)})
    running.clients[1].workers = Workers(process_pool(2), 2)
    assert np.abs(running.run().errors).max() <= scheme.precision
    assert running.clients[1].worker_lost is None


@pytest.mark.parametrize("parts", [1, 2, 5, 100])
def test_uploads_have_the_same_number_size_and_order_however_they_are_cut(make_round, parts):
    scheme = Bfv(2, 300_000)
    executor = Inline()
    alone, cut = (
        make_round(scheme, participant={"workers": own}).encrypt() for own in (Workers(), Workers(executor, parts))
    )
    for who in (1, 2):
        shapes = [
            [(running.server.open(envelope).block, len(envelope.payload)) for envelope in running.uploads[who]]
            for running in (alone, cut)
        ]
        assert shapes[0] == shapes[1]
        assert len(shapes[0]) == scheme.fresh_blocks > 1
    assert len(executor.sent) >= 2 * scheme.fresh_blocks * min(parts, 2)
    assert not cut.request().release().errors.any()


def test_no_two_ciphertexts_of_equal_plaintexts_are_equal_in_worker_processes(make, make_round, process_pool):
    scheme = make(2, 60_000)
    zeros = dict.fromkeys((1, 2), np.zeros(scheme.length, dtype=np.int64))
    running = make_round(scheme, zeros, participant={"workers": Workers(process_pool(2), 2)}).encrypt()
    drawn = seeds(running, 1) + seeds(running, 2)
    assert len(set(drawn)) == len(drawn) == 2 * scheme.parameters.ciphertexts


def test_a_cluster_that_runs_equal_tasks_once_is_sent_no_equal_tasks(make, make_round):
    """Dask names a task by what it is sent: equal plaintexts would leave, and be seen, as equal ciphertexts."""
    scheme = make(2, 60_000)
    zeros = dict.fromkeys((1, 2), np.zeros(scheme.length, dtype=np.int64))
    executor = Inline(once=True)
    running = make_round(scheme, zeros, participant={"workers": Workers(executor, 100)}).encrypt()
    drawn = seeds(running, 1) + seeds(running, 2)
    assert len(executor.sent) == len(set(drawn)) == len(drawn) == 2 * scheme.parameters.ciphertexts


@pytest.mark.parametrize("lose", [shut_down, killed, dying])
def test_lost_workers_cost_neither_the_round_nor_the_ledger_s_entry(lose, make, make_round, process_pool):
    scheme = make(3, 60_000)
    running = make_round(scheme, participant={"workers": Workers(parts=2)})
    client = running.clients[1]
    client.workers = Workers(lose(process_pool), 2)
    running.encrypt()
    assert "a worker was lost" in client.worker_lost
    assert len(running.uploads[1]) == scheme.fresh_blocks
    assert client._ledger._answered.rounds["he"].number == 1
    with pytest.raises(StateError):
        client.contribute(running.vectors[1])
    client.worker_lost, client.workers = None, Workers(lose(process_pool), 2)
    running.request().release()
    assert "a worker was lost" in client.worker_lost
    assert np.abs(running.errors).max() <= scheme.precision
    assert running.server.output.survivors == (1, 2, 3)
    assert len(running.key.releases._released.keys[running.key.key_id]) == 1


def test_nothing_that_workers_are_sent_shows_a_secret_or_holds_what_they_do_not_need(make, make_round):
    executor = Inline()
    running = make_round(make(2, 500), participant={"workers": Workers(executor)}).run()
    sent = executor.sent
    assert {repr(task) for (task,) in sent} == {
        f"Task(function={function!r})" for function in (steps.encrypt, steps.release)
    }
    assert repr(running.key.for_release(2048)) == "ReleaseKey()"
    for (task,) in sent:
        data = pickle.dumps(task)
        assert running.key.wire_key not in data
        assert (running.key.flooding_key in data) == (task.function is steps.release)


def test_a_violation_that_a_worker_finds_aborts_as_without(make_round, process_pool, monkeypatch):
    scheme = Bfv(2, 50)
    running = make_round(scheme, participant={"workers": Workers(process_pool(1))}).encrypt()
    monkeypatch.setattr(steps, "aggregate", lambda *_: b"\xff" * (2 * scheme.parameters.polynomial_bytes))
    with pytest.raises(ProtocolViolation, match="not below its modulus") as caught:
        running.request().release()
    assert caught.value.culprits == {0}
    assert running.clients[1].abort_reason
    assert running.clients[1].worker_lost is None


def test_a_restored_participant_uses_the_executor_that_it_is_given(make, make_round):
    running = make_round(make(2, 50)).encrypt().request()
    client, executor = running.clients[1], Inline()
    running.clients[1] = running.scheme.restore(
        client.snapshot(),
        Participant(
            ledger=client._ledger, policy=Policy(minimum_cohort=2), standing=running.key, workers=Workers(executor, 2)
        ),
    )
    running.release()
    assert [task.function for (task,) in executor.sent] == [steps.release]


@pytest.mark.parametrize("parts", [0, -1])
def test_no_parts_are_refused(make, make_round, parts):
    with pytest.raises(ParameterError, match="1 part or more"):
        make_round(make(2, 5), participant={"workers": Workers(parts=parts)})
