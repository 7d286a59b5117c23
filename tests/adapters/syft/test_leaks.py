"""What lies at the scientist, in what owners sync, and on the drive: nothing that is an owner's own."""

import base64
import re
from contextlib import suppress

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from syft.sync.events.file_change_event import FileChangeEventsMessage

from secagg.stats import Histogram, Number, Progress, Query, Rows

QUERY = Query(columns={"age": Number(20, 90, 0)}, rows=100, statistics=(Histogram("age", 70),))


def secrets_in(value):
    """All 32-byte values in a stored session, however deep."""
    if isinstance(value, bytes):
        if len(value) == 32:
            yield value
        with suppress(msgspec.MsgspecError, UnicodeDecodeError):
            if len(value) > 32:
                yield from secrets_in(msgspec.msgpack.decode(value))
    elif isinstance(value, list | dict):
        for item in value if isinstance(value, list) else value.items():
            yield from secrets_in(list(item) if isinstance(item, tuple) else item)


@pytest.fixture(scope="module")
def ran(federation):
    """A run to its end, and all that its owners' stores held in between."""
    three = federation(3)
    run = three.submit(QUERY)
    held = set()
    while not run.done:
        three.answer()
        for name in three.names:
            for path in private_of(three, name).rglob("*"):
                if path.is_file() and len(path.name) == 64:
                    held |= set(secrets_in(msgspec.msgpack.decode(path.read_bytes().split(b"\n", 1)[1][32:])))
        run.step()
    return three, run, held


def private_of(three, name):
    return three.do[name].syftbox_folder / name / "private" / "secagg"


def uploads(three):
    """Path → content of all that any owner's drive holds."""
    for name in three.names:
        service = three.do[name].sync_engine._connection_router.connections[0].drive_service
        for file in service._backing_store.files.values():
            with suppress(Exception):
                for event in FileChangeEventsMessage.from_compressed_data(file.content or b"").events:
                    content = event.content or b""
                    yield str(event.path_in_datasite), content if isinstance(content, bytes) else content.encode()


def public_of(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def test_nothing_of_an_owner_leaves_but_its_answers(ran):
    three, run, held = ran
    sent = list(uploads(three))
    at_scientist = [path for path in three.root.glob("scientist for */**/*") if path.is_file()]
    assert len(sent) > 20
    assert not [path for path, _ in sent if "private" in path]
    assert not [path for path in at_scientist if "private" in path.parts]
    seen = b"\n".join([*(path.read_bytes() for path in at_scientist), *(content for _, content in sent)])
    seen += b"\n".join(map(base64.b64decode, re.findall(rb'"request":"([^"]*)"', seen)))
    private = {secret for secret in held if public_of(secret) in seen}
    public = {secret for secret in held if secret in seen}
    assert len(private) == 2 * 3  # two pairs of keys for each owner
    assert not private & public
    assert len(public) == 2 * 3 + 3 + 2  # their public keys, their commitments, the context, and the list of keys
    assert len(held) > 2 * len(public)
    for name, table in three.tables.items():
        vector = Progress.begin(QUERY).vector(Rows.of(table, QUERY))
        forms = [vector.astype(width).tobytes() for width in ("<u8", "<u4", "<u2", "u1", ">u8")]
        assert not [form for form in forms if form in seen], name
    assert run.survivors == (3,)


def test_what_was_kept_for_a_run_is_deleted_with_its_last_answer(ran):
    three, *_ = ran
    for name in three.names:
        left = [path for path in private_of(three, name).rglob("*") if path.is_file()]
        named = {path.name for path in left}
        assert named == {"approvals.json", "jobs", "ledger", "lock", "queries.jsonl", "queries.jsonl.lock"}
        assert {path.stat().st_mode & 0o77 for path in left} == {0}
