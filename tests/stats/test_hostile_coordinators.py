"""A coordinator that asks for more than a query gives: what each site refuses, by name, before anything is opened."""

import itertools
from dataclasses import replace
from datetime import timedelta

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secagg.chained import AuditError
from secagg.round import Answers, Proposal, Request
from secagg.stats import Count, Mean, Query, simulate
from secagg.stats.ledger import Asked, Limits, QueryLedger
from secagg.stats.terms import QueryTerms, context_of, read_terms
from secagg_protocols import RoundFailed
from secagg_protocols.errors import Declined

from .hospitals import AVERAGED, COLUMNS, COUNTED, NOW, Hospitals

APART = 3


@pytest.fixture
def hospitals(tmp_path):
    """A function (**config of every site) → Hospitals."""
    return lambda **config: Hospitals(tmp_path, **config)


def without_the_last(name, rnd):
    """The coordinator throws the last one's vector away, or never asks it: the others are told of the same sum."""
    return name != "hospital-5"


def test_a_query_that_is_repeated_with_one_site_fewer_is_opened_by_nobody(hospitals):
    parties = hospitals()
    parties.run(parties.inquiry(COUNTED))
    parties.run(parties.inquiry(COUNTED))
    assert parties.refusals() == []
    of_other_columns = Query(columns={"age": COLUMNS["age"]}, rows=100, statistics=(Mean("age"),))
    for query in (of_other_columns, COUNTED):  # the number of rows is in every sum
        inquiry = parties.inquiry(query)
        with pytest.raises(RoundFailed):
            parties.run(inquiry, without_the_last)
        said = parties.refusals()
        assert len(said) == 4
        assert all(one.startswith("Declined: this sum over 4 sites and those that this site was in") for one in said)
        parties.answered.clear()
    parties.run(inquiry)  # the last is back


def test_a_site_may_let_sums_of_other_columns_have_other_sites(hospitals):
    parties = hospitals(**{"stats-related": "columns"})
    parties.run(parties.inquiry(COUNTED))
    unrelated = Query(columns={"age": COLUMNS["age"]}, rows=100, statistics=(Mean("age"),))
    parties.run(parties.inquiry(unrelated), without_the_last)
    assert parties.refusals() == []


def test_without_the_rule_the_difference_of_two_sums_is_what_one_hospital_added(hospitals):
    parties = hospitals()
    counts = [
        simulate(COUNTED, parties.tables, drop=drop).results[0].counts for drop in ({}, {"hospital-5": "MaskedInput"})
    ]
    (females, males) = (one - other for one, other in zip(*counts, strict=True))
    assert [females, males] == parties.tables["hospital-5"].groupby("sex").size().tolist()


def test_a_restarted_site_remembers_whose_sums_it_was_in_and_sees_when_that_was_changed(hospitals):
    parties = hospitals()
    parties.run(parties.inquiry(COUNTED))
    running = parties.site("hospital-1")
    path = parties.folder / "hospital-1.ledger"
    path.write_bytes(path.read_bytes().replace(b'"round":1', b'"round":2'))
    with parties.inquiry(COUNTED).open() as rnd:
        answer = running.take(rnd.begin()["hospital-1"])
    told = "AuditError: this site's own input or files do not fit; its log says more"
    assert Answers.from_bytes(answer, 1000).refusal == told
    with pytest.raises(AuditError, match="line 1"):
        parties.site("hospital-1")


def test_what_is_proposed_otherwise_than_its_terms_say_is_refused(hospitals):
    """Another query in the job of one that was accepted, a state that no sums lead to, a length that is not the step's:
    each in a proposal that is whole otherwise."""
    parties = hospitals()
    inquiry = parties.inquiry(AVERAGED)
    with inquiry.open() as rnd:
        requests = rnd.begin()
        request = Request.from_bytes(requests["hospital-1"])
    proposal = request.proposal
    terms, progress = read_terms(proposal.terms)
    other = replace(progress, query=Query(columns=COLUMNS, rows=100, statistics=(Count("sex"), Mean("age"))))
    jumped = QueryTerms(terms.nonce, 0, replace(progress, step=1000).asked())
    swapped = QueryTerms(terms.nonce, 0, other.asked())
    cases = {
        "are not those of the query and step": msgspec.structs.replace(proposal, terms=swapped.to_bytes()),
        "step 1000 of a query; 256 are the most": proposed(proposal, jumped),
        "length=9 is proposed; this step of the query has": msgspec.structs.replace(proposal, length=9),
        "WireError": msgspec.structs.replace(proposal, terms=b"none"),
    }
    for why, hostile in cases.items():
        answer = parties.site("hospital-1").take(replace(request, proposal=hostile).to_bytes())
        assert why in Answers.from_bytes(answer, 1000).refusal
    assert (parties.folder / "hospital-1.ledger").read_bytes() == b""


