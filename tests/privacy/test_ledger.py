"""A participant's own budget: what is on disk is what was given away, whatever happens in between."""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest

from secagg import (
    Bonawitz,
    Identity,
    InputError,
    LightSecAgg,
    MemoryLedger,
    ParameterError,
    RepeatedContext,
    RoundContext,
)
from secagg.chained import AuditError
from secagg.codec import Layout
from secagg.privacy.charges import VERSION, Charge, ChargeLog
from secagg.privacy.ledger import Budget, BudgetLedger
from secagg.privacy.mechanism import Mechanism
from secagg.privacy.plan import Wanted, plan
from secagg.privacy.proposed import Cost, Proposed
from secagg.privacy.views import COLLUDING, Release
from secagg_he import BudgetSpent

dp_accounting = pytest.importorskip("dp_accounting")

NOW = datetime(2026, 11, 26, tzinfo=UTC)
OWN = Identity.generate("one")
PLENTY = Budget(1000.0, 1e-5)
LENGTH = 40
LAYOUT = Layout(("w",), ((LENGTH,),), ("float32",))


def proposed(mechanism, **more):
    scheme = Bonawitz(
        mechanism.participants, LENGTH, value_bits=mechanism.value_bits, noise=str(mechanism.noise), **more
    )
    return scheme, mechanism.codec(LAYOUT).terms


def cost(multiplier=4.0, sampling_rate=1.0):
    scheme, terms = proposed(Mechanism(10, LENGTH, 1.0, multiplier, 12, tolerated=2))
    return Cost.of(scheme, Proposed.of(scheme, terms), sampling_rate)


def context(number, digest=None):
    return RoundContext("job", number, bytes([number if digest is None else digest]) * 32)


def book(path, budget=PLENTY, **named):
    return BudgetLedger(path, named.pop("identity", OWN), budget, **named)


def records(path):
    return [json.loads(line)["record"] for line in path.read_text().splitlines()]


def recomputed(rows, delta, grid=1e-4):
    """ε of a ledger's records, by dp-accounting alone and from nothing else."""
    lots = {}
    for row in rows:
        lots.setdefault((row["job"], row["context_digest"]), []).append(row)
    accountant = dp_accounting.pld.PLDAccountant(value_discretization_interval=grid)
    for lot in lots.values():
        event = dp_accounting.GaussianDpEvent(1 / math.sqrt(sum(row["multiplier"] ** -2 for row in lot)))
        if lot[0]["sampling_rate"] < 1:
            event = dp_accounting.PoissonSampledDpEvent(lot[0]["sampling_rate"], event)
        accountant.compose(event)
    return accountant.get_epsilon(delta) + sum(row["epsilon_charged"] for row in rows)


@pytest.mark.parametrize("colluders", [0, 1])
def test_a_participant_reads_of_a_proposal_what_the_plan_promises(colluders):
    found = plan(Wanted(8.0, 1e-3, 3, 10, LENGTH, tolerated=2, colluders=colluders)).mechanism
    seen = Proposed.of(*proposed(found, colluders=colluders))
    assert seen.least == pytest.approx(min(Release(found, d).multipliers()[COLLUDING] for d in range(3)), rel=1e-6)
    assert seen.sensitivity == pytest.approx(found.sensitivity)


def test_who_fears_more_colluders_than_the_scheme_counts_less_noise():
    scheme, terms = proposed(Mechanism(10, LENGTH, 1.0, 4.0, 12, tolerated=2))
    assert Proposed.of(scheme, terms, 2).least == pytest.approx(
        Proposed.of(scheme, terms).least * math.sqrt(6 / 8), rel=0.01
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"offset": 1501},  # values of the full clip would have no rounding noise on one side
        {"clip": 1e-200, "scale": 1e-200},
        {"clip": 0.0},
        {"scale": math.inf},
        {"value_bits": 40},
    ],
)
def test_a_codec_that_takes_the_noise_away_again_is_refused(changed):
    scheme, terms = proposed(Mechanism(10, LENGTH, 1.0, 0.1, 12, tolerated=2))
    assert Proposed.of(scheme, terms).least == pytest.approx(0.1, rel=0.01)
    with pytest.raises(ParameterError):
        Proposed.of(scheme, msgspec.structs.replace(terms, **changed))


