"""A query over secure rounds: the numbers of all rows together, whoever drops out and whichever process is killed."""

import pytest

from secagg.round.audit.compare import Log, compare
from secagg.stats import Floor, Meta, Query, simulate
from secagg_protocols import InputError, ParameterError, RoundFailed, Step

from .hospitals import AVERAGED, COUNTED, Hospitals


@pytest.fixture
def hospitals(tmp_path):
    """A function (**config of every site) → Hospitals."""
    return lambda **config: Hospitals(tmp_path, **config)


def means(table):
    return table.groupby("sex").age.mean().tolist()


def told(results):
    return [row["mean"] for row in results[1]["rows"]]


def check_audits(parties):
    """All logs fit each other; return the number of the coordinator's records."""
    audits = parties.audits()
    signers = {"coordinator": 0} | {name: own for own, name in enumerate(parties.names, start=1)}
    logs = [Log(parties.folder / name, lines, signers[name]) for name, lines in audits.items()]
    assert compare(logs) == []
    return len(audits["coordinator"])


def test_the_result_is_that_of_all_rows_and_every_party_has_a_record_of_each_sum(hospitals):
    parties = hospitals()
    inquiry = parties.inquiry(AVERAGED)
    results = parties.run(inquiry)
    assert told(results) == pytest.approx(means(parties.pooled), rel=1e-12)
    assert results[0]["counts"] == parties.pooled.groupby("sex").size().tolist()
    assert inquiry.progress.sites == (5, 5)
    assert check_audits(parties) == 2
    for name in parties.names:
        lines = parties.ledger(name)
        assert [(line["round"], len(line["survivors"])) for line in lines] == [(1, 0), (1, 5), (2, 5)]
        assert {line["job"] for line in lines} == {inquiry.job}


def test_a_coordinator_that_is_killed_after_any_answer_goes_on_from_its_folder(hospitals, tmp_path):
    parties = hospitals()
    folder = tmp_path / "kept"
    jobs = set()
    lives = 0
    inquiry = parties.inquiry(AVERAGED, folder)
    while not inquiry.done:
        jobs.add(inquiry.job)
        with inquiry.open() as rnd:
            requests = rnd.begin()
            for name in list(requests)[:3]:
                rnd.take(name, parties.site(name).take(requests[name]))
            if not requests:
                rnd.advance()
            if rnd.output is not None:
                inquiry.close(rnd.output)
        lives += 1
        inquiry = parties.inquiry(AVERAGED, folder)
    assert len(jobs) == 1
    assert lives == 2 * 5 * 3
    assert told([result.plain() for result in inquiry.results]) == pytest.approx(means(parties.pooled), rel=1e-12)
    assert check_audits(parties) == 2
    with pytest.raises(InputError, match="is of another query"):
        parties.inquiry(COUNTED, folder)


def test_a_query_whose_sum_shows_that_it_has_no_results_is_not_asked_again(hospitals, tmp_path):
    parties = hospitals()
    folder = tmp_path / "kept"
    hopeless = Query(columns={"age": AVERAGED.columns["age"]}, rows=100_000, statistics=(Meta("mean", "age"),))
    inquiry = parties.inquiry(hopeless, folder)
    with pytest.raises(InputError, match=r"too coarse for the squared weights of 'age': .*lower rows"):
        parties.run(inquiry)
    assert check_audits(parties) == 1
    answered = len(parties.answered)
    with pytest.raises(InputError, match="lower rows"):
        parties.run(inquiry)
    with pytest.raises(InputError, match="lower rows"):
        parties.inquiry(hopeless, folder)
    assert len(parties.answered) == answered


@pytest.mark.parametrize("step", [Step.ADVERTISE_KEYS, Step.SHARE_KEYS, Step.MASKED_INPUT])
def test_whoever_drops_out_of_the_first_sum_is_not_asked_again(hospitals, step):
    parties = hospitals()
    gone = "hospital-2"
    inquiry = parties.inquiry(AVERAGED)
    results = parties.run(inquiry, lambda name, rnd: name != gone or rnd.step != step)
    assert inquiry.asked == tuple(name for name in parties.names if name != gone)
    assert {request.proposal.round for name, request, _ in parties.answered if name == gone} <= {1}
    del parties.tables[gone]
    assert told(results) == pytest.approx(means(parties.pooled), rel=1e-12)
    assert check_audits(parties) == 2


