"""A site's own floor on noise and its own budget: kept by the site, whatever an aggregator plans."""

import json
import math

import pytest

from secagg.privacy.mechanism import Mechanism
from secagg.privacy.proposed import Proposed
from secagg.privacy.views import COLLUDING, FELLOW
from secagg.round import Answers, SitePolicy
from secagg.round.updates import layout_of
from secagg_protocols import Identity, ParameterError

dp_accounting = pytest.importorskip("dp_accounting")

EVERYONE = [1, 2, 3, 4, 5]


def refused(said):
    return Answers.from_bytes(said, len(said)).refusal


class Killed(BaseException):
    """The process is gone: nothing of ours may catch it."""


@pytest.fixture
def noisy(federation, sample):
    """A function (config of every site, **knobs) → Federation whose rounds have noise, and their mechanism."""

    def make(config=None, **knobs):
        layout = layout_of(sample())
        mechanism = Mechanism(5, layout.size, 1.0, 4.0, 12, tolerated=1)
        named = {"codec": mechanism.codec(layout).terms, "noise": str(mechanism.noise), **knobs}
        return federation(config=config, **named), mechanism

    return make


def budget(parties, name="site-1", epsilon=1000.0):
    """Give one site a budget of its own; return its ledger's file."""
    identity = parties.folder / f"{name}.identity"
    Identity.generate(name).save(identity)
    path = parties.folder / f"{name}.privacy"
    keys = {"identity": str(identity), "dp-ledger": str(path), "dp-epsilon": epsilon, "dp-delta": 1e-3}
    parties.config[name] = parties.config[name] | {f"secagg-{key}": value for key, value in keys.items()}
    return path


def records(path):
    return [json.loads(line)["record"] for line in path.read_text().splitlines()]


def survivors(rnd):
    return list(rnd.output.survivors) if rnd.output else []


@pytest.mark.parametrize(("share", "joins"), [(0.99, True), (1.01, False)])
def test_a_site_joins_a_sum_with_its_own_least_noise_and_no_other(noisy, share, joins):
    parties, _ = noisy()
    floor = share * Proposed.of(parties.scheme, parties.settings.codec).least
    assert floor == pytest.approx(share * 4.0, rel=0.01)
    parties.config["site-1"]["secagg-dp-minimum-multiplier"] = floor
    rnd = parties.run(parties.round())
    assert survivors(rnd) == (EVERYONE if joins else EVERYONE[1:])
    assert joins or f"this site asks for {floor:g} (secagg-dp-minimum-multiplier)" in str(rnd.refused[0])


def test_a_site_that_fears_a_colluder_does_not_count_its_noise(noisy):
    parties, _ = noisy()
    least = Proposed.of(parties.scheme, parties.settings.codec, 1).least
    parties.config["site-1"] |= {"secagg-dp-minimum-multiplier": least * 1.01, "secagg-colluders": 1}
    assert "against the server and 1 colluders after 1 dropouts" in str(parties.run(parties.round()).refused[0])


@pytest.mark.parametrize("kept", ["floor", "budget"])
def test_a_round_without_noise_is_refused(federation, kept):
    parties = federation()
    if kept == "floor":
        parties.config["site-1"]["secagg-dp-minimum-multiplier"] = 0.1
    else:
        budget(parties)
    rnd = parties.run(parties.round())
    assert survivors(rnd) == EVERYONE[1:]
    assert "no noise under its sum" in str(rnd.refused[0])


def test_a_site_answers_until_its_budget_is_spent_and_is_missing_from_then_on(noisy, sample):
    parties, _ = noisy()
    first = budget(parties)
    parties.run(parties.round(parties.proposal(1)))
    one = records(first)[0]["epsilon"]
    parties, _ = noisy()
    path = budget(parties, epsilon=one * 1.6)
    seen = []
    for number in (1, 2, 3):
        rnd = parties.run(parties.round(parties.proposal(number, sample(number))), sample(number))
        seen.append(survivors(rnd))
    assert seen == [EVERYONE, EVERYONE, EVERYONE[1:]]
    assert "BudgetSpent: round 3 of job 'job' would bring ε to" in str(rnd.refused[0])
    assert rnd.dropped[1].step == parties.scheme.steps[0]  # before it made any key
    assert [row["round"] for row in records(path)] == [1, 2]
    assert records(path)[-1]["epsilon"] <= one * 1.6


