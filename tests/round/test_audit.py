"""Logs that the server and every site wrote of the same rounds: they agree, and whoever changes, cuts or moves a record
is named by it, even who may sign it."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

import secagg
from secagg.round import Proposal, audit
from secagg.round.audit import AuditError, AuditLog, AuditRecord, Log, SiteTrail, Stamp, model_digest
from secagg.round.updates import applied, mean_of
from secagg_protocols import Identity, InputError, ParameterError

NOW = audit.record.datetime(2026, 11, 26, tzinfo=audit.record.UTC)
GONE = "site-3"


@dataclass
class Kept:
    """What a training left: each party's log and the key it is signed with. rounds: how each ended."""

    parties: object
    paths: dict[str, Path]
    identities: dict[str, Identity]
    rounds: list

    def logs(self, *names: str) -> list[Log]:
        """The verified logs of these parties, or of all."""
        return [
            Log(self.paths[name], list(audit.verify(self.paths[name], self.identities[name].public_key)))
            for name in names or self.paths
            if self.paths[name].exists()  # not of whoever was never asked
        ]

    def copied(self, folder: Path) -> Kept:
        """The same in another folder."""
        shutil.copytree(self.paths["server"].parent, folder, dirs_exist_ok=True)
        return replace(self, paths={name: folder / path.name for name, path in self.paths.items()})

    def records(self, name: str) -> list[dict]:
        return [json.loads(line)["record"] for line in self.paths[name].read_text().splitlines()]

    def sign_again(self, name: str, records: list[dict]) -> None:
        """What a party can do to its own log, that nobody else can: another content, whole and signed."""
        self.paths[name].unlink()
        log = AuditLog(self.paths[name], self.identities[name])
        for record in records:
            log.append(AuditRecord(**record))

    def change(self, name: str, number: int, field: str, value: object) -> None:
        """Give a field of a round's every record another value, and sign it."""
        records = self.records(name)
        for record in records:
            if record["round"] == number:
                record[field] = value
        self.sign_again(name, records)

    def found(self) -> list[tuple[Path, int, str]]:
        """Where the logs differ: path, round, field."""
        return [(item.path, item.subject[1], item.field) for item in audit.compare(self.logs())]


def with_logs(parties) -> tuple[dict[str, Path], dict[str, Identity]]:
    """Give every party of a federation a log, and an identity where it has none."""
    identities = {"server": parties.settings.identity or Identity.generate("server")}
    paths = {"server": parties.folder / "server.jsonl"}
    trail = audit.ServerTrail(paths["server"], identities["server"])
    parties.settings = replace(parties.settings, audit=trail)
    for name in parties.names:
        file = Path(str(parties.config[name].get("secagg-identity", parties.folder / f"{name}.identity")))
        if not file.exists():
            Identity.generate(name).save(file)
        identities[name], paths[name] = Identity.load(file), parties.folder / f"{name}.jsonl"
        parties.config[name] |= {"secagg-identity": str(file), "secagg-audit": str(paths[name])}
    return paths, identities


def trained(parties, model, rounds: int = 3, lose=lambda number, name, rnd: False) -> Kept:
    """Train for some rounds. lose(round, site, its round): whether a request does not get there."""
    paths, identities = with_logs(parties)
    ended = []
    for number in range(1, rounds + 1):
        rnd = parties.round(parties.proposal(number, model))
        parties.run(
            rnd, model, way=lambda name, request, rnd, number=number: None if lose(number, name, rnd) else request
        )
        before = model
        if rnd.output is not None:
            model = applied(model, mean_of(rnd.output, parties.codec))
        stamp = Stamp(now=NOW, model=model_digest(before), model_after=model_digest(model))
        parties.settings.audit.write_round(rnd, stamp)
        ended.append(rnd.outcome)
    return Kept(parties, paths, identities, ended)


_TRAINED: list[Kept] = []


