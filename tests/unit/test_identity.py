"""Identity and roster files: what is pinned, what is refused, and who can read it."""

import json
import stat
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import serialization

from secagg_protocols import (
    Aggregator,
    AuthenticationError,
    Bonawitz,
    DurableClient,
    Identity,
    InputError,
    MemoryLedger,
    ParameterError,
    Participant,
    PublicIdentity,
    Roster,
    RoundContext,
    SnapshotStore,
)

SUITES = ["x25519", "p256"]


def roster_of(ciphersuite="x25519", participants=3):
    owns = [Identity.generate(f"party {index}", ciphersuite) for index in range(participants + 1)]
    return Roster.of(ciphersuite, [own.public(index) for index, own in enumerate(owns)]), owns


@pytest.mark.parametrize("ciphersuite", SUITES)
def test_an_identity_survives_its_file(tmp_path, ciphersuite):
    own = Identity.generate("Hospital Ä", ciphersuite)
    own.save(tmp_path / "id")
    assert Identity.load(tmp_path / "id") == own
    assert Identity.load(tmp_path / "id").public_key == own.public_key


def test_the_identity_file_is_readable_by_its_owner_alone(tmp_path):
    Identity.generate("a").save(tmp_path / "id")
    assert stat.S_IMODE((tmp_path / "id").stat().st_mode) == 0o600


def test_an_identity_is_never_overwritten(tmp_path):
    path = tmp_path / "id"
    first = Identity.generate("first")
    first.save(path)
    with pytest.raises(InputError, match="never overwritten"):
        Identity.generate("second").save(path)
    assert Identity.load(path) == first


def test_no_repr_shows_a_signing_key():
    own = Identity.generate("a")
    for shown in (repr(own), str(own), f"{own}"):
        assert own.signing_key.hex() not in shown
        assert repr(own.signing_key)[2:-1] not in shown
        assert "redacted" in shown


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not json",
        "[]",
        "{}",
        '{"secagg": "roster"}',
        '{"secagg": "identity"}',
        '{"secagg": "identity", "name": "a", "suite": "rot13", "signing_key": "00"}',
        '{"secagg": "identity", "name": "a", "suite": "x25519", "signing_key": "zz"}',
        '{"secagg": "identity", "name": "a", "suite": "x25519", "signing_key": 5}',
        '{"secagg": "identity", "name": "a", "suite": [], "signing_key": "00"}',
    ],
)
def test_a_file_that_is_no_identity_is_refused(tmp_path, content):
    (tmp_path / "id").write_text(content)
    with pytest.raises(InputError, match="id"):
        Identity.load(tmp_path / "id")


@pytest.mark.parametrize("key", ["", "00", "00" * 31, "00" * 33])
@pytest.mark.parametrize("ciphersuite", SUITES)
def test_an_identity_file_with_a_key_that_cannot_sign_is_refused(tmp_path, ciphersuite, key):
    content = {"secagg": "identity", "name": "a", "suite": ciphersuite, "signing_key": key}
    (tmp_path / "id").write_text(json.dumps(content))
    with pytest.raises(InputError):
        Identity.load(tmp_path / "id")


def test_missing_and_unreadable_files_are_input_errors(tmp_path):
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    for load in (Identity.load, Roster.load):
        for name in ("missing", "bytes", "."):
            with pytest.raises(InputError):
                load(tmp_path / name)


@pytest.mark.parametrize("ciphersuite", SUITES)
def test_a_roster_survives_its_file(tmp_path, ciphersuite):
    roster, _ = roster_of(ciphersuite)
    roster.save(tmp_path / "roster")
    loaded = Roster.load(tmp_path / "roster")
    assert loaded == roster
    assert loaded.digest == roster.digest
    assert loaded.participants == (1, 2, 3)


