"""A key's budget: one aggregate a session, counted before it leaves, never beyond what the noise is sized for."""

import os
import subprocess
import sys

import msgspec
import numpy as np
import pytest

from secagg_he import Bfv, BudgetSpent, Ckks, GroupKey
from secagg_he.releases import FileReleases, MemoryReleases
from secagg_he.single_key import client as client_module
from secagg_he.single_key.messages import ReleaseRequest
from secagg_he.single_key.packing import Packing
from secagg_protocols import InputError, Participant, ProtocolViolation, RoundContext, RoundFailed
from secagg_protocols.core.snapshots import Record, SnapshotStore
from secagg_protocols.core.wire import encode

KEY, OTHER_KEY, SESSION, AGGREGATE = b"k" * 16, b"r" * 16, b"s" * 32, b"a" * 32


@pytest.fixture(params=["memory", "file"])
def count(request, tmp_path):
    """Both ways of counting."""
    if request.param == "memory":
        return MemoryReleases()
    begun = FileReleases(tmp_path / "releases")
    for key_id in (KEY, OTHER_KEY):
        begun.begin(key_id)
    return begun


def restored(running, snapshot):
    """Return participant 1's machine from a snapshot."""
    before = running.clients[1]
    return running.scheme.restore(
        snapshot, Participant(ledger=before._ledger, standing=running.key, policy=before.policy)
    )


def test_the_same_aggregate_is_counted_once(count):
    for _ in range(5):
        count.claim(KEY, 1, SESSION, AGGREGATE)


def test_a_second_aggregate_of_a_session_is_refused(count):
    count.claim(KEY, 5, SESSION, AGGREGATE)
    with pytest.raises(ProtocolViolation, match="another aggregate of this session"):
        count.claim(KEY, 5, SESSION, b"b" * 32)
    count.claim(KEY, 5, SESSION, AGGREGATE)


def test_over_budget_is_refused_with_the_remedy_and_another_key_is_not(count):
    for number in range(3):
        count.claim(KEY, 3, bytes([number]) * 32, AGGREGATE)
    with pytest.raises(BudgetSpent, match="rotate the key"):
        count.claim(KEY, 3, SESSION, AGGREGATE)
    count.claim(KEY, 3, bytes(32), AGGREGATE)  # what was counted may be released again
    count.claim(OTHER_KEY, 3, SESSION, AGGREGATE)


def test_the_count_survives_a_process_that_dies_right_after_it(tmp_path):
    program = (
        "import os, sys, pathlib; from secagg_he.releases import FileReleases; "
        "count = FileReleases(pathlib.Path(sys.argv[1])); count.begin(b'k' * 16); "
        "count.claim(b'k' * 16, 1, b's' * 32, b'a' * 32); os._exit(9)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False, env=environment)
    assert done.returncode == 9
    count = FileReleases(tmp_path)
    count.claim(KEY, 1, SESSION, AGGREGATE)
    with pytest.raises(BudgetSpent):
        count.claim(KEY, 1, b"t" * 32, AGGREGATE)


def test_a_damaged_count_is_refused(tmp_path):
    SnapshotStore(tmp_path).save(KEY.hex(), Record(1, b"\xc1", b"", ()))
    with pytest.raises(InputError, match="damaged"):
        FileReleases(tmp_path).claim(KEY, 5, SESSION, AGGREGATE)


def test_a_crash_before_the_count_is_on_disk_leaves_nothing_released(make, make_round, tmp_path, monkeypatch):
    scheme = make(3, 5)
    path = tmp_path / "key"
    scheme.make_group_key()[0].save(path)
    running = make_round(scheme, key=GroupKey.load(path)).encrypt().request()
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("the disk is gone")))
    before = running.clients[1].snapshot()
    with pytest.raises(InputError, match="disk is gone"):
        running.clients[1].receive(running.heard[1][0])
    assert running.clients[1].snapshot() == before


def test_a_key_loaded_from_its_file_counts_on_disk(make, make_round, tmp_path):
    scheme = make(3, 5, releases=2)
    path = tmp_path / "key"
    scheme.make_group_key()[0].save(path)
    for number in (1, 2):
        running = make_round(scheme, key=GroupKey.load(path), context=RoundContext("he", number, bytes(32))).run()
        assert np.abs(running.errors).max() <= scheme.precision
    running = make_round(scheme, key=GroupKey.load(path), context=RoundContext("he", 3, bytes(32))).encrypt().request()
    with pytest.raises(BudgetSpent, match="2 sums"):
        running.release()
    assert running.server.output is None


def test_a_second_aggregate_of_the_session_aborts_the_participant_even_after_a_restart(make, make_round):
    """A participant restored from before the release does not give the sum without participant 3 as well."""
    scheme = make(4, 5, threshold=2)
    running = make_round(scheme).encrypt().request()
    early = running.clients[1].snapshot()
    running.release()
    request, _ = running.heard[1]
    client = restored(running, early)
    fewer = ReleaseRequest((1, 2, 4), client.open(request).blocks)
    with pytest.raises(ProtocolViolation, match="another aggregate"):
        client.receive(msgspec.structs.replace(request, payload=encode(fewer)))
    assert str(client.state) == "Aborted"


def test_every_releaser_of_one_aggregate_releases_the_same_bytes(make_round):
    """Also where the noise can be seen, and when it is asked again from a snapshot."""
    scheme = Ckks(5, 4000, precision=1000, threshold=2)
    running = make_round(scheme).encrypt().request()
    assert set(scheme.releasers((1, 2, 3, 4, 5), 1)) == {1, 2, 3, 4}
    early = running.clients[1].snapshot()
    bodies = []
    for who in (1, 2, 3, 4):
        request, aggregate = running.heard[who]
        running.clients[who].receive(request)
        (answer,) = running.clients[who].receive(aggregate)
        bodies.append(bytes(running.server.open(running.parse(answer)).words))
    again = restored(running, early)
    again.receive(running.heard[1][0])
    (repeated,) = again.receive(running.heard[1][1])
    assert bytes(running.server.open(running.parse(repeated)).words) == bodies[0]
    sealer = running.server._sealer
    assert len({bytes(sealer.open(3, who, 0, memoryview(body))) for who, body in enumerate(bodies, 1)}) == 1
    assert len(running.key.releases._released.keys[running.key.key_id]) == 1


def test_a_round_is_refused_when_two_releasers_disagree(make, make_round, monkeypatch):
    scheme = make(3, 5)
    running = make_round(scheme).encrypt().request()
    honest = client_module.steps.release
    calls = []

    def wrong_for_the_second(*arguments):
        calls.append(1)
        return honest(*arguments) + np.uint64(len(calls) == 2)

    monkeypatch.setattr(client_module.steps, "release", wrong_for_the_second)
    with pytest.raises(RoundFailed, match="released different values") as caught:
        running.release()
    assert caught.value.culprits == {1, 2}
    assert running.server.output is None


def test_garbage_in_an_upload_is_no_sum(make_round, monkeypatch):
    """A participant encrypts a word that no vector has: what is released is no possible sum, and none comes out."""
    scheme = Bfv(3, 500)
    running = make_round(scheme).encrypt(without=(2, 3))
    size = scheme.parameters.ciphertexts * scheme.parameters.degree
    monkeypatch.setattr(Packing, "words_of", lambda *_: np.full(size, scheme.packing.limit(2) + 1, dtype=np.uint64))
    for envelope in running.clients[2].contribute(running.vectors[2]):
        running.server.receive(running.parse(envelope))
    with pytest.raises(RoundFailed, match="garbage"):
        running.request().release()