def test_whoever_drops_out_once_it_has_given_its_vector_is_in_all_sums(hospitals):
    parties = hospitals()
    late = (Step.CONSISTENCY_CHECK, Step.UNMASKING)
    inquiry = parties.inquiry(AVERAGED)
    results = parties.run(inquiry, lambda name, rnd: not (name == "hospital-2" and rnd.step in late))
    assert told(results) == pytest.approx(means(parties.pooled), rel=1e-12)
    assert inquiry.progress.sites == (5, 5)
    assert check_audits(parties) == 2


def test_no_later_sum_is_opened_without_a_site_of_the_first_until_it_is_back(hospitals):
    parties = hospitals()
    inquiry = parties.inquiry(AVERAGED)
    away = True

    def heard(name, rnd):
        return not (away and name == "hospital-2" and rnd.proposal.round > 1)

    with pytest.raises(RoundFailed):
        parties.run(inquiry, heard)
    assert len(parties.refusals()) == 4
    assert all("would tell 1 site(s) apart, and it asks for stats-apart=3" in said for said in parties.refusals())
    away = False
    results = parties.run(inquiry, heard)
    assert told(results) == pytest.approx(means(parties.pooled), rel=1e-12)
    assert check_audits(parties) == 3


def test_a_first_sum_that_failed_late_is_asked_again_of_those_who_were_in_it(hospitals):
    parties = hospitals()
    inquiry = parties.inquiry(AVERAGED)
    opened = []

    def heard(name, rnd):
        opened.append(rnd.step)
        first = rnd.proposal.round == 1
        return not (first and (rnd.step, name) == (Step.MASKED_INPUT, "hospital-2")) and not (
            first and rnd.step == Step.UNMASKING
        )

    with pytest.raises(RoundFailed):
        parties.run(inquiry, heard)
    assert Step.UNMASKING in opened
    assert "hospital-2" not in inquiry.asked
    results = parties.run(inquiry, heard)
    assert parties.refusals() == []
    del parties.tables["hospital-2"]
    assert told(results) == pytest.approx(means(parties.pooled), rel=1e-12)
    assert check_audits(parties) == 3


def test_sites_that_allow_it_go_on_without_one(hospitals):
    parties = hospitals(**{"stats-apart": 1})
    inquiry = parties.inquiry(AVERAGED)
    results = parties.run(inquiry, lambda name, rnd: not (name == "hospital-2" and rnd.proposal.round > 1))
    assert inquiry.progress.sites == (5, 4)
    del parties.tables["hospital-2"]
    assert told(results) == pytest.approx(means(parties.pooled), rel=1e-12)


def test_a_simulated_query_is_the_same_rounds_under_any_scheme(hospitals):
    parties = hospitals()
    everyone = means(parties.pooled)
    for scheme in ("lightsecagg", "threshold-ckks", "plain"):
        answered = simulate(AVERAGED, parties.tables, scheme)
        assert told([result.plain() for result in answered.results]) == pytest.approx(everyone, rel=1e-12)
    answered = simulate(AVERAGED, parties.tables, adversary="active", drop={"hospital-5": "MaskedInput"}, floor=Floor())
    assert (answered.sites, answered.steps) == ((4, 4), 2)


def test_what_cannot_be_simulated_is_refused(hospitals):
    parties = hospitals()
    for given, why in {
        "bfv": "takes a key that all sites share",
        "secagg": "is unknown",
    }.items():
        with pytest.raises(ParameterError, match=why):
            simulate(AVERAGED, parties.tables, given)
    with pytest.raises(ParameterError, match="drop: there is no site 'here'"):
        simulate(AVERAGED, parties.tables, drop={"here": "MaskedInput"})
    with pytest.raises(ParameterError, match="drop: 'Later' is not a valid Step"):
        simulate(AVERAGED, parties.tables, drop={"hospital-1": "Later"})