def test_a_site_s_own_log_says_by_view_what_its_answers_have_cost(noisy, sample):
    parties, _ = noisy()
    ledger = budget(parties)
    log = parties.folder / "site-1.jsonl"
    parties.config["site-1"]["secagg-audit"] = str(log)
    for number in (1, 2):
        parties.run(parties.round(parties.proposal(number, sample(number))), sample(number))
    spent = [row for row in records(log) if row["contributed"]]
    assert {row["delta"] for row in spent} == {1e-3}
    charged = records(ledger)
    for number in (1, 2):
        (last,) = [row for row in spent if row["round"] == number and row["stage"] == "ended"]
        assert last["epsilon"][COLLUDING] == charged[number - 1]["epsilon"]
        squares = sum(row["others"][FELLOW] ** -2 for row in charged[:number])
        assert last["epsilon"][FELLOW] == pytest.approx(dp_accounting.get_epsilon_gaussian(squares**-0.5, 1e-3))
    assert not any(row["epsilon"] for row in records(log) if not row["contributed"])


def test_a_round_that_fails_after_the_vectors_is_charged(noisy):
    parties, _ = noisy()
    path = budget(parties)
    upload = parties.scheme.upload_step

    def way(name, request, rnd):
        later = rnd.step in parties.scheme.steps[parties.scheme.steps.index(upload) + 1 :]
        return None if later else request

    assert parties.run(parties.round(), way=way).output is None
    assert [row["releases"] for row in records(path)] == [1]


def test_killed_between_any_two_writes_a_site_never_gives_what_it_did_not_charge(noisy, sample, monkeypatch):
    """Every point at which something is being written: the process dies there, and another takes the same request, and
    takes it again, as if the answer had been lost: a vector is sent with one noise, or not at all."""
    left = None
    point = 0
    while left is None or left <= 0:
        point += 1
        parties, _ = noisy()
        path = budget(parties)
        left = point
        given = set()

        def written(descriptor):
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed

        def answer(name, request):
            if name != "site-1":
                return parties.answer(name, request, sample())
            monkeypatch.setattr("os.fsync", written)
            try:
                said = parties.answer(name, request, sample())
            except Killed:
                said = parties.answer(name, request, sample())
            monkeypatch.setattr("os.fsync", lambda descriptor: None)
            if rnd.step == parties.scheme.upload_step:
                assert refused(said) or parties.answer(name, request, sample()) == said, point
                given.update(bytes(envelope) for envelope in Answers.from_bytes(said, len(said)).envelopes)
            return said

        monkeypatch.setattr("os.fsync", lambda descriptor: None)
        rnd = parties.round()
        parties.run(rnd, answer=answer)
        charged = len(records(path)) if path.exists() else 0
        assert len(given) <= charged <= 1, point
        assert survivors(rnd) == (EVERYONE if given else EVERYONE[1:]), point
    assert point > 8


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"dp-minimum-multiplier": 0}, "dp-minimum-multiplier=0.0 in the site's file is not a positive number"),
        ({"dp-minimum-multiplier": math.inf}, "is not a positive number"),
        ({"dp-minimum-multiplier": "1"}, "is no number"),
        ({"dp-epsilon": 3.0}, "give all three, or none"),
        ({"dp-epsilon": 3.0, "dp-delta": 1e-5}, "dp-ledger, dp-epsilon, dp-delta in the site's file"),
        ({"dp-epsilon": 3.0, "dp-delta": 1e-5, "dp-ledger": "ledger"}, "dp-ledger needs identity in the site's file"),
    ],
)
def test_a_floor_or_budget_that_cannot_be_is_refused(config, reason):
    with pytest.raises(ParameterError, match=reason):
        SitePolicy.read(config, prefix="")
