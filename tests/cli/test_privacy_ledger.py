"""`secagg privacy ledger`: what is spent is shown as it follows from the records, and no file that was touched."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from secagg import Bonawitz, Identity, RoundContext
from secagg.privacy.charges import ChargeLog
from secagg.privacy.ledger import Budget
from secagg.privacy.mechanism import Mechanism
from secagg.privacy.spending import Spending
from secagg.privacy.views import VIEWS

dp_accounting = pytest.importorskip("dp_accounting")

Command = Callable[..., Any]  # tests/cli/conftest.py

WRITER = Identity.generate("server")
KEY = WRITER.public_key.hex()


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """An aggregator's, after two rounds of which the first has given a sum."""
    path = tmp_path / "ledger"
    mechanism = Mechanism(5, 10, 1.0, 2.0, 12, tolerated=1)
    scheme = Bonawitz(5, 10, value_bits=12, noise=str(mechanism.noise))
    spending = Spending(Budget(8.0, 1e-3), ChargeLog(path, WRITER))
    for number in (1, 2):
        context = RoundContext("demo", number, bytes([number]) * 32)
        spending.ask(scheme, context, mechanism, datetime(2030, 1, number, tzinfo=UTC))
        if number == 1:
            spending.succeed(5)
    return path


def test_epsilon_follows_from_the_records(secagg_command: Command, ledger: Path) -> None:
    ended = secagg_command("privacy", "ledger", ledger, "--key", KEY, "--json")
    assert ended.code == 0, ended.stderr
    said = ended.json()
    assert [record["stage"] for record in said["records"]] == ["asked", "summed", "asked"]
    assert (said["counted"], said["unit"], said["delta"]) == (2, "institution", 1e-3)
    _, first, second = said["records"]
    together = (first["multiplier"] ** -2 + second["multiplier"] ** -2) ** -0.5
    assert said["epsilon"]["server with colluders"] == pytest.approx(
        dp_accounting.get_epsilon_gaussian(together, 1e-3), rel=1e-6
    )
    assert list(said["epsilon"]) == list(VIEWS)
    shown = secagg_command("privacy", "ledger", ledger, "--key", KEY, "--head", said["head"])
    assert "3 records, each signed by this key, none changed, moved or missing" in shown.stderr + shown.stdout


def test_a_file_that_was_touched_is_refused(secagg_command: Command, ledger: Path) -> None:
    head = secagg_command("privacy", "ledger", ledger, "--key", KEY, "--json").json()["head"]
    *kept, _ = ledger.read_text().splitlines()
    ledger.write_text("\n".join(kept) + "\n")
    ended = secagg_command("privacy", "ledger", ledger, "--key", KEY, "--head", head)
    assert (ended.code, "holds no record" in ended.stderr) == (1, True)
    ledger.write_text(ledger.read_text().replace('"job":"demo"', '"job":"other"'))
    ended = secagg_command("privacy", "ledger", ledger, "--key", KEY)
    assert (ended.code, "line 1 (round 1): changed, or not signed by this key" in ended.stderr) == (1, True)


def test_a_record_that_says_less_than_was_spent_is_named(secagg_command: Command, ledger: Path) -> None:
    log = ChargeLog(ledger, WRITER)
    log.append(replace(log.charges[-1], round=3, epsilon=0.5))
    ended = secagg_command("privacy", "ledger", ledger, "--key", KEY)
    assert (ended.code, "line 4: it says ε=0.5 at δ=0.001, and its records come to" in ended.stderr) == (
        1,
        True,
    )


def test_an_empty_file_is_no_ledger(secagg_command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    ended = secagg_command("privacy", "ledger", tmp_path / "empty", "--key", KEY)
    assert (ended.code, "holds no record" in ended.stderr) == (1, True)