@pytest.mark.parametrize("participants", [3, 10, 100])
@pytest.mark.parametrize("value_bits", [9, 12])
def test_what_a_plan_sends_is_accepted(participants, value_bits):
    mechanism = Mechanism(participants, LENGTH, 1.0, 0.6, value_bits, tolerated=1, layered=False)
    scheme = LightSecAgg(participants, LENGTH, value_bits=value_bits, noise=str(mechanism.noise))
    assert Proposed.of(scheme, mechanism.codec(LAYOUT).terms).said_noise == mechanism.noise


@pytest.mark.parametrize("sampling_rate", [1.0, 0.05])
def test_an_auditor_recomputes_epsilon_from_the_records_alone(tmp_path, sampling_rate):
    path = tmp_path / "ledger"
    answers = MemoryLedger()
    for number, digest, multiplier in ((1, 1, 4.0), (2, 2, 4.0), (3, 2, 6.0), (4, 4, 4.0)):  # the third is a rerun
        charging = book(path).charging(cost(multiplier, sampling_rate), answers, NOW)
        charging.claim(context(number, digest), 1, bytes([number]) * 32)
    rows = records(path)
    assert [row["releases"] for row in rows] == [1, 1, 2, 1]
    assert {row["delta"] for row in rows} == {1e-5}
    for count in range(1, 5):
        assert rows[count - 1]["epsilon"] == pytest.approx(recomputed(rows[:count], 1e-5), rel=2e-3)
    assert book(path).epsilon() == rows[-1]["epsilon"]


def test_two_answers_with_one_lot_are_one_event_and_not_two(tmp_path):
    path = tmp_path / "ledger"
    answers = MemoryLedger()
    once = replace(cost(1.0, 0.05), multiplier=1.0)
    for number in (1, 2):
        book(path).charging(once, answers, NOW).claim(context(number, 1), 1, bytes([number]) * 32)
    assert records(path)[-1]["epsilon"] == pytest.approx(2.59, abs=0.005)  # 1.18, were the lots independent


def test_a_budget_is_refused_before_it_is_exceeded_and_nothing_is_recorded(tmp_path):
    path = tmp_path / "ledger"
    answers = MemoryLedger()
    book(path).charging(cost(), answers, NOW).claim(context(1), 0, b"1" * 32)
    enough = Budget(records(path)[0]["epsilon"] * 1.2, 1e-5)
    charging = book(path, enough).charging(cost(), answers, NOW)
    before = path.read_bytes()
    with pytest.raises(BudgetSpent, match=r"round 2 of job 'job' would bring ε to .* above this site's budget"):
        charging.check(context(2))
    with pytest.raises(BudgetSpent):
        charging.claim(context(2), 0, b"2" * 32)
    assert path.read_bytes() == before
    answers.claim(context(2), 0, b"2" * 32)  # it was not claimed either


def test_questions_that_are_refused_cost_nothing(tmp_path):
    path = tmp_path / "ledger"
    charging = book(path).charging(cost(), MemoryLedger(), NOW)
    charging.claim(context(1), 0, b"1" * 32)
    with pytest.raises(RepeatedContext):
        charging.claim(context(1), 0, b"2" * 32)
    assert len(records(path)) == 1


def test_killed_anywhere_in_a_write_the_answers_before_it_stay_charged(tmp_path):
    """An answer leaves after its claim has returned: so a charge that is cut short was for one that did not leave."""
    whole = tmp_path / "whole"
    answers = MemoryLedger()
    for number in (1, 2):
        book(whole).charging(cost(), answers, NOW).claim(context(number), 0, bytes([number]) * 32)
    data = whole.read_bytes()
    first = data.index(b"\n") + 1
    for end in [*range(first, len(data), 37), len(data) - 1, len(data)]:
        path = tmp_path / f"cut at {end}"
        path.write_bytes(data[:end])
        log = ChargeLog(path, OWN)
        assert [charge.round for charge in log.charges] == ([1, 2] if end >= len(data) - 1 else [1])
        assert book(path).epsilon() == records(path)[-1]["epsilon"]


class Dies(MemoryLedger):
    """A store whose process dies once it has claimed."""

    def claim(self, context, reruns, session):
        super().claim(context, reruns, session)
        raise KeyboardInterrupt


