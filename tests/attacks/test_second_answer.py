"""Second answer: a round is repeated with one participant fewer, and the two sums are subtracted."""

import contextlib
import dataclasses
import threading

import numpy as np
import pytest

from secagg import Bonawitz, MemoryLedger, Policy, RepeatedContext, RoundContext, RoundFailed, Step, simulate
from secagg_protocols.core.snapshots import SnapshotStore

EVERYONE, VICTIM = (1, 2, 3, 4, 5), 2
FIRST = RoundContext("job", 7, b"\x07" * 32)
WITHOUT = {VICTIM: Step.MASKED_INPUT}
REPEATS = {
    "the same round again": FIRST,
    "the same model as the next round": dataclasses.replace(FIRST, round=8),
    "the same model in another job": dataclasses.replace(FIRST, job="another job"),
    "the same round with another model": dataclasses.replace(FIRST, context_digest=b"\x08" * 32),
    "an earlier round": dataclasses.replace(FIRST, round=6, context_digest=b"\x08" * 32),
}


@pytest.fixture
def scheme(adversary):
    """Return five participants, t = 3, in both variants."""
    return Bonawitz(5, 20, adversary=adversary, threshold=3)


@pytest.fixture(params=["in memory", "on disk"])
def ledgers(request, tmp_path):
    """Return a callable that opens every participant's ledger, again and again the same ones."""
    memory = {who: MemoryLedger() for who in EVERYONE}
    if request.param == "in memory":
        return lambda: memory
    return lambda: {who: SnapshotStore(tmp_path / str(who)) for who in EVERYONE}


@pytest.mark.parametrize("again", REPEATS.values(), ids=REPEATS)
def test_a_repeated_round_is_refused_by_everyone_who_answered(launch, scheme, ledgers, again):
    first = launch(scheme, context=FIRST, ledgers=ledgers())
    assert first.server.output.survivors == EVERYONE
    second = launch(scheme, context=again, ledgers=ledgers(), absent=WITHOUT)
    for who in set(EVERYONE) - {VICTIM}:
        (refusal,) = second.by(who)
        assert isinstance(refusal, RepeatedContext)
    assert not second.sent["MaskedInput"]
    assert second.failure.step == "MaskedInput"


def test_without_ledgers_the_difference_of_the_two_sums_is_the_victims_vector(launch, scheme):
    first = launch(scheme, context=FIRST)
    second = launch(scheme, context=FIRST, absent=WITHOUT)
    difference = first.server.output.total - second.server.output.total
    np.testing.assert_array_equal(difference, first.vectors[VICTIM])


def test_a_round_that_failed_after_the_masked_inputs_counts_as_answered(make_attack, scheme, ledgers):
    make_attack(scheme, context=FIRST, ledgers=ledgers()).run(until="UnmaskRequest")
    second = make_attack(scheme, context=FIRST, ledgers=ledgers(), absent=WITHOUT).run()
    assert not second.sent["MaskedInput"]


def test_a_round_that_failed_before_the_masked_inputs_may_be_repeated(make_attack, scheme, ledgers):
    make_attack(scheme, context=FIRST, ledgers=ledgers()).run(until="SealedShares")
    second = make_attack(scheme, context=FIRST, ledgers=ledgers(), absent=WITHOUT).run()
    np.testing.assert_array_equal(second.server.output.total, second.total_of(1, 3, 4, 5))


def test_the_next_round_with_another_model_is_answered(launch, scheme, ledgers):
    launch(scheme, context=FIRST, ledgers=ledgers())
    following = RoundContext("job", 8, b"\x08" * 32)
    attack = launch(scheme, context=following, ledgers=ledgers())
    np.testing.assert_array_equal(attack.server.output.total, attack.total_of(*EVERYONE))


def test_of_two_concurrent_sessions_for_the_same_model_one_is_answered(make_attack, scheme, ledgers):
    inner = make_attack(scheme, context=FIRST, ledgers=ledgers(), absent=WITHOUT)

    def meanwhile(attack, envelopes):
        inner.run()
        return envelopes

    outer = make_attack(scheme, {0: {"SealedShares": meanwhile}}, context=FIRST, ledgers=ledgers()).run()
    np.testing.assert_array_equal(inner.server.output.total, inner.total_of(1, 3, 4, 5))
    assert set(outer.sent["MaskedInput"]) == {VICTIM}  # who vanished from the inner one has not answered yet
    assert outer.server.output is None


def test_a_deliberate_rerun_is_the_participants_own_policy(launch, scheme, ledgers):
    launch(scheme, context=FIRST, ledgers=ledgers())
    again = launch(scheme, context=FIRST, ledgers=ledgers(), policy=Policy(reruns=1))
    np.testing.assert_array_equal(again.server.output.total, again.total_of(*EVERYONE))


def test_a_rerun_does_not_wipe_the_memory(launch, scheme, ledgers):
    launch(scheme, context=FIRST, ledgers=ledgers())
    earlier = RoundContext("job", 3, b"\x03" * 32)
    launch(scheme, context=earlier, ledgers=ledgers(), policy=Policy(reruns=1))
    again = launch(scheme, context=dataclasses.replace(FIRST, context_digest=b"\x08" * 32), ledgers=ledgers())
    assert not again.sent["MaskedInput"]


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
