"""Second answer: what a ledger remembers through reruns, of simulations, and between threads that share it."""

import contextlib
import dataclasses
import threading

import numpy as np
import pytest

from secagg import Bonawitz, MemoryLedger, RepeatedContext, RoundContext, RoundFailed, Step, simulate
from secagg_protocols.core.snapshots import SnapshotStore

EVERYONE, VICTIM = (1, 2, 3, 4, 5), 2
FIRST = RoundContext("job", 7, b"\x07" * 32)
WITHOUT = {VICTIM: Step.MASKED_INPUT}


@pytest.fixture
def scheme(adversary):
    """Return five participants, t = 3, in both variants."""
    return Bonawitz(5, 20, adversary=adversary, threshold=3)


def test_simulate_keeps_the_ledgers_it_is_given(scheme):
    ledgers = {who: MemoryLedger() for who in EVERYONE}
    inputs = [np.full(20, who) for who in EVERYONE]
    simulate(scheme, inputs, context=FIRST, ledgers=ledgers)
    with pytest.raises(RoundFailed):
        simulate(scheme, inputs, context=FIRST, ledgers=ledgers, drop=WITHOUT)


class SlowStore(SnapshotStore):
    """A store in which two threads that get past the lock together read together, and write one after the other."""

    def __init__(self, folder):
        super().__init__(folder)
        self.meeting, self.writing = threading.Barrier(2), threading.Lock()

    def _write(self, name, data):
        with self.writing:
            super()._write(name, data)

    def _read(self, name, kind):
        found = super()._read(name, kind)
        with contextlib.suppress(threading.BrokenBarrierError):
            self.meeting.wait(timeout=2)
        return found


def test_of_two_threads_that_share_a_store_one_answers(tmp_path):
    store, claimed, refused = SlowStore(tmp_path), [], []

    def claim(job):
        try:
            store.claim(dataclasses.replace(FIRST, job=job), 0, b"")
            claimed.append(job)
        except RepeatedContext:
            refused.append(job)

    threads = [threading.Thread(target=claim, args=[job]) for job in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(claimed) == len(refused) == 1
