"""Noise under a query: worth to one row what was asked for; charged by each site; refused where it would not be."""

import json

import msgspec
import pytest

from secagg.round import Answers, MemoryStore, Request, SitePolicy
from secagg.stats import (
    Count,
    Histogram,
    Inquiry,
    Query,
    StatPolicy,
    StatSite,
    settings_of,
    simulate,
)
from secagg.stats.noise import RowNoise
from secagg.stats.simulated import LEAST
from secagg_protocols import Identity, ParameterError

from .hospitals import AVERAGED, COLUMNS, NOW, Hospitals

accounting = pytest.importorskip("dp_accounting")

BINNED = Query(columns=COLUMNS, rows=100, statistics=(Count("sex"), Histogram("age", 4)), minimum_cell=0)
NAMES = [f"hospital-{number}" for number in range(1, 6)]


def planned(**knobs):
    return Inquiry(BINNED, settings_of({"dp_epsilon": 1.0, **knobs}), NAMES)


@pytest.mark.parametrize(
    "knobs", [{}, {"dp_tolerated": 1, "dp_colluders": 1}, {"scheme": "lightsecagg", "dp_tolerated": 1}]
)
def test_the_noise_is_that_of_the_gaussian_mechanism_for_one_row_of_both_tables(knobs):
    plan = planned(**knobs)._planned
    least = accounting.get_sigma_gaussian(1.0, 1e-5)
    assert plan.worth.sensitivity == pytest.approx(2**0.5 * plan.gain)
    for worth in (plan.worth, RowNoise.of_rows(plan.scheme, BINNED, plan.gain)):  # as a site finds it
        assert least <= worth.least <= 1.01 * least
    assert plan.epsilon(5, 1e-5)["server with colluders"] <= 1.0


def test_a_noisy_result_is_near_the_exact_one_and_says_what_noise_it_holds(tmp_path):
    parties = Hospitals(tmp_path)
    exact = [result.counts for result in simulate(BINNED, parties.tables).results]
    answered = simulate(BINNED, parties.tables, dp_epsilon=1.0, adversary="active")
    deviation = 2**0.5 * accounting.get_sigma_gaussian(1.0, 1e-5)
    said = float(planned().noise.split()[4])
    assert deviation < said < 1.1 * deviation
    for noisy, right in zip((result.counts for result in answered.results), exact, strict=True):
        assert noisy != right  # fails once in 10⁷
        assert all(abs(one - other) <= 8 * deviation for one, other in zip(noisy, right, strict=True))


def test_what_states_no_sensitivity_is_refused_with_noise():
    with pytest.raises(ParameterError, match=r"mean states no sensitivity, .* or for count, histogram with it"):
        Inquiry(AVERAGED, settings_of({"dp_epsilon": 1.0}), NAMES)
    with pytest.raises(ParameterError, match=r"no noise for dp_epsilon=0\.0001"):
        Inquiry(BINNED, settings_of({"dp_epsilon": 1e-4}), NAMES)
    with pytest.raises(ParameterError, match=r"dp_delta=1\.0 not between 0 and 1"):
        Inquiry(BINNED, settings_of({"dp_epsilon": 1.0, "dp_delta": 1}), NAMES)


@pytest.fixture
def site(tmp_path):
    """One with a budget for rows of ε = 2."""
    Identity.generate("north").save(tmp_path / "identity")
    paths = {"identity": "identity", "stats-ledger": "ledger", "dp-ledger": "privacy", "audit": "audit"}
    config = {key: str(tmp_path / name) for key, name in paths.items()}
    config |= {"dp-epsilon": 2.0, "dp-delta": 1e-5, "stats-minimum-cell": 0}
    policy = StatPolicy.read(config, prefix="")
    table = {"age": list(range(20, 60)), "sex": ["f", "m"] * 20}
    return StatSite(policy, table, MemoryStore(), now=lambda: NOW)


def refused(site, request):
    answer = site.take(request)
    return Answers.from_bytes(answer, len(answer)).refusal


def test_a_site_with_a_budget_charges_every_sum_for_one_row_and_stops_when_it_is_spent(site, tmp_path):
    names = ["hospital-1", "hospital-2", "hospital-3"]
    others = {name: StatSite(StatPolicy(SitePolicy(), LEAST), site.data, MemoryStore()) for name in names[1:]}
    sites = {"hospital-1": site, **others}
    sigma = accounting.get_sigma_gaussian(1.0, 1e-5)
    for sums in (1, 2, 3):
        inquiry = Inquiry(BINNED, settings_of({"dp_epsilon": 1.0}), names)
        with inquiry.open() as rnd:
            requests = rnd.begin()
            while rnd.output is None:
                for name in requests:
                    rnd.take(name, sites[name].take(requests[name]))
                requests = rnd.advance()
            inquiry.close(rnd.output)
        line = json.loads((tmp_path / "privacy").read_text().splitlines()[-1])["record"]
        assert line["unit"] == "row"
        assert line["epsilon"] == pytest.approx(accounting.get_epsilon_gaussian(sigma / sums**0.5, 1e-5), rel=0.01)
    with planned().open() as rnd:
        assert "above this site's budget of 2" in refused(site, rnd.begin()["hospital-1"])


def test_a_site_with_a_budget_answers_no_query_without_noise_and_no_gain_without_it(site):
    with Inquiry(BINNED, settings_of({}), NAMES).open() as rnd:
        request = rnd.begin()["hospital-1"]
        assert "the proposed sum has no noise, and this site asks for it" in refused(site, request)
    with Inquiry(AVERAGED, settings_of({}), NAMES).open() as rnd:
        asked = Request.from_bytes(rnd.begin()["hospital-1"])
    noise = planned()._planned.scheme.noise
    parameters = dict(sorted({**asked.proposal.parameters, "noise": str(noise)}.items()))
    hostile = msgspec.structs.replace(asked.proposal, parameters=parameters)
    assert "mean states no sensitivity" in refused(site, Request(hostile, 1, ()).to_bytes())