@pytest.fixture
def kept(request, tmp_path_factory) -> Kept:
    """Three rounds of an active federation; in each the third site vanishes before its vector. Trained once, and copied
    for each test."""
    if not _TRAINED:
        federation, sample = map(request.getfixturevalue, ("federation", "sample"))
        gone = trained(
            federation("bonawitz active"), sample(0), lose=lambda number, name, rnd: name == GONE and rnd.uploads
        )
        place = tmp_path_factory.mktemp("trained")
        _TRAINED.append(gone.copied(place))
    return _TRAINED[0].copied(tmp_path_factory.mktemp("copy"))


def test_what_server_and_sites_wrote_of_every_scheme_agrees(federation, sample, scheme_name):
    kept = trained(federation(scheme_name), sample(0), 2, lose=lambda number, name, rnd: name == GONE and rnd.uploads)
    assert all(outcome.failure is None for outcome in kept.rounds)
    assert audit.compare(kept.logs()) == []
    for log in kept.logs():
        last = log.lines[-1].record
        expected = {"server": ("ended", False), GONE: ("begun", False)}.get(log.path.stem, ("ended", True))
        assert (last["stage"], last["contributed"]) == expected


def test_a_record_says_what_its_writer_saw(kept):
    server, site = kept.records("server")[1], kept.records("site-2")[-1]
    assert (server["party"], site["party"]) == (0, 2)
    assert server["survivors"] == site["survivors"] == [1, 2, 4, 5]
    assert server["opened"] == site["opened"] == {"self_mask_seeds": [1, 2, 4, 5], "mask_keys": [3]}
    assert server["dropped"] == {"3": "MaskedInput: did not answer"}
    assert site["aggregate_commitment"] == site["model_after"] == ""
    assert [record["stage"] for record in kept.records("site-2")] == ["begun", "begun", "ended"] * 3
    assert [record["contributed"] for record in kept.records("site-2")] == [False, True, True] * 3


def test_the_model_of_each_round_is_what_came_of_the_one_before(kept):
    server = kept.records("server")
    for earlier, later in zip(server, server[1:], strict=False):
        assert earlier["model_after"] == later["model"] != earlier["model"]
        for name in ("site-1", "site-5"):
            received = [record["model"] for record in kept.records(name) if record["round"] == later["round"]]
            assert received == ["", later["model"], later["model"]]


def test_the_salts_open_the_commitments(kept):
    rows = [json.loads(line) for line in Path(f"{kept.paths['server']}.salts").read_text().splitlines()]
    for row, record, outcome in zip(rows, kept.records("server"), kept.rounds, strict=True):
        audit.opens(AuditRecord(**record), outcome.output.total, bytes.fromhex(row["salt"]))
        assert row["commitment"] == record["aggregate_commitment"]
    text = "".join(path.read_text() for path in kept.paths.values())
    assert not any(row["salt"] in text for row in rows)


# --- who cannot sign


@pytest.mark.parametrize("field", [item.name for item in fields(AuditRecord)])
@pytest.mark.parametrize("name", ["server", "site-2"])
def test_a_field_changed_by_whoever_cannot_sign_names_line_and_round(kept, name, field):
    path = kept.paths[name]
    lines = path.read_text().splitlines()
    number = next(place for place, record in enumerate(kept.records(name)) if record["round"] == 2)
    body = json.loads(lines[number])
    body["record"][field] = {"changed": True} if body["record"][field] != {"changed": True} else None
    lines[number] = json.dumps(body, sort_keys=True, separators=(",", ":"))
    path.write_text("\n".join(lines) + "\n")
    named = "" if field == "round" else r" \(round 2\)"
    with pytest.raises(AuditError, match=rf"{path.name} line {number + 1}{named}: changed"):
        kept.logs(name)


# --- who can: the writer itself

