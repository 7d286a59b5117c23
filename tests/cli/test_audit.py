"""`secagg audit`: a log that holds together is shown; one that was touched is refused by its first bad line."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import secagg
from secagg.audit import AuditLog, describe, new_salt
from secagg_protocols import Identity, RoundContext

Command = Callable[..., Any]  # tests/cli/conftest.py


@pytest.fixture
def writer() -> Identity:
    return Identity.generate("aggregator")


@pytest.fixture
def log(tmp_path: Path, writer: Identity) -> Path:
    """Three rounds of five participants; participant 2 vanishes in each."""
    file = tmp_path / "audit.log"
    scheme = secagg.Bonawitz(participants=5, length=4)
    run = secagg.simulate(scheme, np.arange(20).reshape(5, 4), drop={2: "MaskedInput"})
    trail = AuditLog(file, writer)
    for number in (1, 2, 3):
        context = RoundContext("demo", number, bytes(32))
        trail.append(describe(scheme, context, run, now=datetime(2030, 1, number, tzinfo=UTC), salt=new_salt()))
    return file


def test_an_untouched_log_is_verified(secagg_command: Command, log: Path, writer: Identity) -> None:
    ended = secagg_command("audit", "verify", log, "--key", writer.public_key.hex(), "--json")
    assert ended.code == 0, ended.stderr
    assert ended.json()["records"] == 3


def test_show_prints_who_took_part(secagg_command: Command, log: Path, writer: Identity) -> None:
    ended = secagg_command("audit", "show", log, "--key", writer.public_key.hex(), "--json")
    records = ended.json()["records"]
    assert [record["round"] for record in records] == [1, 2, 3]
    assert records[0]["survivors"] == [1, 3, 4, 5]


def test_show_fits_80_columns_and_cuts_nothing_off(
    secagg_command: Command, log: Path, writer: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ended = secagg_command("audit", "show", log, "--key", writer.public_key.hex())
    title, *shown = ended.stdout.splitlines()
    assert title == str(log)
    assert max(map(len, shown)) <= 80
    assert "…" not in ended.stdout
    words = ended.stdout.split()
    assert words.count("bonawitz,") == words.count("semi-honest") == words.count("refused") + 2 == 3


def test_a_changed_log_is_refused(secagg_command: Command, log: Path, writer: Identity) -> None:
    log.write_text(log.read_text().replace('"round":2', '"round":9'))
    ended = secagg_command("audit", "verify", log, "--key", writer.public_key.hex(), "--json")
    assert ended.code == 1
    assert "line 2" in ended.json()["error"]
    assert len(ended.stderr.splitlines()) == 1


def test_a_log_whose_end_was_cut_off_does_not_hold_the_peers_head(
    secagg_command: Command, log: Path, writer: Identity
) -> None:
    key = writer.public_key.hex()
    head = secagg_command("audit", "verify", log, "--key", key, "--json").json()["head"]
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:2]))
    assert secagg_command("audit", "verify", log, "--key", key).code == 0
    ended = secagg_command("audit", "verify", log, "--key", key, "--head", head)
    assert ended.code == 1
    assert "removed" in ended.stderr


def test_a_missing_log_is_one_line(secagg_command: Command, tmp_path: Path, writer: Identity) -> None:
    ended = secagg_command("audit", "verify", tmp_path / "nowhere.log", "--key", writer.public_key.hex())
    assert ended.code == 1
    assert ended.stderr == f"secagg: {tmp_path / 'nowhere.log'}: No such file or directory\n"


# --- logs that a command wrote, one against the others

SIMULATED = ("simulate", "--clients", 6, "--length", 4, "--drop", 0.2, "--adversary", "active")


@pytest.fixture
def folder(secagg_command: Command, tmp_path: Path) -> Path:
    """The logs of one simulated round: server and six participants."""
    ended = secagg_command(*SIMULATED, "--audit", tmp_path / "logs")
    assert ended.code == 0, ended.stderr
    return tmp_path / "logs"


def against(secagg_command: Command, folder: Path, *more: object) -> Any:
    return secagg_command(
        "audit", "verify", folder / "server.jsonl", "--roster", folder / "roster.json", "--against", folder, *more
    )


def test_simulate_leaves_a_log_of_every_party_and_they_agree(secagg_command: Command, folder: Path) -> None:
    ended = against(secagg_command, folder, "--json")
    assert ended.code == 0, ended.stderr
    assert [Path(other["file"]).stem for other in ended.json()["against"]] == [
        f"participant-{own}" for own in range(1, 7)
    ]
    assert not list(folder.glob("*identity*"))  # nobody can add to them: the keys ended with the process


def test_a_changed_record_of_another_party_is_named(secagg_command: Command, folder: Path) -> None:
    log = next(path for path in folder.glob("participant-*") if '"contributed":true' in path.read_text())
    log.write_text(log.read_text().replace('"contributed":true', '"contributed":false'))
    ended = against(secagg_command, folder)
    assert ended.code == 1
    assert f"{log} line 1" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_log_that_lacks_a_round_is_named(secagg_command: Command, folder: Path) -> None:
    survivor = secagg_command(
        "audit", "show", folder / "server.jsonl", "--roster", folder / "roster.json", "--json"
    ).json()["records"][0]["survivors"][0]
    (folder / f"participant-{survivor}.jsonl").write_text("")
    ended = against(secagg_command, folder)
    assert ended.code == 1
    assert "round 1 of 'simulation', " in ended.stderr
    assert "participant-" in ended.stderr


def test_a_failed_round_is_recorded_by_everyone(secagg_command: Command, tmp_path: Path) -> None:
    ended = secagg_command("simulate", "--clients", 6, "--length", 4, "--drop", 0.9, "--audit", tmp_path / "logs")
    assert ended.code == 1
    shown = secagg_command(
        "audit", "show", tmp_path / "logs/server.jsonl", "--roster", tmp_path / "logs/roster.json", "--json"
    ).json()
    assert shown["records"][0]["failure"].startswith("round failed")
    assert against(secagg_command, tmp_path / "logs").code == 0


@pytest.mark.parametrize("place", ["used", "nowhere/logs", "file"])
def test_a_folder_that_cannot_take_the_logs_is_refused_before_the_round(
    secagg_command: Command, tmp_path: Path, place: str
) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used/server.jsonl").write_text("of another run")
    (tmp_path / "file").write_text("x")
    ended = secagg_command(*SIMULATED, "--audit", tmp_path / place, "--json")
    assert ended.code == 1
    assert "give a new folder" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert "survivors" not in ended.stdout


def test_without_a_key_or_a_roster_nothing_is_verified(secagg_command: Command, folder: Path) -> None:
    assert secagg_command("audit", "verify", folder / "server.jsonl").code == 2


def test_a_log_of_none_of_the_keys_is_refused(secagg_command: Command, folder: Path, log: Path) -> None:
    ended = secagg_command("audit", "verify", log, "--roster", folder / "roster.json")
    assert ended.code == 1
    assert "signed by none of the 7 keys" in ended.stderr


def test_a_folder_without_logs_is_one_line(secagg_command: Command, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ended = secagg_command(
        "audit", "verify", folder / "server.jsonl", "--roster", folder / "roster.json", "--against", tmp_path / "empty"
    )
    assert ended.code == 1
    assert "holds no *.jsonl" in ended.stderr


def test_a_log_under_another_ones_name_is_said_to_be_whose_it_is(secagg_command: Command, folder: Path) -> None:
    """What a file is called is nobody's statement; who signed it is."""
    one, other, aside = (folder / f"{name}.jsonl" for name in ("server", "participant-1", "aside"))
    one.rename(aside)
    other.rename(one)
    aside.rename(other)
    shown = secagg_command("audit", "verify", other, "--roster", folder / "roster.json")
    assert "each signed by party 0 of the roster" in shown.stdout
    shown = secagg_command("audit", "verify", one, "--roster", folder / "roster.json")
    assert "each signed by party 1 of the roster" in shown.stdout


def test_a_first_record_that_was_cut_is_said_to_be_cut_whoever_may_have_signed(
    secagg_command: Command, log: Path, writer: Identity
) -> None:
    log.write_text("".join(log.read_text().splitlines(keepends=True)[1:]))
    keys = (Identity.generate("somebody else").public_key.hex(), writer.public_key.hex())
    ended = secagg_command("audit", "verify", log, "--key", keys[0], "--key", keys[1])
    assert ended.code == 1
    assert f"{log} line 1 (round 2): a record before it was removed" in ended.stderr