@pytest.mark.parametrize("ciphersuite", SUITES)
def test_a_consortium_s_signature_covers_every_entry(tmp_path, ciphersuite):
    roster, _ = roster_of(ciphersuite)
    consortium, stranger = Identity.generate("c", ciphersuite), Identity.generate("s", ciphersuite)
    path = tmp_path / "roster"
    roster.save(path, consortium)
    assert Roster.load(path, consortium.public_key) == roster
    assert Roster.load(path) == roster
    with pytest.raises(AuthenticationError):
        Roster.load(path, stranger.public_key)
    content = json.loads(path.read_text())
    changes = [
        lambda c: c["entries"].pop(),
        lambda c: c["entries"][1].update(name="party 1!"),
        lambda c: c["entries"][1].update(public_key=stranger.public_key.hex()),
        lambda c: c["entries"][3].update(id=4),
        lambda c: c["entries"][1].update(not_after="2099-01-01T00:00:00+00:00"),
        lambda c: c.update(signature=c["signature"][:-2] + ("00" if c["signature"][-2:] != "00" else "01")),
        lambda c: c.update(signature=""),
    ]
    for change in changes:
        tampered = json.loads(json.dumps(content))
        change(tampered)
        path.write_text(json.dumps(tampered))
        with pytest.raises(AuthenticationError):
            Roster.load(path, consortium.public_key)


def test_an_unsigned_roster_is_refused_where_a_signature_is_asked_for(tmp_path):
    roster, _ = roster_of()
    roster.save(tmp_path / "roster")
    with pytest.raises((AuthenticationError, InputError)):
        Roster.load(tmp_path / "roster", Identity.generate("c").public_key)


def test_every_field_of_every_entry_is_in_the_digest():
    roster, owns = roster_of()
    entry = roster.entries[2]
    others = [
        replace(entry, name="other"),
        replace(entry, public_key=Identity.generate("x").public_key),
        replace(entry, not_before="2020-01-01T00:00:00+00:00"),
        replace(entry, not_after="2020-01-01T00:00:00+00:00"),
    ]
    digests = {roster.digest}
    for other in others:
        digests.add(Roster.of("x25519", [*roster.entries[:2], other, *roster.entries[3:]]).digest)
    digests.add(Roster.of("x25519", roster.entries[:-1]).digest)
    digests.add(Roster.of("x25519", roster.entries[1:]).digest)
    assert len(digests) == 7
    assert Roster.of("x25519", reversed(roster.entries)).digest == roster.digest
    assert owns[2].public_key == entry.public_key


def test_rosters_that_cannot_be_are_refused():
    roster, _ = roster_of()
    first, second = roster.entries[1:3]
    for entries in (
        [],
        [first, first],
        [first, replace(second, id=1)],
        [replace(first, id=-1)],
        [replace(first, id=2**32)],
        [first, replace(second, public_key=first.public_key)],
        [replace(first, public_key=b"short")],
    ):
        with pytest.raises(ParameterError):
            Roster.of("x25519", entries)
    with pytest.raises(ParameterError):
        Roster.of("p256", roster.entries)


def test_one_key_in_two_entries_is_refused_by_name():
    roster, _ = roster_of()
    first, second = roster.entries[1:3]
    with pytest.raises(ParameterError, match=r"entries 1 \(party 1\) and 2 \(party 2\) have the same public key"):
        Roster.of("x25519", [first, replace(second, public_key=first.public_key)])


def test_one_p256_key_in_two_encodings_is_refused():
    roster, owns = roster_of("p256")
    compressed = (
        owns[1]
        ._loaded.public_key()
        .public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    )
    twice = [*roster.entries[:2], replace(roster.entries[2], public_key=compressed), roster.entries[3]]
    with pytest.raises(ParameterError, match=r"roster entry 2 \(party 2\).*uncompressed point"):
        Roster.of("p256", twice)


@pytest.mark.parametrize("key", [bytes([1]) + bytes(31), bytes(32), b"\xff" * 32, b"\x02" + bytes(31)], ids=bytes.hex)
def test_an_entry_whose_key_identifies_nobody_is_refused_by_name(key):
    roster, _ = roster_of()
    with pytest.raises(ParameterError, match=r"roster entry 3 \(party 3\): an Ed25519 public key"):
        Roster.of("x25519", [*roster.entries[:3], replace(roster.entries[3], public_key=key)])