SERVERS = {
    "party": 1,
    "context_digest": "11" * 32,
    "scheme": "lightsecagg",
    "scheme_id": "11" * 32,
    "adversary": "semi-honest",
    "participants": 6,
    "listed": [1, 2, 3, 4],
    "survivors": [1, 2, 4],
    "dropped": {},
    "opened": {"self_mask_seeds": [1, 2, 4, 5], "mask_keys": []},
    "failure": "too few",
    "model": "11" * 32,
    "model_after": "11" * 32,
    "insecure_deterministic": True,
}
SITES = {
    "party": 1,
    "stage": "begun",
    "contributed": False,
    "context_digest": "11" * 32,
    "scheme": "lightsecagg",
    "scheme_id": "11" * 32,
    "adversary": "semi-honest",
    "participants": 6,
    "listed": [1, 2, 4, 5],
    "survivors": [1, 2, 3, 4, 5],
    "opened": {"self_mask_seeds": [1, 2, 4, 5], "mask_keys": []},
    "model": "11" * 32,
    "insecure_deterministic": True,
}
UNSEEN = {"time", "job", "round", "corrections", "refusals", "epsilon", "delta", "failure", "aggregate_commitment"}
"""What nobody else can know of a site's record, or of the server's: it is the writer's own word. Job and round are
where a record stands: changed, it is missing where it was."""


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [("server", *item) for item in SERVERS.items()] + [("site-2", *item) for item in SITES.items()],
)
def test_a_field_changed_and_signed_by_the_writer_names_a_record_of_that_round(kept, name, field, value):
    kept.change(name, 2, field, value)
    found = audit.compare(kept.logs())
    assert found
    assert {item.subject[1] for item in found} <= {1, 2, 3}  # models: of the rounds beside it
    assert any(field in (item.field, *str(item).split()) or item.path == kept.paths[name] for item in found)
    if name == "site-2":  # all the others agree, so it is this one that is named
        named = {(item.path, item.subject[1]) for item in found if item.subject[1] == 2}
        assert (kept.paths[name], 2) in named


@pytest.mark.parametrize("field", ["context_digest", "scheme_id", "survivors", "opened", "model", "listed"])
def test_of_a_site_the_very_field_is_named(kept, field):
    kept.change("site-2", 2, field, [1, 2, 3, 4, 5, 6] if field == "listed" else SITES[field])
    assert (kept.paths["site-2"], 2, field) in kept.found()


def test_every_field_is_either_checked_or_said_to_be_the_writers_own_word():
    assert {item.name for item in fields(AuditRecord)} == {*SERVERS, *SITES} | UNSEEN


