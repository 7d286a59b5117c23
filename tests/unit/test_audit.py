"""The audit trail: complete, chained, signed, and free of secrets."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

import numpy as np
import pytest

import secagg
from secagg import audit
from secagg.round import Proposal
from secagg.round.audit import Seen, SiteTrail, Stamp, record_of
from secagg_he import ThresholdCkks

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def round_one():
    scheme = secagg.Bonawitz(participants=5, length=4, adversary="active")
    context = secagg.RoundContext("trial", 1, bytes(32))
    run = secagg.simulate(scheme, [np.arange(4)] * 5, drop={2: "MaskedInput", 5: "Unmasking"}, context=context)
    return scheme, context, run


def written(tmp_path, round_one, records=3):
    scheme, context, run = round_one
    identity = secagg.Identity.generate("aggregator")
    log = audit.AuditLog(tmp_path / "audit.jsonl", identity)
    for number in range(records):
        salt = bytes([number]) * 32
        record = audit.describe(scheme, context, run, now=NOW, salt=salt, epsilon={"server": 1.5}, delta=1e-5)
        log.append(record)
    return identity, tmp_path / "audit.jsonl", log


def test_a_record_says_who_took_part_who_vanished_and_what_was_opened(round_one):
    scheme, context, run = round_one
    record = audit.describe(scheme, context, run, now=NOW, salt=bytes(32))
    assert record.survivors == (1, 3, 4, 5)
    assert record.dropped == {"2": "MaskedInput: did not answer", "5": "Unmasking: did not answer"}
    assert record.opened == {"self_mask_seeds": (1, 3, 4, 5), "mask_keys": (2,)}
    assert record.scheme_id == scheme.id.hex()
    assert record.time == "2026-01-02T03:04:05+00:00"


@pytest.mark.parametrize(
    ("scheme", "opened"),
    [
        (ThresholdCkks(5, 4), {"sum_of_shares": (1, 3, 4, 5)}),
        (secagg.LightSecAgg(5, 4), {"sum_of_shares": (1, 3, 4, 5)}),
        (secagg.Plain(5, 4), {}),
    ],
    ids=lambda given: getattr(given, "name", ""),
)
def test_where_only_a_sum_is_opened_the_record_says_so(scheme, opened):
    context = secagg.RoundContext("trial", 1, bytes(32))
    run = secagg.simulate(scheme, [np.arange(4)] * 5, drop={2: scheme.upload_step}, context=context)
    assert audit.describe(scheme, context, run, now=NOW, salt=bytes(32)).opened == opened


@pytest.mark.parametrize(
    ("scheme", "withstood"),
    [
        (secagg.Plain(5, 4), "none"),
        (secagg.Bonawitz(5, 4), "semi-honest"),
        (secagg.Bonawitz(5, 4, adversary="active"), "active"),
    ],
    ids=lambda given: str(getattr(given, "id", given))[:12],
)
def test_a_record_claims_no_server_that_was_not_withstood(scheme, withstood):
    """From every party: under Plain the server sees every vector, and no record says that it was kept from anything."""
    context = secagg.RoundContext("trial", 1, bytes(32))
    simulation = secagg.Simulation(scheme, [np.arange(4)] * 5, context=context)
    run = simulation.run()
    assert audit.describe(scheme, context, run, now=NOW, salt=bytes(32)).adversary == withstood
    for client in simulation.clients.values():
        seen = Seen.by_participant(client)
        assert record_of(scheme, context, seen, Stamp(now=NOW)).adversary == withstood


def test_nor_does_the_record_of_a_proposal_that_was_refused(tmp_path):
    context = secagg.RoundContext("trial", 1, bytes(32))
    identity = secagg.Identity.generate("site")
    for scheme, withstood in ((secagg.Plain(5, 4), "none"), (secagg.Bonawitz(5, 4), "semi-honest")):
        trail = SiteTrail(tmp_path / f"{scheme.name}.jsonl", identity)
        trail.note_refused(Proposal.of(scheme, context), 1, "our own floor", Stamp(now=NOW))
        (line,) = audit.verify(trail.path, identity.public_key)
        assert line.record["adversary"] == withstood


def test_the_commitment_opens_for_the_released_sum_only(round_one):
    scheme, context, run = round_one
    record = audit.describe(scheme, context, run, now=NOW, salt=bytes(32))
    audit.opens(record, run.total, bytes(32))
    with pytest.raises(audit.AuditError, match="round 1"):
        audit.opens(record, run.total + np.uint64(1), bytes(32))
    with pytest.raises(audit.AuditError, match="round 1"):
        audit.opens(record, run.total, bytes([1]) * 32)


def test_an_untouched_trail_verifies_and_goes_on_after_a_restart(tmp_path, round_one):
    identity, path, log = written(tmp_path, round_one)
    lines = list(audit.verify(path, identity.public_key))
    assert [line.record["round"] for line in lines] == [1, 1, 1]
    assert lines[-1].hash == log.head == audit.AuditLog(path, identity).head


@pytest.mark.parametrize("damage", ["change", "remove", "swap", "foreign key"])
def test_a_trail_that_was_tampered_with_is_refused(tmp_path, round_one, damage):
    identity, path, _ = written(tmp_path, round_one)
    lines = path.read_text().splitlines()
    key = identity.public_key
    if damage == "change":
        body = json.loads(lines[1])
        body["record"]["survivors"] = [1, 2, 3, 4, 5]
        lines[1] = json.dumps(body, sort_keys=True, separators=(",", ":"))
    elif damage == "remove":
        del lines[1]
    elif damage == "swap":
        lines[0], lines[1] = lines[1], lines[0]
    else:
        key = secagg.Identity.generate("somebody else").public_key
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(audit.AuditError, match="line"):
        list(audit.verify(path, key))


def test_a_round_without_a_sum_is_recorded_too(tmp_path):
    scheme = secagg.Bonawitz(participants=5, length=4)
    simulation = secagg.Simulation(scheme, [np.arange(4)] * 5, drop=dict.fromkeys((1, 2, 3), "Unmasking"))
    with pytest.raises(secagg.RoundFailed):
        simulation.run()
    context = secagg.RoundContext("trial", 1, bytes(32))
    record = audit.describe(scheme, context, simulation.result(), now=NOW, salt=bytes(32))
    assert record.failure.startswith("round failed at Unmasking: have 2 of the 3")
    assert (record.aggregate_commitment, record.survivors) == ("", ())
    assert record.dropped["1"] == "Unmasking: did not answer"


def test_a_key_that_appears_twice_in_a_line_is_seen(tmp_path, round_one):
    identity, path, _ = written(tmp_path, round_one, records=1)
    path.write_text(path.read_text().replace("{", '{"previous":"other",', 1))
    with pytest.raises(audit.AuditError, match="line 1"):
        list(audit.verify(path, identity.public_key))


def test_a_line_that_a_crash_cut_short_is_dropped_at_the_next_start(tmp_path, round_one):
    identity, path, log = written(tmp_path, round_one)
    with path.open("a") as file:
        file.write('{"previous":')
    assert audit.AuditLog(path, identity).head == log.head


def test_an_epsilon_that_is_not_finite_is_refused(round_one):
    scheme, context, run = round_one
    with pytest.raises(secagg.InputError, match="not finite"):
        audit.describe(scheme, context, run, now=NOW, salt=bytes(32), epsilon={"server": float("inf")})


def test_a_time_without_zone_is_refused(round_one):
    scheme, context, run = round_one
    with pytest.raises(secagg.InputError, match="time zone"):
        audit.describe(scheme, context, run, now=datetime(2026, 1, 1), salt=bytes(32))


TAILS = {
    "a note": b"buy milk",
    "a note of several lines": b"buy milk\nand bread",
    "another file": b'{"secagg": "identity", "signing_key": "00"}',
    "the start of a record of another place": b'{"previous":"' + b"11" * 32 + b'","record":{',
    "deep": b"[" * 100_000,
    "no utf-8": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("tail", TAILS.values(), ids=TAILS)
@pytest.mark.parametrize("records", [0, 2])
def test_a_file_that_is_no_trail_is_refused_and_left_as_it_is(tmp_path, round_one, tail, records):
    identity, path, _ = written(tmp_path, round_one, records)
    with path.open("ab") as file:
        file.write(tail)
    before = path.read_bytes()
    with pytest.raises(audit.AuditError, match=r"audit\.jsonl line"):
        audit.AuditLog(path, identity)
    assert path.read_bytes() == before


@pytest.mark.parametrize("unfinished", ['{"previous":', "\0\0\0"])
def test_a_trail_that_was_tampered_with_is_not_even_shortened(tmp_path, round_one, unfinished):
    identity, path, _ = written(tmp_path, round_one)
    path.write_text(path.read_text().replace("trial", "trail", 1) + unfinished)
    before = path.read_bytes()
    with pytest.raises(audit.AuditError, match="line 1"):
        audit.AuditLog(path, identity)
    assert path.read_bytes() == before


def test_a_trail_of_another_identity_is_not_even_shortened(tmp_path, round_one):
    _, path, _ = written(tmp_path, round_one)
    path.write_bytes(path.read_bytes()[:-20])
    before = path.read_bytes()
    with pytest.raises(audit.AuditError, match="line 1"):
        audit.AuditLog(path, secagg.Identity.generate("somebody else"))
    assert path.read_bytes() == before


def test_however_a_crash_cut_the_last_line_the_trail_goes_on(tmp_path, round_one):
    identity, path, log = written(tmp_path, round_one, records=2)
    content = path.read_bytes()
    start = content.rindex(b"\n", 0, -1) + 1
    first = hashlib.sha256(content[: start - 1]).hexdigest()
    for cut in (start, start + 1, start + 5, start + 40, (start + len(content)) // 2, len(content) - 2):
        for lost in (b"", bytes(3)):
            path.write_bytes(content[:cut] + lost)
            assert audit.AuditLog(path, identity).head == first
            assert path.read_bytes() == content[:start]
    assert log.head != first


def test_a_whole_record_that_only_lacks_the_end_of_its_line_is_kept(tmp_path, round_one):
    identity, path, log = written(tmp_path, round_one)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert audit.AuditLog(path, identity).head == log.head
    assert path.read_bytes() == content


LINES = {
    "deep": b"[" * 100_000,
    "deep and whole": b'{"previous":' * 900 + b"1" + b"}" * 900,
    "no utf-8": b"\xff",
    "a huge number": b"9" * 10_000,
    "not a number": b"NaN",
    "a list": b"[]",
    "nothing": b"",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_a_twisted_line_is_one_line_that_names_it(tmp_path, round_one, line):
    identity, path, _ = written(tmp_path, round_one, records=1)
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(audit.AuditError, match=r"audit\.jsonl line 2") as caught:
        list(audit.verify(path, identity.public_key))
    assert len(str(caught.value).splitlines()) == 1


def test_a_trail_that_cannot_be_read_names_the_file(tmp_path):
    key = secagg.Identity.generate("a").public_key
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(secagg.InputError, match=path.name):
            list(audit.verify(path, key))


def test_a_key_for_which_anybody_can_sign_verifies_no_trail(tmp_path, round_one):
    _, path, _ = written(tmp_path, round_one)
    with pytest.raises(secagg.ParameterError, match="small order"):
        list(audit.verify(path, bytes([1]) + bytes(31)))
