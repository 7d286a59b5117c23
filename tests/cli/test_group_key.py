"""`secagg group-key`: made once, shown without secrets, delivered sealed; every error is one line."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from secagg_he import Bfv, Ckks, GroupKey, GroupKeyHandle
from secagg_protocols.core.identity import Identity, Roster

Command = Callable[..., Any]  # tests/cli/conftest.py

SHAPE = ("--participants", 8, "--length", 1000)


@pytest.fixture
def key(secagg_command: Command, tmp_path: Path) -> Path:
    """A key file, with its handle beside it."""
    file = tmp_path / "group.key"
    assert secagg_command("group-key", "new", "-o", file, *SHAPE).code == 0
    return file


def test_a_key_and_its_handle_serve_any_smaller_cohort(key: Path) -> None:
    held, handle = GroupKey.load(key), GroupKeyHandle.load(key.with_name("group.key.handle"))
    assert held.handle == handle
    for participants, length in ((8, 1000), (3, 7)):
        assert Bfv(participants, length, max_participants=8, max_length=1000).need == held.need
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in key.parent.glob("group.key*"))


def test_everything_that_a_scheme_may_ask_for_can_be_said(secagg_command: Command, tmp_path: Path) -> None:
    file, handle = tmp_path / "a", tmp_path / "b"
    said = ("--scheme", "ckks", "--bits", 20, "--releases", 7, "--flooding-bits", 40, "--raw-precision", 9)
    found = secagg_command("group-key", "new", "-o", file, "--handle", handle, *SHAPE, *said, "--json").json()
    scheme = Ckks(8, 1000, value_bits=20, releases=7, flooding_bits=40, raw_precision=9)
    assert GroupKeyHandle.load(handle).need == GroupKey.load(file).need == scheme.need
    assert found["kind"] == "key"
    assert found["handle"] == str(handle)
    assert (found["scheme"], found["max_participants"], found["max_length"]) == ("ckks", 8, 1000)
    kept = secagg_command("group-key", "new", "-o", tmp_path / "c", *SHAPE, "--release-to", "participants", "--json")
    assert kept.json()["release_to"] == "participants"
    assert GroupKey.load(tmp_path / "c").need == Bfv(8, 1000, release_to="participants").need


def test_what_is_shown_is_no_secret_and_counts_what_was_released(secagg_command: Command, key: Path) -> None:
    held = GroupKey.load(key)
    held.releases.claim(held.key_id, held.budget, bytes(32), bytes(32))
    for file in (key, key.with_name("group.key.handle")):
        shown = secagg_command("group-key", "show", file, "--json")
        found = shown.json()
        assert found["key_id"] == held.key_id.hex()
        assert found["kind"] == ("key" if file == key else "handle")
        assert found["released"] == (1 if file == key else None)
        assert "up to 8 participants, up to 1000 values of 16 bits" in " ".join(shown.stderr.split())
        for secret in (held.secret, held.flooding_key, held.wire_key):
            assert secret.hex() not in shown.stdout + shown.stderr


@pytest.mark.parametrize("signed", [False, True], ids=["plain", "roster"])
def test_a_key_reaches_another_site_sealed(secagg_command: Command, key: Path, tmp_path: Path, signed: bool) -> None:
    south, north = (["--participant", str(number)] for number in (2, 1))
    if signed:
        parties = [Identity.generate(f"party {number}", "p256") for number in range(3)]
        Roster.of("p256", [own.public(number) for number, own in enumerate(parties)]).save(tmp_path / "roster")
        for number, (who, own) in enumerate(((north, parties[1]), (south, parties[2])), start=1):
            own.save(tmp_path / f"identity-{number}")
            who += ["--identity", str(tmp_path / f"identity-{number}"), "--roster", str(tmp_path / "roster")]
    asked, sealed, held = (tmp_path / name for name in ("asked", "sealed", "south.key"))
    assert secagg_command("group-key", "request", "-o", asked, *south).code == 0
    assert secagg_command("group-key", "seal", key, asked, "-o", sealed, *north).code == 0
    assert GroupKey.load(key).secret.hex() not in sealed.read_text()
    assert secagg_command("group-key", "open", sealed, asked, "-o", held, *south).code == 0
    assert GroupKey.load(held) == GroupKey.load(key)
    assert not tmp_path.joinpath("asked.secret").exists()
    again = secagg_command("group-key", "open", sealed, asked, "-o", tmp_path / "again", *south)
    assert again.code == 1
    assert "asked.secret cannot be read" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("new", "-o", "group.key", *SHAPE), 1, "never overwritten"),
        (("new", "-o", "k", "--participants", 70_000, "--length", 5), 2, "--participants 70000"),
        (("new", "-o", "k", *SHAPE, "--bits", 62), 2, "lower value_bits"),
        (("new", "-o", "k", *SHAPE, "--raw-precision", 5), 2, "sums of bfv are exact"),
        (("new", "-o", "k", *SHAPE, "--release-to", "participants", "--releases", 5), 2, "leave releases out"),
        (("new", "-o", "nowhere/k", *SHAPE), 1, "nowhere/k.handle cannot be written"),
        (("new", "-o", "k", *SHAPE, "--handle", "k"), 2, "k is to be the key's own file"),
        (("request", "-o", "k", "--participant", 2**32), 2, "4294967296"),
        (("show", "absent"), 1, "absent cannot be read"),
        (("show", "nonsense"), 1, "nonsense: not a group key"),
        (("seal", "group.key", "nonsense", "-o", "k", "--participant", 1), 1, "it is not hexadecimal"),
        (("seal", "group.key", "absent", "-o", "k", "--participant", 1), 1, "absent"),
        (("request", "-o", "group.key", "--participant", 1), 1, "never overwritten"),
    ],
    ids=lambda value: " ".join(map(str, value[:3])) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_done_is_one_line(
    secagg_command: Command,
    key: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[Any, ...],
    code: int,
    word: str,
) -> None:
    monkeypatch.chdir(key.parent)
    Path("nonsense").write_text("nonsense\n")
    Path("nonsense").chmod(0o600)
    before = sorted(file.name for file in key.parent.iterdir())
    ended = secagg_command("group-key", *arguments)
    assert ended.code == code
    assert word in " ".join(ended.stderr.split()).replace("│ ", "")
    assert code == 2 or len(ended.stderr.strip().splitlines()) == 1
    assert "Traceback" not in ended.stderr
    assert [file for file in before if not key.with_name(file).exists()] == []
    assert not key.with_name("k").exists()


def test_a_key_that_cannot_be_written_leaves_no_handle(
    secagg_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would stand in the way of the next try."""
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    ended = secagg_command("group-key", "new", "-o", tmp_path / "k", *SHAPE)
    assert ended.code == 1
    assert "set XDG_STATE_HOME" in ended.stderr
    assert list(tmp_path.glob("k*")) == []


def test_a_file_that_others_may_read_is_refused_on_the_command_line(secagg_command: Command, key: Path) -> None:
    key.chmod(0o644)
    ended = secagg_command("group-key", "show", key)
    assert ended.code == 1
    assert ended.stderr.strip().endswith("chmod 600 it, and rotate the key if anyone has")
    assert len(ended.stderr.strip().splitlines()) == 1


def test_simulate_compares_the_sum_that_participants_keep(secagg_command: Command) -> None:
    pytest.importorskip("tenseal")
    for name in ("bfv", "ckks"):
        found = secagg_command(
            "simulate", "--scheme", name, "--length", 500, "--drop", 0.2, "--release-to", "participants", "--json"
        ).json()
        assert found["exact"]
        assert found["max_abs_error"] == 0
        assert found["survivors"] == 8
    refused = secagg_command("simulate", "--release-to", "participants")
    assert refused.code == 2
    assert "bonawitz has no --release-to" in refused.stderr
