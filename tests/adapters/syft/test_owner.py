"""What an owner refuses, and that the scientist can read why."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from secagg.adapters.syft import Owner, Policy, submit_secure_sum
from secagg.adapters.syft.job import Params, submit
from secagg.round import Request
from secagg.stats import Category, Count, Histogram, Number, Query
from secagg_protocols import ParameterError

QUERY = Query(columns={"sex": Category(("f", "m"))}, rows=100, statistics=(Count("sex"),))


@pytest.fixture
def three(federation):
    return federation(3)


def asked_of(three, name):
    """The request that an owner was sent first, and how its job is called."""
    (job,) = three.ds[name].jobs
    return msgspec.json.decode((job.code_dir / "params.json").read_bytes(), type=Params).request, job.name


def told(three, name, job="secagg-more"):
    """What the scientist reads of a job."""
    three.ds[name].sync()
    (found,) = (one for one in three.ds[name].jobs if one.name == job)
    return found.status, found.review_reason


def ask(three, name, request, job="secagg-more"):
    submit(three.ds[name], name, job, Params(request))
    three.owners[name].answer()
    return told(three, name, job)


def test_before_approval_nothing_has_left_but_pending(three):
    run = three.submit(QUERY)
    name = three.names[0]
    owner = three.owners[name]
    (waiting,) = owner.pending()
    assert owner.answer() == {f"secagg-{run.run_id}-1-AdvertiseKeys": "waits for approval"}
    assert (waiting.run_id, waiting.scientist) == (run.run_id, "ada@x.org")
    for said in ("asks 3 owners", "dataset 'heart'", "count (by sex)", "bonawitz", "does not expire", "exact figures"):
        assert said in waiting.words
    run.step()
    assert run.status.owners[name] == "pending"
    (job,) = three.do[name].jobs
    assert not list(job.job_review_path.glob("outputs/*"))
    store = owner.client.syftbox_folder / name / "private" / "secagg"
    assert not [path for path in store.rglob("*") if path.is_file() and path.stat().st_size]
    with pytest.raises(ParameterError, match="run 'another' was not shown"):
        owner.approve("another")
    owner.reject(waiting.run_id, "not this year")
    run.step()
    assert run.status.owners[name] == "rejected: not this year"


def test_a_proposal_that_changed_after_approval_is_rejected(three):
    run = three.submit(QUERY)
    name = three.names[0]
    three.turn(name)
    request = Request.from_bytes(asked_of(three, name)[0])
    proposal = request.proposal
    changed = {
        "threshold": {"parameters": {**proposal.parameters, "threshold": 3}},
        "participants": {"participants": 4},
    }
    for what, fields in changed.items():
        other = Request(msgspec.structs.replace(proposal, **fields), 1, ())
        status, reason = ask(three, name, other.to_bytes(), f"secagg-{what}")
        assert (status, reason) == (
            "rejected",
            "ProtocolViolation: the proposal is not the one that this site has approved: submit another run",
        )
    for other in (Request(proposal, 2, ()), Request(msgspec.structs.replace(proposal, ahead=True), 1, ())):
        status, reason = ask(three, name, other.to_bytes(), f"secagg-{other.participant}-{other.proposal.ahead}")
        assert (status, reason) == (
            "rejected",
            "ProtocolViolation: round 1 of this run was asked before with another proposal",
        )
    assert run.status.step == "AdvertiseKeys"


def test_a_step_asked_twice_with_other_content_is_rejected(three):
    run = three.submit(QUERY)
    name = three.names[0]
    three.answer()
    run.step()
    three.answer()
    (job,) = (job for job in three.ds[name].jobs if job.name.endswith("ShareKeys"))
    shared = Request.from_bytes(msgspec.json.decode((job.code_dir / "params.json").read_bytes(), type=Params).request)
    again = Request(shared.proposal, 1, shared.envelopes).to_bytes()
    assert ask(three, name, again, "secagg-as-before") == ("done", None)  # and answered with the same bytes
    (first, second) = (
        (one.job_review_path / "outputs/answer.bin").read_bytes()
        for one in three.ds[name].jobs
        if one.name in (job.name, "secagg-as-before")
    )
    assert first == second
    other = Request(shared.proposal, 1, (*shared.envelopes, *shared.envelopes)).to_bytes()
    status, reason = ask(three, name, other, "secagg-other")
    assert (status, reason.partition(":")[0]) == ("rejected", "StateError"), reason


def test_jobs_of_other_files_are_rejected(three):
    three.submit(QUERY)
    name = three.names[0]
    request, job = asked_of(three, name)
    three.owners[name].pending()
    (held,) = three.do[name].jobs
    more = held.code_dir / "more.py"
    more.write_text("")
    assert "code/more.py" in three.owners[name].answer()[job]
    assert told(three, name, job)[0] == "rejected"
    submit(three.ds[name], name, "secagg-again", Params(request))
    three.do[name].sync()
    (held,) = (one for one in three.do[name].jobs if one.name == "secagg-again")
    (held.code_dir / "main.py").write_text("print('mine')")
    assert "main.py is not that of" in three.owners[name].answer()["secagg-again"]
    submit(three.ds[name], name, "secagg-nothing", Params(b"no request"))
    three.owners[name].answer()
    assert told(three, name, "secagg-nothing") == ("rejected", "WireError: this is no request of secagg")


REFUSED = {
    "another dataset": ({}, {"data": {"lung": None}}, "Declined: this owner answers nothing about dataset 'heart'"),
    "another scientist": ({"scientists": ["bob@x.org"]}, {}, "ada@x.org is none of the scientists who may ask here"),
    "a cohort below the floor": ({"minimum_cohort": 4}, {}, "(minimum-cohort)"),
    "a statistic that is not listed": (
        {"compute": ["mean", "histogram"]},
        {},
        "count is asked for; this site's stats-",
    ),
    "a group below the floor": ({"minimum_group": 10}, {}, "stats-minimum-cell is 10"),
    "a scheme below the floor": ({"adversary": "active"}, {}, "(this site's adversary"),
}


def test_what_a_policy_refuses_is_rejected_without_a_person(three):
    three.submit(QUERY)
    name = three.names[0]
    request, _ = asked_of(three, name)
    for what, (policy, more, reason) in REFUSED.items():
        given = {"data": {"heart": three.tables[name]}, **more}
        three.owners[name] = Owner(three.do[name], policy=Policy(**{**three.policies[name], **policy}), **given)
        assert three.owners[name].pending() == ()
        job = f"secagg-{what.replace(' ', '-')}"
        status, said = ask(three, name, request, job)
        assert (status, reason in said) == ("rejected", True), said


def test_a_run_that_has_expired_is_rejected_and_forgotten(three):
    now = datetime(2026, 11, 26, 12, tzinfo=UTC)
    run = three.submit(msgspec.structs.replace(QUERY, expires="2026-11-26T13:00:00+00:00"))
    three.owners = {name: three.owner(name, lambda: now) for name in three.names}
    three.answer()
    run.step()
    name = three.names[0]
    rounds = three.do[name].syftbox_folder / name / "private" / "secagg" / "rounds"
    sessions = [path for path in rounds.iterdir() if len(path.name) == 64]
    assert sessions
    (said,) = three.owner(name, lambda: now + timedelta(hours=2)).answer().values()
    assert said.startswith("rejected: Declined: the query has expired at 2026-11-26T13:00:00+00:00")
    assert not [path for path in sessions if path.exists()]


def test_a_column_that_does_not_fit_is_named_and_the_others_go_on(federation):
    five = federation()
    first, second, *others = five.names
    five.tables[first] = five.tables[first].drop(columns="age")
    five.tables[second] = five.tables[second].assign(age="old")
    five.owners = {name: five.owner(name) for name in five.names}
    query = Query(columns={"age": Number(0, 120, 0)}, rows=100, statistics=(Histogram("age", 2),))
    run = five.submit(query)
    five.answer()
    run.step(close=True)
    for name in (first, second):
        status, reason = told(five, name, f"secagg-{run.run_id}-1-AdvertiseKeys")
        assert (status, reason.endswith("; column 'age' is not as the query has it")) == ("rejected", True)
        assert "chol" not in reason
    assert run.status.owners.keys() == set(others)


BAD = {
    "fewer than minimum_owners": ({"minimum_owners": 4}, "3 owners, and minimum_owners=4"),
    "no time": ({"deadline": 0}, "deadline=0 is no time"),
    "an unknown knob": ({"schema": "x"}, "'schema' is no knob"),
    "no plain value": ({"minimum_owners": 3, "threshold": object()}, "paths and plain values"),
    "no files for active": ({"adversary": "active"}, "needs the server's identity and the roster"),
}


def test_what_no_owner_could_answer_is_refused_at_submission(three, tmp_path):
    for more, reason in BAD.values():
        with pytest.raises(ParameterError, match=reason):
            submit_secure_sum(three.ds, "heart", QUERY, tmp_path / "bad", **more)
    one = three.names[0]
    with pytest.raises(ParameterError, match=r"'owner1@x\.org' is named twice"):
        submit_secure_sum({**three.ds, one.upper(): three.ds[one]}, "heart", QUERY, tmp_path / "bad")
    with pytest.raises(ParameterError, match=r"'ada@x\.org' is the scientist and an owner"):
        submit_secure_sum({**three.ds, "ada@x.org": three.ds[one]}, "heart", QUERY, tmp_path / "bad")
    with pytest.raises(ParameterError, match=r"'else@x\.org' is no peer of its client"):
        submit_secure_sum({**three.ds, "else@x.org": three.ds[one]}, "heart", QUERY, tmp_path / "bad")
    assert not [job for name in three.names for job in three.ds[name].jobs if job.name.endswith("x")]


def test_a_policy_that_cannot_be_meant_is_refused(three):
    with pytest.raises(ParameterError, match=r"scientists='ada@x\.org' is one text"):
        Policy(scientists="ada@x.org", identity="me.json")
    with pytest.raises(ParameterError, match="scientists is empty"):
        Policy(scientists=[], identity="me.json")
    with pytest.raises(ParameterError, match="'minimum-cohort' is an argument of Policy already"):
        three.owner(three.names[0], keys={"minimum-cohort": 2})
    with pytest.raises(ParameterError, match="is a scientist's: log in"):
        Owner(three.ds[three.names[0]], {}, Policy(**three.policies[three.names[0]]))
    with pytest.raises(ParameterError, match="'median' is unknown; choose from"):
        three.owner(three.names[0], compute=["median"])
