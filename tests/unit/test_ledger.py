"""The ledger: reruns are counted and kept, no round number uses up all others, and its file is whole or refused."""

import dataclasses
from pathlib import Path

import msgspec
import pytest

from secagg_protocols import InputError, MemoryLedger, ParameterError, RepeatedContext, RoundContext, SnapshotStore
from secagg_protocols.core.ledger import LARGEST_JUMP

CONTEXT = RoundContext("job", 7, b"\x07" * 32)
OTHER_MODEL = dataclasses.replace(CONTEXT, context_digest=b"\x08" * 32)


@pytest.fixture(params=["in memory", "on disk"])
def open_ledger(request, tmp_path):
    """Return a callable that opens the one ledger again and again, as each process does."""
    memory = MemoryLedger()
    return lambda: memory if request.param == "in memory" else SnapshotStore(tmp_path)


@pytest.mark.parametrize("reruns", [0, 1, 2, 5])
def test_a_context_is_answered_once_and_as_often_again_as_the_policy_says(open_ledger, reruns):
    for attempt in range(reruns + 1):
        later = dataclasses.replace(CONTEXT, round=7 + attempt)
        open_ledger().claim(later, reruns, b"%d" % attempt)
    with pytest.raises(RepeatedContext, match=f"answered for this model .*{reruns + 1} times with reruns={reruns}"):
        open_ledger().claim(dataclasses.replace(CONTEXT, round=99), reruns, b"another session")
    open_ledger().claim(dataclasses.replace(OTHER_MODEL, round=99), reruns, b"another session")


def test_another_model_under_a_round_that_was_answered_is_a_rerun_too(open_ledger):
    open_ledger().claim(CONTEXT, 1, b"1")
    open_ledger().claim(OTHER_MODEL, 1, b"2")
    for number in (7, 6, 0):
        with pytest.raises(RepeatedContext, match=r"go on with round 8|not after round 7"):
            open_ledger().claim(RoundContext("job", number, b"\x09" * 32), 1, b"3")
    open_ledger().claim(RoundContext("job", 8, b"\x09" * 32), 1, b"3")
    open_ledger().claim(RoundContext("job", 7, b"\x0a" * 32), 1, b"4")  # what went before does not count for round 8


def test_what_is_refused_is_not_counted(open_ledger):
    open_ledger().claim(CONTEXT, 1, b"1")
    for _ in range(3):
        with pytest.raises(RepeatedContext, match="session"):
            open_ledger().claim(CONTEXT, 1, b"1")
    open_ledger().claim(dataclasses.replace(CONTEXT, round=8), 1, b"2")


def test_one_absurd_round_number_does_not_lock_a_job_for_good(open_ledger):
    for absurd in ((1 << 63) - 1, LARGEST_JUMP):
        with pytest.raises(ParameterError, match=f"round {absurd} of job 'job' .*take 0"):
            open_ledger().claim(dataclasses.replace(CONTEXT, round=absurd), 0, b"")
    open_ledger().claim(CONTEXT, 0, b"")
    with pytest.raises(ParameterError, match="take 8"):
        open_ledger().claim(dataclasses.replace(OTHER_MODEL, round=(1 << 63) - 1), 5, b"")
    open_ledger().claim(
        dataclasses.replace(OTHER_MODEL, round=7 + LARGEST_JUMP), 0, b""
    )  # a date, say, is no absurdity
    after = dataclasses.replace(CONTEXT, round=8 + LARGEST_JUMP, context_digest=b"\x09" * 32)
    open_ledger().claim(after, 0, b"")


def test_a_subject_is_settled_once_and_for_all(open_ledger):
    open_ledger().settle(b"keys", b"session")
    open_ledger().settle(b"keys", b"session")
    open_ledger().settle(b"other keys", b"other session")
    with pytest.raises(RepeatedContext, match="one-time secrets"):
        open_ledger().settle(b"keys", b"other session")
    open_ledger().settle(b"keys", b"session")


# --- the file


def ledger_file(folder: Path) -> Path:
    """Write a ledger with something in it."""
    store = SnapshotStore(folder)
    store.claim(CONTEXT, 0, b"session")
    store.settle(b"keys", b"session")
    return folder / "ledger"


def test_any_changed_byte_of_a_ledger_is_refused_with_a_way_out(tmp_path):
    file = ledger_file(tmp_path)
    data = file.read_bytes()
    for position in range(len(data)):
        for flip in (0x01, 0x80):
            damaged = bytearray(data)
            damaged[position] ^= flip
            file.write_bytes(damaged)
            with pytest.raises(
                InputError, match=r"ledger is damaged.*backup made after its last round, or move it away"
            ):
                SnapshotStore(tmp_path).claim(OTHER_MODEL, 9, b"new")
    file.write_bytes(data)
    with pytest.raises(RepeatedContext):
        SnapshotStore(tmp_path).claim(CONTEXT, 0, b"new")


def test_a_ledger_that_is_cut_or_of_an_earlier_version_is_refused(tmp_path):
    file = ledger_file(tmp_path)
    data = file.read_bytes()
    before = msgspec.msgpack.encode({"digests": [CONTEXT.context_digest], "rounds": {"job": 7}, "sessions": []})
    for found in (*(data[:cut] for cut in range(len(data))), data + b"\0", before):
        file.write_bytes(found)
        with pytest.raises(InputError, match=r"another version.*move it away"):
            SnapshotStore(tmp_path).settle(b"keys", b"session")


def test_a_ledger_is_no_session_and_a_session_no_ledger(tmp_path):
    file = ledger_file(tmp_path)
    file.rename(tmp_path / "session")
    with pytest.raises(InputError, match="delete it"):
        SnapshotStore(tmp_path).load("session")