def test_a_consortium_key_for_which_anybody_can_sign_is_refused(tmp_path):
    roster, _ = roster_of()
    anybody = bytes([1]) + bytes(31)
    roster.save(tmp_path / "roster", Identity.generate("c"))
    content = json.loads((tmp_path / "roster").read_text())
    content["signature"] = (anybody + bytes(32)).hex()
    (tmp_path / "roster").write_text(json.dumps(content))
    with pytest.raises(InputError, match="small order"):
        Roster.load(tmp_path / "roster", anybody)


def test_a_stranger_has_no_key():
    roster, owns = roster_of()
    assert roster.key_of(3) == owns[3].public_key
    for stranger in (4, -1, 65535):
        with pytest.raises(AuthenticationError, match=str(stranger)):
            roster.key_of(stranger)


NOW = datetime(2026, 6, 1, tzinfo=UTC)
BEFORE, AFTER = "2026-01-01T00:00:00+00:00", "2026-12-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("not_before", "not_after", "words"),
    [
        (None, None, None),
        (BEFORE, None, None),
        (None, AFTER, None),
        (BEFORE, AFTER, None),
        (AFTER, None, "not valid before"),
        (None, BEFORE, "not valid after"),
        (BEFORE, BEFORE.replace("01-01", "05-01"), "not valid after"),
        (AFTER, AFTER.replace("12-01", "12-31"), "not valid before"),
        (BEFORE, BEFORE, "not valid after"),
    ],
)
def test_validity_is_checked_at_both_ends(not_before, not_after, words):
    entry = PublicIdentity(1, "a", bytes(32), not_before, not_after)
    if words is None:
        entry.check_valid_at(NOW)
        return
    with pytest.raises(ParameterError, match=words):
        entry.check_valid_at(NOW)


@pytest.mark.parametrize("when", ["2026-01-01", "2026-01-01T00:00:00", "tomorrow", ""])
def test_times_that_cannot_be_compared_are_refused_in_our_words(when):
    with pytest.raises((ParameterError, InputError)) as caught:
        PublicIdentity(1, "a", bytes(32), not_before=when).check_valid_at(NOW)
    assert type(caught.value) is not ValueError


@pytest.mark.parametrize(
    "content",
    [
        {"suite": "x25519"},
        {"suite": "x25519", "entries": 5},
        {"suite": "x25519", "entries": [5]},
        {"suite": "x25519", "entries": [{}]},
        {"suite": "x25519", "entries": []},
        {"suite": "nothing", "entries": []},
        {"entries": []},
    ],
    ids=str,
)
def test_a_file_that_is_no_roster_is_refused(tmp_path, content):
    (tmp_path / "roster").write_text(json.dumps({"secagg": "roster", **content}))
    with pytest.raises(InputError, match="roster"):
        Roster.load(tmp_path / "roster")


ENTRY = {"id": 1, "name": "a", "public_key": "00", "not_before": None, "not_after": None}
TWISTED = {
    "deep": b"[" * 100_000,
    "deep inside": b'{"secagg": "roster", "entries": ' + b"[" * 100_000,
    "deep and whole": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "no utf-8": b'{"secagg": "\xff\xfe"}',
    "utf-16": '{"secagg": "roster"}'.encode("utf-16"),
    "a surrogate": b'{"secagg": "roster", "suite": "\\ud800", "entries": []}',
    "a huge number": b'{"secagg": "roster", "entries": ' + b"9" * 10_000 + b"}",
    "not a number": b'{"secagg": "roster", "suite": "x25519", "entries": NaN}',
    "infinite": b'{"secagg": "roster", "suite": "x25519", "entries": -Infinity}',
    "a name twice": b'{"secagg": "identity", "secagg": "roster", "suite": "x25519", "entries": []}',
    "nothing": b"",
    "NULs": bytes(100),
}


