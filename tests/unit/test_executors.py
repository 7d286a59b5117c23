"""The server's unmasking gives the same bytes on any executor, and never a wrong sum when a worker dies."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from secagg.simulation import Simulation
from secagg_protocols import (
    Bonawitz,
    InsecureDeterministicRandomness,
    SecAggPlus,
    StateError,
    Step,
    WorkerLost,
    Workers,
)
from secagg_protocols.core import agreements

LENGTH, CLIENTS = 1000, 12
VANISHING = dict.fromkeys((2, 5, 11), Step.MASKED_INPUT)
SCHEMES = [Bonawitz(CLIENTS, LENGTH), Bonawitz(CLIENTS, LENGTH, ciphersuite="p256")]


def vector(participant):
    return np.random.default_rng(participant).integers(0, 1 << 16, LENGTH, dtype=np.uint16)


def plain_sum(survivors):
    return sum(vector(survivor).astype(np.uint64) for survivor in survivors).tolist()


def simulation(scheme, executor, parts=3):
    return Simulation(
        scheme,
        vector,
        drop=VANISHING,
        randomness=InsecureDeterministicRandomness(1),
        executor=executor,
        parts=parts,
    )


@pytest.fixture
def processes(process_pool) -> Executor:
    return process_pool(2)


@pytest.fixture(scope="module")
def threads() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.mark.parametrize("kind", ["threads", "processes"])
@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.ciphersuite)
@pytest.mark.parametrize("parts", [1, 5])
def test_the_sum_is_the_same_wherever_it_is_unmasked(scheme, kind, parts, request):
    run = simulation(scheme, request.getfixturevalue(kind), parts).run()
    alone = simulation(scheme, None).run()
    assert run.survivors == alone.survivors
    assert run.total.tobytes() == alone.total.tobytes()
    assert run.total.tolist() == plain_sum(run.survivors)


def test_a_sparse_graph_too(processes):
    scheme = SecAggPlus(200, 10)
    inputs = [np.full(10, participant, dtype=np.uint16) for participant in range(1, 201)]
    run = Simulation(scheme, inputs, drop=dict.fromkeys((1, 7), Step.MASKED_INPUT), executor=processes, parts=2).run()
    assert run.total.tolist() == [sum(run.survivors)] * 10


@pytest.mark.parametrize("count", [1, 2, 3, 7, 100])
def test_batches_hold_every_pair_once_in_order(count):
    rows = [(1, b"a", (4, 5, 6, 7)), (2, b"b", ()), (3, b"c", (4, 5))]
    batches = agreements.split_rows(rows, count)
    pairs = [(owner, peer) for batch in batches for owner, _, peers in batch for peer in peers]
    assert pairs == [(1, 4), (1, 5), (1, 6), (1, 7), (3, 4), (3, 5)]
    assert len(batches) <= count
    assert max(sum(len(peers) for *_, peers in batch) for batch in batches) == -(-6 // count)


def test_keys_are_not_shown():
    assert "secret" not in repr(agreements.Agreements(SCHEMES[0].suite, b"", {}, [(1, b"secret", (2,))]))


class Mortal(Executor):
    """Processes of which one is killed when the `fatal`-th call is handed out."""

    def __init__(self, pool: Executor, fatal: int) -> None:
        self.pool, self.left = pool, fatal

    def submit(self, function, /, *arguments, **named) -> Future:
        self.left -= 1
        future = self.pool.submit(function, *arguments, **named)
        if self.left == 0:
            self.pool.submit(os.kill, self.pool.submit(os.getpid).result(), signal.SIGKILL)
        return future


@pytest.mark.parametrize("fatal", [1, 4, 10, 12])
def test_a_worker_killed_in_the_middle_costs_no_answer_and_no_wrong_sum(fatal, process_pool):
    """fatal: while agreeing on keys, or while expanding masks (after 9 batches of agreements)."""
    round_ = simulation(SCHEMES[0], Mortal(process_pool(2), fatal))
    try:
        run = round_.run()
    except WorkerLost as error:
        assert "\n" not in str(error)
        assert round_.server.state is Step.UNMASKING
        assert round_.server.output is None
        with pytest.raises(WorkerLost):
            round_.server.advance()
        round_.server.workers = Workers(None, round_.server.workers.parts)
        round_.server.advance()
        run = round_.result()
    assert run.total.tolist() == plain_sum(run.survivors)
    assert set(run.dropped) == set(VANISHING)
    with pytest.raises(StateError):
        round_.server.advance()


def test_an_executor_that_was_shut_down_is_a_lost_worker():
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(WorkerLost, match="call advance\\(\\) again"):
        simulation(SCHEMES[0], pool).run()


# --- a cluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Any]:
    """A scheduler and two worker processes on this machine."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            local_directory=str(tmp_path),
            silence_logs="CRITICAL",
        ) as local,
        distributed.Client(local) as client,
    ):
        yield client


class KillsOne(Executor):
    """A cluster of which one worker is killed when the `fatal`-th call is handed out."""

    def __init__(self, client: Any, fatal: int) -> None:
        self.executor, self.left = client.get_executor(), fatal
        self.victim = min(client.run(os.getpid).values())

    def map(self, function, *arguments, timeout=None, chunksize=1) -> Iterator[Any]:
        futures = []
        for one in zip(*arguments, strict=True):
            futures.append(self.executor.submit(function, *one))
            self.left -= 1
            if self.left == 0:
                os.kill(self.victim, signal.SIGKILL)
        return iter([future.result(timeout=60) for future in futures])


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.ciphersuite)
def test_a_cluster_gives_the_same_bytes(cluster, scheme):
    run = simulation(scheme, cluster.get_executor()).run()
    assert run.total.tobytes() == simulation(scheme, None).run().total.tobytes()


@pytest.mark.parametrize("fatal", [3, 10, 12])
def test_a_worker_of_a_cluster_that_is_killed_costs_nothing(cluster, fatal):
    executor = KillsOne(cluster, fatal)
    round_ = simulation(SCHEMES[0], executor)
    try:
        run = round_.run()
    except WorkerLost:
        round_.server.advance()  # the cluster has started another
        run = round_.result()
    assert executor.left <= 0
    assert run.total.tolist() == plain_sum(run.survivors)
