"""Federated averaging of two rounds, with a function that the owners registered."""

import msgspec
import numpy as np
import pytest

from secagg.adapters.syft import Training, job, resume, submit_averaging
from secagg.adapters.syft.job import Params
from secagg.round.packed import packed
from secagg_protocols import ParameterError, RoundFailed

MODEL = {"weights": np.zeros(2, np.float32), "bias": np.zeros(1, np.float32)}
CLIP = 1.0
TRAINING = Training("logreg", "heart", 2)


def fit(arrays, table):
    """One step of gradient descent of a logistic regression: who smokes, by age and sex."""
    x = np.stack([table["age"] / 100, table["sex"] == "f"], axis=1).astype(float)
    y = (table["smoker"] == "yes").to_numpy(float)
    wrong = 1 / (1 + np.exp(-(x @ arrays["weights"] + arrays["bias"]))) - y
    arrays["weights"] -= (x.T @ wrong / len(y)).astype(np.float32)
    arrays["bias"] -= np.float32(wrong.mean())
    return arrays, {"num-examples": len(y)}


def averaged(tables, rounds):
    """Plain federated averaging."""
    model = {name: one.astype(float) for name, one in MODEL.items()}
    for _ in range(rounds):
        fits = [fit({name: one.astype(np.float32) for name, one in model.items()}, table) for table in tables]
        weights = [report["num-examples"] for _, report in fits]
        model = {name: np.average([found[name] for found, _ in fits], axis=0, weights=weights) for name in model}
    return model


@pytest.fixture
def three(federation):
    made = federation(3)
    made.tables["owner1@x.org"] = made.tables["owner1@x.org"].iloc[:20]
    made.owners = {name: made.owner(name, train={"logreg": fit}) for name in made.names}
    return made


def test_two_rounds_are_plain_averaging_within_the_codecs_bound(three, tmp_path):
    run = submit_averaging(three.ds, TRAINING, MODEL, tmp_path / "run", clip=CLIP, weight_max=100)
    (waiting,) = three.owners[three.names[0]].pending()
    for said in ("'logreg'", "dataset 'heart'", "2 times", "4 values", "does not expire"):
        assert said in waiting.words
    steps = 0
    while not run.done:
        three.answer()
        run = resume(run.folder, three.ds)
        run.step()
        steps += 1
    found, plain = run.result(0), averaged(three.tables.values(), 2)
    assert run.survivors == (3, 3)
    assert steps == 4 + 3  # keys of the second round came with the last answer of the first
    for name in MODEL:
        assert np.abs(found[name] - plain[name]).max() < 1e-5
    rounds = three.do[three.names[0]].syftbox_folder / three.names[0] / "private" / "secagg" / "rounds"
    assert not [path for path in rounds.iterdir() if len(path.name) == 64]


def test_a_function_that_is_not_registered_is_rejected(three, tmp_path):
    run = submit_averaging(three.ds, Training("forest", "heart", 2), MODEL, tmp_path / "run", clip=CLIP, weight_max=9)
    three.answer()
    with pytest.raises(RoundFailed):
        run.step()
    said = "rejected: Declined: this site has registered no function 'forest' that trains"
    assert set(run.status.owners.values()) == {said}


def test_another_model_than_everyone_elses_is_rejected(three, tmp_path):
    run = submit_averaging(three.ds, TRAINING, MODEL, tmp_path / "run", clip=CLIP, weight_max=100)
    while run.status.step != "MaskedInput":
        three.answer()
        run.step()
    name = three.names[0]
    three.do[name].sync()
    (asked,) = (one for one in three.do[name].jobs if one.status == "pending")
    file = asked.code_dir / "params.json"
    params = msgspec.json.decode(file.read_bytes(), type=Params)
    other = packed({**MODEL, "bias": np.ones(1, np.float32)})
    file.write_bytes(msgspec.json.encode(msgspec.structs.replace(params, model=other)))
    (became,) = three.owners[name].answer().values()
    assert became.startswith("rejected: ProtocolViolation: the model and configuration are not those of the context")


BAD = {
    "plain means": (
        {"dp_epsilon": 1.0, "dp_delta": 1e-5, "dp_rounds": 2, "dp_clip": 1.0, "clip": None, "weight_max": None},
        {"clip": "calibrate"},
    ),
    "clip": ({"clip": None},),
}


def test_a_training_that_cannot_be_run_is_refused_at_submission(three, tmp_path, monkeypatch):
    for said, knobs in BAD.items():
        for more in knobs:
            given = {"clip": CLIP, "weight_max": 100, **more}
            known = {name: value for name, value in given.items() if value is not None}
            with pytest.raises(ParameterError, match=said):
                submit_averaging(three.ds, TRAINING, MODEL, tmp_path / "run", **known)
    monkeypatch.setattr(job, "PARAMS_LIMIT", 100)
    with pytest.raises(ParameterError, match="bytes as a job, and owners read 100: train a smaller model"):
        submit_averaging(three.ds, TRAINING, MODEL, tmp_path / "run", clip=CLIP, weight_max=9)
    assert not list(three.ds[three.names[0]].jobs)