@pytest.mark.parametrize("content", TWISTED.values(), ids=TWISTED)
@pytest.mark.parametrize("load", [Roster.load, Identity.load], ids=["roster", "identity"])
def test_a_twisted_file_is_one_line_that_names_it(tmp_path, load, content):
    path = tmp_path / "twisted.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"twisted\.json") as caught:
        load(path)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"id": "1"},
        {"id": 1.0},
        {"id": True},
        {"id": None},
        {"id": 10**4000},
        {"name": 5},
        {"name": None},
        {"name": "two\nlines"},
        {"name": "\ud800"},
        {"public_key": 5},
        {"public_key": None},
        {"public_key": "xy"},
        {"not_before": 5},
        {"not_after": []},
        {"not_after": "9999-99-99"},
    ],
    ids=lambda change: str(change)[:30],
)
def test_an_entry_of_another_type_is_refused(tmp_path, change):
    roster, _ = roster_of()
    roster.save(tmp_path / "roster.json")
    content = json.loads((tmp_path / "roster.json").read_text())
    content["entries"][1].update(change)
    (tmp_path / "roster.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"roster\.json") as caught:
        Roster.load(tmp_path / "roster.json")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", [5, None, {}, "two\nlines", "\ud800"], ids=ascii)
def test_an_identity_without_a_printable_name_is_refused(tmp_path, name):
    Identity.generate("a").save(tmp_path / "id.json")
    content = json.loads((tmp_path / "id.json").read_text())
    (tmp_path / "id.json").write_text(json.dumps({**content, "name": name}))
    with pytest.raises(InputError, match=r"id\.json.*printed on one line"):
        Identity.load(tmp_path / "id.json")


# --- the time at which a roster holds, for every machine


def machines_of(roster, owns, tmp_path):
    """Return what makes every kind of party, from `now`."""
    scheme, context = Bonawitz(3, 5, adversary="active"), RoundContext("job", 1, bytes(32))
    one = {"identity": owns[1], "roster": roster}
    snapshot = scheme.client(1, context, Participant(**one, ledger=MemoryLedger(), now=NOW)).snapshot()
    store = SnapshotStore(tmp_path / "store")
    return {
        "client": lambda now: scheme.client(1, context, Participant(**one, ledger=MemoryLedger(), now=now)),
        "server": lambda now: scheme.server(context, Aggregator(identity=owns[0], roster=roster, now=now)),
        "restored": lambda now: scheme.restore(snapshot, Participant(**one, ledger=MemoryLedger(), now=now)),
        "durable": lambda now: DurableClient(store, scheme, 1, context, Participant(**one, now=now)),
    }


@pytest.mark.parametrize("party", ["client", "server", "restored", "durable"])
def test_no_machine_takes_a_roster_outside_its_validity(tmp_path, party):
    roster, owns = roster_of()
    entries = [*roster.entries[:2], replace(roster.entries[2], not_before=BEFORE, not_after=AFTER), roster.entries[3]]
    make = machines_of(Roster.of("x25519", entries), owns, tmp_path)[party]
    make(NOW)
    with pytest.raises(ParameterError, match=r"identity 2 \(party 2\) is not valid after .*; renew it"):
        make(datetime(2027, 1, 1, tzinfo=UTC))
    with pytest.raises(ParameterError, match=r"identity 2 \(party 2\) is not valid before"):
        make(datetime(2025, 1, 1, tzinfo=UTC))
    with pytest.raises(ParameterError, match=r"identity 2 \(party 2\) is valid for a time only: give now="):
        make(None)  # a driver that forgets the time is told so
    with pytest.raises(ParameterError, match="no time zone"):
        make(datetime(2026, 6, 1))


@pytest.mark.parametrize("party", ["client", "server", "restored", "durable"])
def test_a_roster_without_limits_needs_no_time(tmp_path, party):
    make = machines_of(*roster_of(), tmp_path)[party]
    make(None)
    make(NOW)
