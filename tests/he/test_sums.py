"""Sums: exact, in raw Ckks within the stated precision, whatever n, whoever vanishes, wherever computed."""

import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from secagg_he import Bfv, Ckks, seal
from secagg_protocols import Aggregator, Participant, Policy, RoundFailed, WorkerLost, Workers
from secagg_protocols.errors import MissingExtra


@pytest.mark.parametrize("participants", [2, 3, 10, 33, 100])
@pytest.mark.parametrize("value_bits", [1, 16, 24])
def test_sums_of_values_at_the_clip_are_exact(make, make_round, participants, value_bits):
    scheme = make(participants, 100, value_bits=value_bits)
    top = np.full(100, (1 << value_bits) - 1)
    running = make_round(scheme, dict.fromkeys(range(1, participants + 1), top)).run()
    assert not running.errors.any()
    assert scheme.raw_precision == 0


@pytest.mark.parametrize("participants", [2, 3, 10, 33, 100])
@pytest.mark.parametrize("precision", [1, 4, 1000])
def test_errors_of_values_at_both_ends_are_within_the_precision(make_round, participants, precision):
    scheme = Ckks(participants, 3000, raw_precision=precision)
    ends = np.resize([0, (1 << 16) - 1, 1 << 15], 3000)
    running = make_round(scheme, dict.fromkeys(range(1, participants + 1), ends)).run()
    assert np.abs(running.errors).max() <= precision
    total = running.server.output.total
    assert total.max() <= participants * ((1 << 16) - 1)


@pytest.mark.parametrize("seed", range(12))
def test_sums_of_any_shape_are_exact(make, make_round, seed):
    generator = np.random.default_rng(seed)
    participants, length = int(generator.integers(2, 9)), int(generator.integers(1, 20_000))
    bits, releases = int(generator.integers(1, 62)), int(10 ** generator.integers(0, 5))
    if participants * ((1 << bits) - 1) >= 1 << 63:
        bits = 59
    running = make_round(make(participants, length, value_bits=bits, releases=releases)).run()
    assert not running.errors.any()


def test_the_stated_precision_is_not_far_from_the_errors(make_round):
    """The bound is on nine deviations; a hundred thousand Gaussian errors reach four."""
    scheme = Ckks(5, 100_000, raw_precision=1000)
    worst = np.abs(make_round(scheme).run().errors).max()
    assert 100 < worst <= 1000


def test_a_large_sum_travels_in_blocks_and_is_right(make_round):
    scheme = Bfv(3, 600_000)
    running = make_round(scheme).run(without=(2,))
    assert not running.errors.any()
    assert running.server.output.survivors == (1, 3)
    assert len(running.uploads[1]) == scheme.fresh_blocks > 1
    assert all(len(envelope.payload) <= scheme.payload_limit for envelope in running.uploads[1])
    assert len(running.heard[1]) == 1 + scheme.aggregate_blocks > 2


def test_a_release_survives_dropouts_down_to_the_threshold(make, make_round):
    scheme = make(5, 40, threshold=3)
    assert scheme.releasers((1, 2, 3, 4, 5), 1) == (1, 2, 3)
    running = make_round(scheme).encrypt().request().release(without=(1, 2))
    assert not running.errors.any()
    running = make_round(scheme).encrypt().request()
    with pytest.raises(RoundFailed):
        running.release(without=(1, 2, 3))
    assert running.server.output is None


def test_worker_processes_give_the_same_aggregate(make, make_round, process_pool):
    scheme = make(4, 60_000)
    assert scheme.parameters.ciphertexts > 2
    running = make_round(scheme, workers=Workers(process_pool(2), 2)).run()
    assert not running.errors.any()


def test_a_lost_worker_costs_no_round(make_round):
    pool = ProcessPoolExecutor(1)
    pool.shutdown()
    running = make_round(Bfv(3, 50), workers=Workers(pool)).encrypt()
    with pytest.raises(WorkerLost):
        running.request()
    running.server.workers = Workers()
    assert not running.request().release().errors.any()


def test_nothing_is_printed(make, make_round, capfd):
    make_round(make(3, 50_000)).run()
    assert capfd.readouterr() == ("", "")


def test_a_temporary_file_serves_where_there_is_no_file_in_memory(make, make_round, monkeypatch, tmp_path):
    import os
    import tempfile

    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    scheme = make(3, 50)
    assert not make_round(scheme).run().errors.any()
    assert list(tmp_path.iterdir()) == []


def test_a_cohort_below_a_participant_s_floor_is_not_released(make, make_round):
    scheme = make(5, 10)
    running = make_round(scheme, policy=Policy(minimum_cohort=5)).encrypt(without=(3,)).request()
    with pytest.raises(Exception, match="takes part with 5 or more"):
        running.release()
    assert running.key.releases._released.keys == {}


def test_importing_the_backend_loads_no_extra():
    program = "import secagg_he, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"tenseal", "zstandard"} & set(loaded)


def test_a_missing_extra_is_named_when_a_machine_is_made(make, monkeypatch, context):
    def absent(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(seal, "import_module", absent)
    scheme = make(3, 5)
    key, handle = scheme.make_group_key()
    with pytest.raises(MissingExtra, match=r"'\.\[he\]'"):
        scheme.client(1, context, Participant(standing=key))
    with pytest.raises(MissingExtra, match=r"'\.\[he\]'"):
        scheme.server(context, Aggregator(standing=handle))