def test_killed_between_the_claim_and_the_charge_nothing_is_given_and_nothing_can_be(tmp_path):
    answers = Dies()
    charging = book(tmp_path / "ledger").charging(cost(), answers, NOW)
    with pytest.raises(KeyboardInterrupt):
        charging.claim(context(1), 0, b"1" * 32)
    assert book(tmp_path / "ledger").epsilon() == 0
    with pytest.raises(RepeatedContext):
        charging.claim(context(1), 0, b"1" * 32)


def test_a_charge_that_cannot_be_written_stops_the_answer(tmp_path, monkeypatch):
    charging = book(tmp_path / "ledger").charging(cost(), MemoryLedger(), NOW)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("secagg.chained.os.fsync", full)
    with pytest.raises(AuditError, match="No space left"):
        charging.claim(context(1), 0, b"1" * 32)


@pytest.mark.parametrize("name", ["multiplier", "round", "delta_charged", "noise"])
def test_an_edited_file_is_refused(tmp_path, name):
    path = tmp_path / "ledger"
    book(path).charging(cost(), MemoryLedger(), NOW).claim(context(1), 0, b"1" * 32)
    value = records(path)[0][name]
    edited = json.dumps({name: value})[1:-1].replace(": ", ":")
    changed = json.dumps({name: "other" if isinstance(value, str) else value + 1})[1:-1].replace(": ", ":")
    assert edited in path.read_text()
    path.write_text(path.read_text().replace(edited, changed))
    with pytest.raises(AuditError, match=r"line 1 .*changed, or not signed by this key"):
        book(path).epsilon()


def test_a_foreign_file_is_refused(tmp_path):
    path = tmp_path / "ledger"
    book(path).charging(cost(), MemoryLedger(), NOW).claim(context(1), 0, b"1" * 32)
    with pytest.raises(AuditError, match="not signed by this key"):
        book(path, identity=Identity.generate("two")).epsilon()
    with pytest.raises(InputError, match="give each unit a file of its own"):
        book(path, unit="row").epsilon()
    with pytest.raises(InputError, match="ledger of job 'job', not of 'other'"):
        book(path, job="other").epsilon()
    assert book(path, job="job").epsilon() == book(path).epsilon() > 0


def test_what_a_newer_version_wrote_is_refused_and_stays(tmp_path):
    path = tmp_path / "ledger"
    book(path).charging(cost(), MemoryLedger(), NOW).claim(context(1), 0, b"1" * 32)
    log = ChargeLog(path, OWN)
    log.append(Charge(**{**records(path)[0], "version": VERSION + 1}))
    before = path.read_bytes()
    with pytest.raises(InputError, match="written by a newer version of secagg"):
        book(path).epsilon()
    assert path.read_bytes() == before


def test_an_audit_log_is_no_ledger(tmp_path):
    from secagg.round.audit import AuditLog

    path = tmp_path / "ledger"
    AuditLog(path, OWN).append(Charge(**_charge()))
    with pytest.raises(AuditError, match="changed, or not signed"):
        book(path).epsilon()


def _charge():
    texts = dict.fromkeys(("time", "unit", "job", "context_digest", "session", "noise", "scheme", "scheme_id"), "")
    numbers = ("multiplier", "sampling_rate", "epsilon_charged", "delta_charged", "epsilon", "delta")
    return {**texts, "round": 1, "releases": 1, **dict.fromkeys(numbers, 1.0)}


@pytest.mark.parametrize(("epsilon", "delta"), [(0.0, 1e-5), (math.inf, 1e-5), (1.0, 0.0), (1.0, 0.4)])
def test_a_budget_that_promises_nothing_is_refused(epsilon, delta):
    with pytest.raises(ParameterError, match="of a budget is not"):
        Budget(epsilon, delta)


def test_a_lot_has_one_sampling_rate(tmp_path):
    path = tmp_path / "ledger"
    answers = MemoryLedger()
    book(path).charging(cost(), answers, NOW).claim(context(1), 1, b"1" * 32)
    with pytest.raises(ParameterError, match="answer with the same lot"):
        book(path).charging(cost(sampling_rate=0.5), answers, NOW).claim(context(2, 1), 1, b"2" * 32)
