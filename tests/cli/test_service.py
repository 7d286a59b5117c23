"""`secagg serve` and `secagg join`: what they refuse before anything is listened on or called."""

import io
import json
import os
import sys

import pytest

from secagg import Identity, Roster
from secagg.cli.join import _person
from secagg_protocols.core import storage

pytest.importorskip("starlette")


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The folder of one site: its identity, roster, table and policy."""
    monkeypatch.chdir(tmp_path)
    identities = [Identity.generate(name) for name in ("server", "north", "south", "east")]
    for identity in identities:
        identity.save(f"{identity.name}.json")
    Roster.of("x25519", [one.public(number) for number, one in enumerate(identities)]).save("roster.json")
    (tmp_path / "lung.csv").write_text("age\n50\n")
    policy(tmp_path)
    return tmp_path


def policy(folder, **changed):
    keys = {"secagg-store": "store", "secagg-stats-ledger": "ledger.jsonl"} | changed
    (folder / "policy.json").write_text(json.dumps({name: value for name, value in keys.items() if value is not None}))


SITE = ("--identity", "north.json", "--roster", "roster.json", "--data", "lung.csv", "--policy", "policy.json")
SERVER = ("--query", "query.json", "--roster", "roster.json", "--identity", "server.json", "--state", "state")


def test_a_policy_that_would_be_read_otherwise_than_it_is_meant_is_refused(files, secagg_command):
    for changed, told in (
        ({"minimum-cohort": 5}, "'minimum-cohort' in policy.json (--policy) is no key: they begin with secagg-"),
        ({"secagg-minimum-cohorts": 5}, "secagg-minimum-cohorts in policy.json is unknown"),
        ({"secagg-roster": "roster.json"}, "secagg-roster in policy.json is --roster here: leave it out of the file"),
        ({"secagg-minimum-cohort": [5]}, "secagg-minimum-cohort in policy.json (--policy) is no text, number"),
        ({"secagg-stats-ledger": None}, "secagg-stats-ledger is missing in"),
        ({"secagg-store": None}, "needs secagg-store in"),
        (
            {"secagg-stats-columns": ""},
            "secagg-stats-columns in policy.json has an empty name: leave the key out",
        ),
        ({"secagg-stats-statistics": "count,"}, "secagg-stats-statistics in policy.json has an empty name"),
        ({"secagg-stats-ledger": "lung.csv"}, "lung.csv"),
    ):
        policy(files, **changed)
        ended = secagg_command("join", "https://127.0.0.1:9", *SITE)
        assert ended.code in (1, 2), changed
        assert told in ended.stderr


def test_a_site_that_no_round_could_have_is_refused_before_it_calls(files, secagg_command):
    (files / "two.csv").write_bytes(b"age\n\xff\n")
    for told, at, value in (
        ("is no participant of the roster (--roster)", 1, "server.json"),
        ("none.csv (--data) is no file", 5, "none.csv"),
        ("'two.csv' is not UTF-8 text", 5, "two.csv"),
    ):
        arguments = [*SITE[:at], value, *SITE[at + 1 :]]
        ended = secagg_command("join", "https://127.0.0.1:9", *arguments)
        assert told in ended.stderr
    for url in ("127.0.0.1:9", "https://127.0.0.1:99999", "https://127.0.0.1:port"):
        assert "give https://HOST:PORT" in secagg_command("join", url, *SITE).stderr


CALLS = {"serve": (SERVER, "uvicorn"), "join": (("https://127.0.0.1:9", *SITE), "httpx")}


@pytest.mark.parametrize("command", sorted(CALLS))
def test_without_its_packages_the_extra_is_named(files, secagg_command, monkeypatch, command):
    words, package = CALLS[command]
    for module in ("listening", "serving", "web", "joining"):
        monkeypatch.delitem(sys.modules, f"secagg.service.{module}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    ended = secagg_command(command, *words)
    assert ended.code == 2
    assert f"{package} is not installed" in ended.stderr
    assert "'.[service]'" in ended.stderr


def test_noise_is_asked_for_by_its_epsilon(files, secagg_command):
    ended = secagg_command("serve", *SERVER, "--tolerated", "1")
    assert "--epsilon asks for" in ended.stderr


def test_where_nobody_can_be_asked_nothing_is_answered(files, secagg_command):
    assert "nobody sits at a terminal here" in secagg_command("join", "https://127.0.0.1:9", *SITE, "--ask").stderr


@pytest.mark.parametrize(("typed", "agreed"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_a_person_reads_what_is_asked_and_says_yes_or_no(monkeypatch, capsys, typed, agreed):
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert _person("the mean of age") is agreed
    assert "the mean of age" in capsys.readouterr().out


def test_a_coordinator_that_is_not_the_rosters_is_refused(files, secagg_command):
    from secagg.stats import Count, Query

    (files / "query.json").write_bytes(Query(columns={}, rows=10, minimum_cell=5, statistics=(Count(),)).to_json())
    arguments = [*SERVER[:5], "north.json", *SERVER[6:]]
    assert "is not the server of the roster (--roster)" in secagg_command("serve", *arguments).stderr
    storage.make_folder(files / "state")
    held = storage.open_locked(files / "state" / "lock")
    assert "state/lock is in use by another process: one at a time" in secagg_command("serve", *SERVER).stderr
    os.close(held)
    open_to_all = secagg_command("serve", *SERVER)
    assert "without --tls-cert and --tls-key only this machine may connect" in open_to_all.stderr
    assert "belong together" in secagg_command("serve", *SERVER, "--tls-cert", "a").stderr
    assert "none (--query) cannot be read" in secagg_command("serve", "--query", "none", *SERVER[2:]).stderr
    assert (
        "lightsecagg has no defence against a server"
        in secagg_command("serve", *SERVER, "--scheme", "lightsecagg").stderr
    )


def test_what_would_fail_once_the_sites_have_answered_is_refused_before(files, secagg_command):
    from secagg.stats import Count, Query

    asked = {"columns": {}, "rows": 10, "statistics": (Count(),)}
    (files / "query.json").write_bytes(Query(**asked).to_json())
    (files / "old.json").write_bytes(Query(**asked, expires="2020-01-01T00:00:00+00:00").to_json())
    (files / "file").write_text("")
    for told, *words in (
        ("none/result.json (--result) would be in a folder that is not there", *SERVER, "--result", "none/result.json"),
        ("old.json (--query) has expired", "--query", "old.json", *SERVER[2:6], "--state", "old"),
        ("policy.json (--query): this is no query", "--query", "policy.json", *SERVER[2:]),
        ("file (--state) cannot be used for a query (File exists)", *SERVER[:6], "--state", "file"),
        ("old is of another query, or other sites: give another folder (--state)", *SERVER[:6], "--state", "old"),
        ("plain", *SERVER, "--scheme", "plain"),
    ):
        ended = secagg_command("serve", *words)
        assert told in ended.stderr
        assert "colluders" not in ended.stderr
        assert len(ended.stderr.splitlines()) == 1
