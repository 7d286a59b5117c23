"""Every scheme's output is the plain sum, exactly."""

import numpy as np
import pytest

from secagg import simulate
from secagg_protocols import SYSTEM, InsecureDeterministicRandomness, Policy
from secagg_protocols.packing.blocks import BLOCK_BYTES

from ..capability import PROTECTS, RECOVERS_DROPOUTS, UPLOADS_BLOCKS, needs
from ..driver import spared

LENIENT = Policy(minimum_cohort=2)


@pytest.mark.parametrize("participants", [2, 3, 4, 5, 8])
def test_sum_is_exact_for_every_small_number_of_participants(case, make_round, participants):
    scheme = case.make(max(participants, case.smallest), 5)
    finished = make_round(scheme).finish()
    finished.check()
    assert finished.server.output.survivors == tuple(range(1, scheme.participants + 1))
    assert not finished.server.dropped
    assert finished.server.corrections == ()


@pytest.mark.parametrize("length", [1, 2, 3, 4, 7, 8, 9, 63, 64, 65, 1021])
def test_sum_is_exact_for_awkward_lengths(case, make_round, length):
    make_round(case.make(3, length)).finish().check()


@pytest.mark.parametrize("value_bits", [1, 2, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 48, 61, 62])
def test_sum_is_exact_for_every_width_of_value(case, make_round, value_bits):
    make_round(case.make(3, 5, value_bits=value_bits)).finish().check()


@pytest.mark.parametrize(("participants", "value_bits"), [(3, 1), (3, 16), (3, 32), (3, 62), (4, 62), (2, 63)])
def test_sum_of_extremes_neither_wraps_nor_carries_into_a_neighbour(case, make_round, participants, value_bits):
    scheme = case.make(max(participants, case.smallest), 6, value_bits=value_bits if participants > 2 else 62)
    top = scheme.domain.largest
    pattern = np.array([top, 0, top, top, 0, top], dtype=np.uint64)
    vectors = dict.fromkeys(range(1, scheme.participants + 1), pattern)
    finished = make_round(scheme, vectors=vectors).finish()
    finished.check()
    assert int(finished.output.total.max()) == scheme.participants * top


def test_vectors_of_more_than_one_block_are_summed_exactly(case, make_round):
    scheme = case.make(3, BLOCK_BYTES // 2)
    lanes = scheme.domain.lanes
    assert lanes.words * lanes.word_bytes > BLOCK_BYTES
    make_round(scheme).finish().check()


@needs(UPLOADS_BLOCKS)
def test_blocks_may_arrive_in_any_order_and_interleaved(case, make_round):
    scheme = case.make(3, BLOCK_BYTES)
    running = make_round(scheme)
    running.open()
    while running.server.output is None:
        queues = [list(reversed(queue)) for queue in running.uplink.values()]
        list(running.drain())
        while any(queues):
            for queue in queues:
                if queue:
                    running.server.receive(running.parse(queue.pop(0)))
        running.advance()
        if running.server.output is None:
            running.hear()
    running.check()


@needs(UPLOADS_BLOCKS, RECOVERS_DROPOUTS)
def test_an_upload_that_ends_half_way_counts_for_nothing(case, make_round):
    scheme = case.make(4, BLOCK_BYTES // 2)
    running = make_round(scheme)
    running.open_uploads()
    assert len(running.uplink[2]) > 1
    del running.uplink[2][0]
    running.drop[2] = scheme.steps[0]
    running.finish().check()
    assert running.server.output.survivors == (1, 3, 4)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int32", "int64", "uint64", ">u4", ">i8"])
def test_every_integer_dtype_gives_the_same_sum(case, make_round, dtype):
    scheme = case.make(3, 5, value_bits=7)
    vectors = {p: np.array([0, 1, 127, 64, p], dtype=dtype) for p in (1, 2, 3)}
    make_round(scheme, vectors=vectors).finish().check()


def test_strided_and_read_only_vectors_are_summed_and_left_alone(case, make_round):
    scheme = case.make(3, 5)
    backing = np.arange(30, dtype=np.int64)
    backing.flags.writeable = False
    vectors = {1: backing[::6], 2: backing[::-6], 3: backing[1::6]}
    make_round(scheme, vectors=vectors).finish().check()
    assert backing.tolist() == list(range(30))


def rounds_of(case, make_round, *sources):
    """Return a finished round of the same vectors for each source of randomness."""
    scheme = case.make(4, 5)
    drop = spared(scheme, {2: scheme.steps[-1]})
    vectors = make_round(scheme).vectors
    return [make_round(scheme, randomness=source, drop=drop, vectors=vectors).finish() for source in sources]


def test_same_seed_gives_the_same_bytes(repeatable_case, make_round):
    seeds = [InsecureDeterministicRandomness(11), InsecureDeterministicRandomness(11)]
    first, again = rounds_of(repeatable_case, make_round, *seeds)
    assert (first.sent, first.heard, first.snapshots) == (again.sent, again.heard, again.snapshots)
    assert first.output.total.tolist() == again.output.total.tolist()


def test_the_system_gives_other_bytes_and_the_same_sum(case, make_round):
    seeded, system, other = rounds_of(case, make_round, InsecureDeterministicRandomness(11), SYSTEM, SYSTEM)
    assert seeded.sent.keys() == system.sent.keys()
    for running in (seeded, system, other):
        running.check()
        assert running.server.output.survivors == seeded.server.output.survivors
    if PROTECTS.held(case, seeded.scheme):
        for key in seeded.sent:
            assert len({seeded.sent[key], system.sent[key], other.sent[key]}) == 3, key


def test_the_driver_in_the_package_agrees_with_the_suite_s(case):
    scheme = case.make(4, 9)
    inputs = [np.arange(9) + participant for participant in range(4)]
    run = simulate(scheme, inputs, policy=LENIENT)
    assert (run.total == np.sum(inputs, axis=0)).all()
    assert run.survivors == (1, 2, 3, 4)
    assert run.refusals == ()


def test_envelopes_fit_the_limit_that_the_scheme_states(case):
    scheme = case.make(40, 5)
    run = simulate(scheme, lambda participant: np.full(5, participant), drop=spared(scheme, {3: scheme.steps[-1]}))
    assert (run.total == sum(run.survivors)).all()


@needs(PROTECTS)
def test_a_masked_vector_shows_nothing_of_its_value(case, make_round):
    """Two rounds with the same keys and different vectors: uploads differ; each is not the packed input."""
    scheme = case.make(3, 64, value_bits=16)
    zeros = {participant: np.zeros(64, dtype=np.uint64) for participant in (1, 2, 3)}
    finished = make_round(scheme, vectors=zeros).finish()
    finished.check()
    upload = finished.sent[2, finished.contributed.value][-128:]
    assert len(set(upload)) > 64  # 128 uniform bytes take about 101 values; fewer than 65 has probability below 2^-80
    assert upload != finished.sent[1, finished.contributed.value][-128:]