def proposed(proposal: Proposal, terms: QueryTerms) -> Proposal:
    """A proposal with these terms, that fits them."""
    _, progress = read_terms(terms.to_bytes())
    context = context_of(terms, progress)
    return msgspec.structs.replace(
        proposal, terms=terms.to_bytes(), round=context.round, context_digest=context.context_digest
    )


# --- the ledger alone


def asked(job="a", columns=("age",), survivors=(), days=0.0, number=1, state="begun"):
    time = (NOW + timedelta(days=days)).isoformat(timespec="seconds")
    return Asked(
        time=time,
        job=job,
        round=number,
        query="",
        step=1,
        state=state,
        statistics=("mean",),
        columns=columns,
        survivors=tuple(survivors),
    )


cohorts = st.lists(st.sets(st.sampled_from("bcdefghi"), min_size=2).map(lambda more: more | {"a"}), max_size=4)


@settings(max_examples=60, deadline=None)
@given(cohorts)
def test_no_sums_that_are_joined_tell_fewer_sites_apart_than_are_asked_for(found):
    """However they are added and subtracted: what is left of it is of no site, or of enough."""
    ledger = QueryLedger()
    joined = []
    for number, cohort in enumerate(found):
        try:
            ledger.join(asked(str(number), survivors=sorted(cohort)), Limits(APART, None, ""))
            joined.append(cohort)
        except Declined as declined:
            assert "apart=3" in str(declined)
    rows = np.array([[site in cohort for site in "abcdefghi"] for cohort in joined], dtype=int)
    for factors in itertools.product(range(-2, 3), repeat=len(joined)) if len(joined) > 1 else ():
        assert np.count_nonzero(np.array(factors) @ rows) not in range(1, APART)


def test_the_same_sum_again_is_no_news_and_other_columns_are_another_matter_if_a_site_says_so():
    ledger = QueryLedger()
    limits = Limits(APART, None, "stats-", related="columns")
    ledger.join(asked(survivors="abcdef"), limits)
    ledger.join(asked(survivors="abcdef", days=1), limits)
    assert len(ledger.memory.asked) == 1
    with pytest.raises(Declined, match="would tell 1 site"):
        ledger.join(asked("b", ("sex",), "abcde"), replace(limits, related="all"))
    ledger.join(asked("b", ("sex",), "abcde"), limits)
    ledger.join(asked("c", survivors="abc"), limits)
    for columns in (("age", "sex"), ()):  # counts of rows are related to all
        with pytest.raises(Declined, match="would tell 1 site"):
            ledger.join(asked("d", columns, "abcde"), limits)


def test_a_step_is_not_opened_from_two_states():
    ledger = QueryLedger()
    limits = Limits(APART, None, "stats-")
    ledger.join(asked(survivors="abc"), limits)
    ledger.join(asked(survivors="abc", number=2), limits)  # again, after a failure
    with pytest.raises(Declined, match="step 1 of this query was answered from another state"):
        ledger.join(asked(survivors="abc", number=3, state="chosen"), limits)


def test_a_cohort_answers_so_many_queries_and_a_day_has_so_many():
    ledger = QueryLedger()
    limits = Limits(1, 2, "stats-")
    for job in "ab":
        ledger.join(asked(job, survivors="abc"), limits)
        ledger.join(asked(job, survivors="abc", number=2), limits)
    ledger.join(asked("c", survivors="abcd"), limits)
    with pytest.raises(Declined, match=r"these 3 sites have answered 2 queries, .* stats-queries-per-cohort=2"):
        ledger.join(asked("d", survivors="abc"), limits)
    day = QueryLedger()
    for job in "aab":
        day.begin(asked(job), 2, "stats-")
    with pytest.raises(Declined, match=r"2 queries were asked within a day, .* stats-queries-per-day=2"):
        day.begin(asked("c", days=0.9), 2, "stats-")
    day.begin(asked("c", days=1.1), 2, "stats-")
    assert day.knows(asked("c"))
    assert not day.knows(asked("d"))
