"""A scientist, and owners, who write into the folders that they share whatever they like."""

import io
import shutil
from contextlib import redirect_stdout

import msgspec
import numpy as np
import pytest
import yaml

from secagg.adapters.syft import Policy, Training, submit_averaging
from secagg.adapters.syft.job import Params, submit
from secagg.round import Request
from secagg.stats import Category, Count, Query

QUERY = Query(columns={"sex": Category(("f", "m"))}, rows=100, statistics=(Count("sex"),))
MODEL = {"weights": np.zeros(3)}


def fit(arrays, table):
    """A function of the owner's, which fails for models that are not its own."""
    return {"weights": arrays["weights"] + 0.1}, {"num-examples": len(table)}


class Scientist:
    """Writes to the first owner what no run of secagg writes. asked: what an honest run has asked it."""

    def __init__(self, three, folder, model=MODEL):
        self.three = three
        self.name = three.names[0]
        self.owner = three.owners[self.name] = three.owner(self.name, train={"fit": fit})
        self.run = submit_averaging(three.ds, Training("fit", "heart", 2), model, folder, clip=1.0, weight_max=100)
        (job,) = three.ds[self.name].jobs
        self.asked = msgspec.json.decode((job.code_dir / "params.json").read_bytes(), type=dict)
        self.params = msgspec.json.decode((job.code_dir / "params.json").read_bytes(), type=Params)

    def ask(self, job, training=None, **proposal):
        """Submit a request with another proposal, and a description of a training as JSON has it."""
        request = Request.from_bytes(self.params.request)
        other = Request(msgspec.structs.replace(request.proposal, job=job, **proposal), 1, ()).to_bytes()
        given = msgspec.json.decode(msgspec.json.encode(Params(other)), type=dict)
        params = {**self.asked, **given, **(training or {})}
        submit(self.three.ds[self.name], self.name, f"secagg-{job.split()[0]}", params)

    def approve(self):
        for run in self.owner.pending():
            self.owner.approve(run.run_id)
        return self.owner.answer()


@pytest.fixture
def scientist(federation, tmp_path):
    return Scientist(federation(3), tmp_path / "run")


def expiring(text, rounds=2):
    return {"training": {"function": "fit", "dataset": "heart", "rounds": rounds, "expires": text}}


def test_one_bad_job_stops_no_other(scientist):
    scientist.ask("soon", expiring("soon"))
    scientist.ask("naive", expiring("2027-01-31T12:00:00"))
    scientist.ask("never", expiring("", rounds=0))
    scientist.ask("zeroth", round=0)
    scientist.ask("hidden \x1b[2J")
    (waiting,) = scientist.owner.pending()
    became = scientist.owner.answer()
    said = {name: became.pop(f"secagg-{name}") for name in ("soon", "naive", "never", "zeroth", "hidden")}
    assert all(reason.startswith("rejected: ") for reason in said.values())
    parts = ["'soon' is no time", "12:00:00' is no time", "rounds=0", "round 0 of a training of 2", "cannot be shown"]
    assert [part in reason for part, reason in zip(parts, said.values(), strict=True)] == [True] * 5, said
    assert list(became.values()) == ["waits for approval"]
    assert waiting.run_id == scientist.run.run_id


def test_an_approval_holds_for_so_many_values(scientist):
    scientist.approve()
    proposal = Request.from_bytes(scientist.params.request).proposal
    scientist.ask(proposal.job, round=2, length=10 * proposal.length)
    (became,) = scientist.owner.answer().values()
    assert "not the one that this site has approved" in became


def test_a_name_that_was_read_is_of_nothing_else(scientist):
    """Run ids are the ends of names that the scientist chooses."""
    (first,) = scientist.owner.pending()
    own = first.run_id
    scientist.ask(f"other {own}", expiring("", rounds=1000))
    assert [run.words for run in scientist.owner.pending()] == [first.words]
    assert "2 times" in first.words
    scientist.owner.approve(own)
    became = scientist.owner.answer()
    assert became["secagg-other"] == "waits for approval"
    assert sorted(became.values()) == ["answered", "waits for approval"]


def test_an_owner_can_say_no_beside_a_bad_job(scientist):
    (waiting,) = scientist.owner.pending()
    submit(scientist.three.ds[scientist.name], scientist.name, "secagg-bad", {"request": "?"})
    scientist.owner.reject(waiting.run_id, "no")
    scientist.run.step()
    assert scientist.run.status.owners[scientist.name] == "rejected: no"


def test_of_two_jobs_with_one_name_both_are_told(scientist):
    """PySyft lists jobs of two layouts, and of several scientists: names are theirs."""
    scientist.three.do[scientist.name].sync()
    (job,) = scientist.three.do[scientist.name].jobs
    other = job.job_submission_path.parent.parent / job.name
    shutil.copytree(job.job_submission_path, other)
    (other / "code" / "main.py").write_text("print('mine')")
    became = scientist.owner.answer()
    assert sorted(became) == [job.name, f"{job.name} (2)"]
    assert sorted(said.partition(":")[0] for said in became.values()) == ["rejected", "waits for approval"]


def test_a_model_that_a_function_cannot_train_is_refused(federation, tmp_path):
    scientist = Scientist(federation(3), tmp_path / "run", {"others": np.zeros(3)})
    three = scientist.three
    three.owners = {name: three.owner(name, train={"fit": fit}) for name in three.names}
    while scientist.run.status.step != "MaskedInput":
        three.answer()
        scientist.run.step()
    became = three.answer()
    said = {reason for each in became.values() for reason in each.values()}
    assert said == {"rejected: InputError: this site's own input or files do not fit; its log says more"}


def test_what_owners_write_stops_no_run(federation):
    four = federation(4)
    run = four.submit(QUERY)
    folder, unreadable, talking, _ = four.names
    four.answer(folder, unreadable, talking)
    with redirect_stdout(io.StringIO()):
        for name in (folder, unreadable, talking):
            four.do[name].sync()
            (job,) = four.do[name].jobs
            state = job.job_review_path / "state.yaml"
            told = yaml.safe_load(state.read_text())
            if name == folder:
                (job.job_review_path / "outputs" / "answer.bin").mkdir(parents=True)
                (job.job_review_path / "outputs" / "answer.bin" / "file").write_text("")
                told["status"] = "done"
            if name == talking:
                told.update(status="rejected", review_reason="no\n\x1b[2J" + 1000 * "!")
            state.write_text("status: [" if name == unreadable else yaml.dump(told))
            four.do[name].sync()
    run.step()
    said = run.status.owners
    assert said[folder] == "done"
    assert said[unreadable] == "its state cannot be read"
    assert said[talking].isprintable()
    assert len(said[talking]) < 400
    assert run.status.step == "AdvertiseKeys"


@pytest.mark.parametrize(
    ("email", "may"), [("Strasse@X.org", True), ("stra\N{LATIN SMALL LETTER SHARP S}e@x.org", False)]
)
def test_another_address_of_like_letters_may_not_ask(email, may):
    assert Policy(scientists=["strasse@x.org"], identity="me.json").may_ask(email) == may
