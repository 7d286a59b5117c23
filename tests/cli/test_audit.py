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
