"""The aggregator's account: what it has asked for is charged before it is sent, also by a server that is made again."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from secagg import Bonawitz, Identity, InputError, RoundContext
from secagg.chained import AuditError
from secagg.privacy.charges import ChargeLog, Stage
from secagg.privacy.ledger import Budget, BudgetLedger
from secagg.privacy.mechanism import Mechanism
from secagg.privacy.spending import Spending
from secagg.privacy.views import COLLUDING, VIEWS, Release, epsilons, worst
from secagg_he import BudgetSpent

dp_accounting = pytest.importorskip("dp_accounting")

NOW = datetime(2026, 11, 26, tzinfo=UTC)
SERVER = Identity.generate("server")
DELTA = 1e-3
BUDGET = Budget(8.0, DELTA)
MECHANISM = Mechanism(10, 40, 1.0, 2.0, 12, tolerated=2, colluders=1)
SCHEME = Bonawitz(10, 40, value_bits=12, colluders=1, noise=str(MECHANISM.noise))

BEST = Release(MECHANISM)
WORST = Release(MECHANISM, 2)


def context(number):
    return RoundContext("job", number, bytes([number]) * 32)


def account(path, budget=BUDGET, identity=SERVER):
    """An account as a server that is made again opens it."""
    return Spending(budget, None if path is None else ChargeLog(path, identity))


def asked(spending, number):
    spending.check(SCHEME, context(number), MECHANISM, NOW)
    spending.ask(SCHEME, context(number), MECHANISM, NOW)
    return spending


def records(path):
    return [json.loads(line)["record"] for line in path.read_text().splitlines()]


@pytest.fixture(params=["in memory", "on disk"])
def path(request, tmp_path):
    return tmp_path / "ledger" if request.param == "on disk" else None


def test_a_round_is_charged_with_what_was_really_there(path):
    spending = asked(account(path), 1)
    assert spending.epsilon[COLLUDING] == pytest.approx(epsilons([Release(MECHANISM, 2)], DELTA)[COLLUDING])
    spending.succeed(9)
    asked(spending, 2).succeed(10)
    there = epsilons([Release(MECHANISM, 1), Release(MECHANISM, 0)], DELTA)
    assert dict(spending.epsilon) == pytest.approx(there)
    assert str(spending).startswith("ε at δ=0.001 after 2 rounds: released model ")


def test_a_round_that_failed_stays_charged_if_a_vector_came_and_costs_nothing_if_none_did(path):
    spending = asked(account(path), 1)
    spending.fail(answered=False)
    assert set(spending.epsilon.values()) == {0.0}
    asked(spending, 2).fail(answered=True)
    assert spending.epsilon[COLLUDING] == pytest.approx(epsilons([Release(MECHANISM, 2)], DELTA)[COLLUDING])
    spending.fail(answered=False)  # of a round that was not asked for
    assert len(spending.charges) == 3


def test_a_server_made_again_counts_what_the_one_before_asked_for(tmp_path):
    path = tmp_path / "ledger"
    asked(account(path), 1).succeed(10)
    asked(account(path), 2)  # killed before its sum
    again = account(path)
    counted = epsilons([Release(MECHANISM), Release(MECHANISM, 2)], DELTA)
    assert again.epsilon[COLLUDING] == pytest.approx(counted[COLLUDING])
    asked(again, 3).fail(answered=False)
    assert dict(account(path).epsilon) == pytest.approx(dict(again.epsilon))
    assert [row["stage"] for row in records(path)] == ["asked", "summed", "asked", "asked", "empty"]


def test_killed_anywhere_in_a_write_a_round_that_was_asked_for_stays_charged(tmp_path):
    path = tmp_path / "ledger"
    asked(account(path), 1).succeed(10)
    asked(account(path), 2)
    data = path.read_bytes()
    written = {data.count(b"\n", 0, end): end for end in range(len(data) + 1)}
    spent = [epsilons(releases, DELTA)[COLLUDING] for releases in ([], [WORST], [BEST], [BEST, WORST])]
    for end in [*range(0, len(data), 101), *sorted(written.values())]:
        cut = tmp_path / f"cut at {end}"
        cut.write_bytes(data[:end])
        whole = data.count(b"\n", 0, end + 1)  # but for the end of its line, a record is there
        assert account(cut).epsilon[COLLUDING] == pytest.approx(spent[whole])


def test_the_budget_is_that_of_all_runs_together(tmp_path):
    path = tmp_path / "ledger"
    enough = Budget(epsilons([Release(MECHANISM, 2)] * 2, DELTA)[COLLUDING], DELTA)
    for number in (1, 2):
        asked(account(path, enough), number)
    with pytest.raises(BudgetSpent, match=r"after 2 rounds: .*one more round would go beyond ε=.* \(dp_epsilon\)"):
        asked(account(path, enough), 3)
    assert len(records(path)) == 2
    asked(account(path, Budget(2 * enough.epsilon, DELTA)), 3)  # whose budget it is may give more


def test_an_auditor_recomputes_epsilon_of_every_view_from_the_records_alone(tmp_path):
    path = tmp_path / "ledger"
    asked(account(path), 1).succeed(9)
    asked(account(path), 2).fail(answered=False)
    asked(account(path), 3)
    rows = records(path)
    kept = [row for row, after in zip(rows, [*rows[1:], None], strict=True) if not settled(row, after)]
    kept = [row for row in kept if row["stage"] != "empty"]
    assert [row["round"] for row in kept] == [1, 3]
    for view in VIEWS:
        multipliers = [row["multiplier"] if view == COLLUDING else row["others"][view] for row in kept]
        together = sum(multiplier**-2 for multiplier in multipliers) ** -0.5
        assert account(path).epsilon[view] == pytest.approx(dp_accounting.get_epsilon_gaussian(together, DELTA))
    assert rows[-1]["epsilon"] == account(path).epsilon[COLLUDING]


def settled(row, after):
    return after is not None and row["round"] == after["round"] and after["stage"] in ("summed", "empty")


def test_the_worst_case_is_the_worst_of_each_view():
    for view, multiplier in worst(MECHANISM).items():
        assert multiplier == min(Release(MECHANISM, dropouts).multipliers()[view] for dropouts in range(3))


def test_what_cannot_be_written_is_not_asked_for(tmp_path, monkeypatch):
    path = tmp_path / "ledger"
    spending = account(path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("secagg.chained.os.fsync", full)
    with pytest.raises(AuditError, match="No space left"):
        asked(spending, 1)
    assert spending.charges == []
    assert path.read_bytes() == b""


def test_an_edited_or_foreign_file_is_refused(tmp_path):
    path = tmp_path / "ledger"
    asked(account(path), 1)
    with pytest.raises(AuditError, match="not signed by this key"):
        account(path, identity=Identity.generate("another"))
    own = BudgetLedger(path, SERVER, BUDGET)
    with pytest.raises(InputError, match="an aggregator's ledger: give each party a file of its own"):
        own.epsilon()
    path.write_text(path.read_text().replace('"round":1', '"round":2'))
    with pytest.raises(AuditError, match="changed, or not signed"):
        account(path)


def test_a_participants_own_file_is_no_aggregators(tmp_path):
    charge = asked(account(None), 1).charges[0]
    ChargeLog(tmp_path / "ledger", SERVER).append(replace(charge, stage=Stage.ANSWERED))
    with pytest.raises(InputError, match="dp_ledger: this is a participant's own ledger"):
        account(tmp_path / "ledger")


def test_two_servers_do_not_count_in_one_file(tmp_path):
    path = tmp_path / "ledger"
    first, second = account(path), account(path)
    asked(first, 1)
    with pytest.raises(AuditError, match="somebody else writes to it too"):
        asked(second, 1)


def test_only_the_round_before_is_settled(tmp_path):
    path = tmp_path / "ledger"
    spending = asked(account(path), 1)
    log = ChargeLog(path, SERVER)
    log.append(replace(spending.charges[0], round=2, stage=Stage.EMPTY))
    assert account(path).epsilon[COLLUDING] > 0