@pytest.mark.parametrize("name", ["server", "site-2"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_round_cut_and_the_rest_signed_again_is_missing(kept, name, number):
    kept.sign_again(name, [record for record in kept.records(name) if record["round"] != number])
    assert (kept.paths[name], number, "round") in kept.found()


def test_a_record_cut_from_the_end_is_missing_where_the_chain_cannot_tell(kept):
    path = kept.paths["server"]
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    (difference,) = audit.compare(kept.logs())
    assert str(difference).startswith(f"{path}, round 3 of 'job', round: no record")


def test_rounds_in_a_swapped_order_signed_again_are_named(kept):
    first, second, third = kept.records("server")
    kept.sign_again("server", [second, first, third])
    assert (kept.paths["server"], 1, "round") in kept.found()


def test_a_server_that_trains_on_with_another_model_is_named_by_the_sites(federation, sample):
    """It publishes one model in its log and sends the sites another: all of it signed, each round whole by itself."""
    parties = federation("bonawitz active")
    paths, identities = with_logs(parties)
    trail, first, other = parties.settings.audit, sample(0), sample(1)
    for number, model in ((1, first), (2, other)):
        rnd = parties.run(parties.round(parties.proposal(number, model)), model)
        after = applied(model, mean_of(rnd.output, parties.codec))
        trail.write_round(rnd, Stamp(now=NOW, model=model_digest(model), model_after=model_digest(after)))
    kept = Kept(parties, paths, identities, [])
    assert set(kept.found()) == {(paths["server"], 1, "model_after")}
    without = [log for log in kept.logs() if log.path != paths["server"]]
    assert audit.compare(without) == []  # the sites by themselves cannot tell: they never saw the sum


def test_a_server_that_denies_having_sent_a_model_is_named(kept):
    records = [record | {"model": "", "model_after": ""} for record in kept.records("server")]
    kept.sign_again("server", records)
    assert (kept.paths["server"], 1, "model_after") in kept.found()


def test_a_server_that_counts_a_vector_that_never_left_its_site_is_named(kept):
    server = kept.records("server")
    server[1] |= {"survivors": [1, 2, 3, 4, 5], "dropped": {}}
    kept.sign_again("server", server)
    assert (kept.paths[GONE], 2, "contributed") in kept.found()


def test_two_logs_that_speak_for_one_participant_are_named(kept):
    kept.sign_again("site-2", [record | {"party": 1} for record in kept.records("site-2")])
    assert {(kept.paths["site-2"], number, "party") for number in (1, 2, 3)} <= set(kept.found())


def test_a_record_under_a_participants_id_that_another_key_signed_is_named(kept):
    logs = kept.logs("server", "site-1", "site-2")
    logs[2] = replace(logs[2], signer=4)
    assert {(item.field, item.path) for item in audit.compare(logs)} == {("party", kept.paths["site-2"])}


# --- what goes wrong


def test_a_failed_round_is_in_every_log_and_the_next_is_about_the_same_model(federation, sample):
    parties = federation("bonawitz active")
    kept = trained(
        parties, sample(0), 2, lose=lambda number, name, rnd: number == 1 and rnd.uploads and name > "site-2"
    )
    assert kept.rounds[0].failure is not None
    first, second = kept.records("server")
    assert first["failure"].startswith("round failed at MaskedInput: have 2 of the")
    assert first["survivors"] == []
    assert first["model"] == first["model_after"] == second["model"]
    for name in parties.names:
        mine = [record for record in kept.records(name) if record["round"] == 1]
        assert mine[-1]["stage"] == "begun"
        assert mine[-1]["contributed"] == (name <= "site-2")
    assert audit.compare(kept.logs()) == []


def test_what_a_site_refuses_is_in_its_log_before_and_after_it_has_a_machine(federation, sample):
    parties = federation("bonawitz active")
    paths, identities = with_logs(parties)
    parties.config["site-1"]["secagg-schemes"] = "lightsecagg"
    rnd = parties.round()
    requests = rnd.begin()
    assert parties.site("site-1").take(requests["site-1"]).refused
    turn = parties.site("site-2").take(requests["site-2"])
    turn.refuse(InputError("the disk with the data is not there"))
    kept = Kept(parties, paths, identities, [])
    (one,) = kept.records("site-1")
    assert (one["party"], one["stage"], one["scheme_id"]) == (1, "refused", "")
    assert one["refusals"][0].startswith("ParameterError: the server proposes 'bonawitz'")
    assert [record["stage"] for record in kept.records("site-2")] == ["begun", "refused"]
    assert kept.records("site-2")[1]["refusals"] == ["InputError: the disk with the data is not there"]
    assert audit.compare(kept.logs("site-1", "site-2")) == []


def test_a_request_delivered_again_is_recorded_once(federation, sample):
    parties = federation("bonawitz active")
    paths, identities = with_logs(parties)
    parties.run(
        parties.round(),
        way=lambda name, request, rnd: (parties.answer(name, request, sample(0)), request)[1],
    )
    kept = Kept(parties, paths, identities, [])
    assert [record["stage"] for record in kept.records("site-1")] == ["begun", "begun", "ended"]


def test_no_vector_leaves_a_site_that_cannot_write_it_down(federation, sample):
    parties = federation("bonawitz active")
    paths, identities = with_logs(parties)
    rnd = parties.round()
    requests = parties.reach(rnd, lambda rnd: rnd.uploads)
    turn = parties.site("site-1").take(requests["site-1"])
    whole = paths["site-1"].read_bytes()
    paths["site-1"].unlink()
    paths["site-1"].mkdir()  # whatever becomes of a disk
    answers = turn.contribute(parties.vector("site-1", sample(0)), parties.seen(sample(0)))
    assert turn.refused
    assert len(answers) < 300
    paths["site-1"].rmdir()
    paths["site-1"].write_bytes(whole)
    rnd.take("site-1", parties.answer("site-1", requests["site-1"], sample(0)))  # asked again, it answers, and says so
    assert "site-1" not in rnd.waiting_for
    last = Kept(parties, paths, identities, []).records("site-1")[-1]
    assert last["contributed"]


BAD = {
    "no folder": (lambda path: path / "nowhere" / "log", "No such file or directory"),
    "a folder": (lambda path: path, "Is a directory"),
    "below a file": (lambda path: (path / "file").write_text("x") and path / "file" / "log", "Not a directory"),
}


@pytest.mark.parametrize(("place", "text"), BAD.values(), ids=BAD)
def test_a_log_that_cannot_be_written_is_refused_before_the_first_round(federation, tmp_path, place, text):
    parties = federation("bonawitz active")
    log = place(tmp_path)
    knobs = {"clip": 8.0, "weight_max": 100, "identity": parties.settings.identity, "audit": str(log)}
    with pytest.raises(InputError, match=rf"{log}: .*{text}.*give a file") as caught:
        secagg.round.Settings.of(knobs)
    assert len(str(caught.value).splitlines()) == 1
    parties.config["site-1"]["secagg-audit"] = str(log)
    with pytest.raises(InputError, match=rf"{log}: .*{text}.*give a file"):
        parties.site("site-1")


def test_salts_that_cannot_be_kept_are_refused_before_the_first_round(federation, tmp_path):
    """Else nobody could ever show which sum a record commits to."""
    log = tmp_path / "server.jsonl"
    (tmp_path / "server.jsonl.salts").mkdir()
    identity = federation("bonawitz active").settings.identity
    with pytest.raises(InputError, match=r"server\.jsonl\.salts: cannot be written \(Is a directory\)"):
        secagg.round.Settings.of({"clip": 8.0, "weight_max": 100, "identity": identity, "audit": str(log)})


def test_a_log_without_an_identity_to_sign_it_is_refused(federation, tmp_path):
    with pytest.raises(ParameterError, match="audit needs identity"):
        secagg.round.Settings.of({"clip": 8.0, "weight_max": 100, "audit": tmp_path / "log"})
    with pytest.raises(ParameterError, match="secagg-audit needs secagg-identity"):
        secagg.round.SitePolicy.read({"secagg-audit": str(tmp_path / "log")})
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("damage", ["another identity", "a changed last line", "a note"])
def test_a_log_that_is_damaged_or_another_ones_is_refused_before_the_first_round(kept, damage):
    path = kept.paths["site-1"]
    identity = kept.identities["site-1"]
    if damage == "another identity":
        identity = kept.identities["site-2"]
    elif damage == "a note":
        path.write_text(path.read_text() + "buy milk\n")
    else:
        *lines, last = path.read_text().splitlines()
        path.write_text("\n".join([*lines, last.replace('"party":1', '"party":2')]) + "\n")
    before = path.read_bytes()
    with pytest.raises(AuditError, match=r"site-1\.jsonl line \d+.*give the writer's key or another file"):
        SiteTrail(path, identity)
    assert path.read_bytes() == before


def test_two_writers_of_one_log_do_not_overwrite_each_other(kept):
    path, identity = kept.paths["server"], kept.identities["server"]
    one, two = AuditLog(path, identity), AuditLog(path, identity)
    record = AuditRecord(**kept.records("server")[-1])
    one.append(record)
    with pytest.raises(AuditError, match="somebody else writes"):
        two.append(record)
    assert len(list(audit.verify(path, identity.public_key))) == 4


# --- secrets

CUT = 16
"""Secrets are looked for in pieces of so many bytes: what is drawn is 32 bytes, or longer."""


def secrets_in(memory: object) -> set[str]:
    """Everything of 32 bytes or more that a participant remembers, but what a record says by design."""
    if isinstance(memory, bytes):
        aligned = range(0, len(memory) - CUT + 1, CUT) if len(memory) >= 32 else ()
        return {cut.hex() for start in aligned if any(cut := memory[start : start + CUT])}
    if isinstance(memory, msgspec.Struct):
        public = {"scheme_id", "context_digest", "advertised"}
        named = [name for name in memory.__struct_fields__ if name not in public]
        return set().union(*(secrets_in(getattr(memory, name)) for name in named))
    if isinstance(memory, dict):
        return set().union(*map(secrets_in, memory.values()))
    if isinstance(memory, tuple | list):
        return set().union(*map(secrets_in, memory))
    return set()


SCHEMES = {
    "bonawitz": lambda: secagg.Bonawitz(5, 4),
    "bonawitz active": lambda: secagg.Bonawitz(5, 4, adversary="active"),
    "secagg-plus": lambda: secagg.SecAggPlus(5, 4, neighbours=4, threshold=3, corrupt_rate=0.0, dropout_rate=0.0),
    "lightsecagg": lambda: secagg.LightSecAgg(5, 4),
    "threshold-ckks": lambda: secagg.ThresholdCkks(5, 4),
}


def simulated(scheme, folder: Path, failing: bool = False) -> tuple[set[str], dict[str, str]]:
    """Run a round with logs; return what any participant's memory ever held, and the logs' text by name."""
    held: set[str] = set()

    def looked_at(client, envelopes):
        held.update(secrets_in(client._memory))
        return envelopes

    simulation = secagg.Simulation(
        scheme,
        [np.arange(4) + own for own in range(5)],
        drop=dict.fromkeys((1, 2, 3) if failing else (2,), scheme.upload_step),
        misbehave=dict.fromkeys(range(1, 6), looked_at),
    )
    trails = audit.SimulatedTrails(folder, 5)
    if failing:
        with pytest.raises(secagg.RoundFailed):
            simulation.run()
    else:
        simulation.run()
    trails.write(simulation, Stamp(now=NOW))
    return held, {path.name: path.read_text() for path in folder.glob("*.jsonl")}


@pytest.mark.parametrize("failing", [False, True])
@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_nothing_that_a_machine_remembers_is_in_any_log(scheme, failing, tmp_path):
    held, texts = simulated(scheme(), tmp_path / "logs", failing)
    assert len(held) > 20
    assert len(texts) == 6
    assert not [name for name, text in texts.items() for secret in held if secret in text]


@pytest.mark.parametrize("place", ["failure", "refusals"])
def test_a_secret_that_slipped_into_a_log_would_be_found(tmp_path, monkeypatch, place):
    """The same test, of a record that says too much: of what its machine holds when it gives its vector."""
    telling: list[str] = []
    seen_by = audit.Seen.by_participant

    def tells(client, **more):
        return replace(seen_by(client, **more), **{place: telling[0] if place == "failure" else (telling[0],)})

    monkeypatch.setattr(audit.Seen, "by_participant", tells)
    awaits = secagg.Client.awaits_vector.fget

    def remembered(client):
        telling.extend(secrets_in(client._memory))
        return awaits(client)

    monkeypatch.setattr(secagg.Client, "awaits_vector", property(remembered))
    held, texts = simulated(SCHEMES["bonawitz"](), tmp_path / "logs")
    assert [name for name, text in texts.items() for secret in held if secret in text]


def test_two_jobs_of_one_site_write_into_one_log(tmp_path):
    """Runtimes have a process for each: neither must refuse its round because the other one writes."""
    identity = Identity.generate("site")
    scheme = secagg.Bonawitz(participants=4, length=3)

    def refused(job):
        trail = SiteTrail(tmp_path / "log", identity)
        for number in range(20):
            context = secagg.RoundContext(job, number, bytes(31) + b"x")
            trail.note_refused(Proposal.of(scheme, context), 1, f"reason {number}", Stamp(now=NOW))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(refused, ("one", "another")))
    assert len(list(audit.verify(tmp_path / "log", identity.public_key))) == 40
