"""What leaves a site, by value: FLARE's own chains of filters around our parts, in memory."""

import re

import numpy as np
import pytest
from nvflare.apis.dxo import DXO, DataKind, MetaKey, from_shareable
from nvflare.apis.executor import Executor
from nvflare.apis.filter import Filter
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.shareable import Shareable

from secagg.adapters import flare_parts
from secagg.adapters.flare.task import answers_in
from secagg.round import Settings
from secagg.round.updates import layout_of, mean_of

SECRET = 42.125
TOLERANCE = 1e-6


class Gives(Executor):
    """A trainer that gives whatever it is told to."""

    def __init__(self, result) -> None:
        super().__init__()
        self.result, self.shown = result, None

    def execute(self, task_name, shareable, fl_ctx, abort_signal):
        self.shown = shareable
        return self.result(from_shareable(shareable).data)


def secret(arrays):
    return {name: np.full_like(values, SECRET) for name, values in arrays.items()}


def weights(arrays, **meta):
    return DXO(DataKind.WEIGHTS, secret(arrays), meta).to_shareable()


def differing(arrays):
    changes = {name: np.full_like(values, 0.5) for name, values in arrays.items()}
    return DXO(DataKind.WEIGHT_DIFF, changes, {MetaKey.NUM_STEPS_CURRENT_ROUND: 20}).to_shareable()


def failed(arrays):
    result = weights(arrays)
    result.set_return_code(ReturnCode.EXECUTION_EXCEPTION)
    return result


def failed_in_words(arrays):
    result = weights(arrays)
    result.set_return_code(f"it was {SECRET}")
    return result


def with_header(arrays):
    result = weights(arrays, **{MetaKey.NUM_STEPS_CURRENT_ROUND: 17, "note": SECRET})
    result.set_header("update", secret(arrays))
    result["beside"] = secret(arrays)
    return result


def a_collection(arrays):
    return DXO(DataKind.COLLECTION, {"one": DXO(DataKind.WEIGHTS, secret(arrays))}).to_shareable()


def no_model(arrays):
    result = Shareable()
    result["weights"] = secret(arrays)
    return result


SHAPES = {
    "a return code that is not OK": failed,
    "a return code of its own": failed_in_words,
    "another kind of data": lambda arrays: DXO(DataKind.METRICS, secret(arrays)).to_shareable(),
    "a collection": a_collection,
    "no data": lambda arrays: DXO(DataKind.WEIGHTS, {}, {"update": secret(arrays)}).to_shareable(),
    "no model at all": no_model,
    "headers and more": with_header,
}


@pytest.fixture
def one_of_three(federation, memory, tmp_path):
    """result, privacy.json → a server of three sites, and its first, which trains so."""

    def make(result, privacy=None):
        server = federation(3)
        site = memory.Site(tmp_path / "site-1", Gives(result), {}, privacy=privacy)
        server.sites["site-1"] = site
        return server, site

    return make


def upload(server, site):
    """Run a round until this site's vector is due; return what leaves for its task."""
    rnd, task = server.round()
    left = []

    def exchange(requests, uploads):
        for peer in sorted(requests):
            yield peer, server.sites[peer].ask(requests[peer])
        if uploads:
            left.append(site.task(task))
            raise StopHere

    with pytest.raises(StopHere):
        server.memory.drive(rnd, exchange)
    return left[0]


class StopHere(Exception):
    pass


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_of_whatever_a_trainer_gives_nothing_leaves_but_envelopes_or_a_bare_code(one_of_three, memory, shape):
    server, site = one_of_three(SHAPES[shape])
    left = upload(server, site)
    assert isinstance(site.trainer.shown, Shareable), "it has trained"
    headers = left["__headers__"]
    assert set(headers) <= {"__rc__", "__task_name__", "__task_id__", "__audit_event_id__", "__content_type__"}
    assert headers.get("__rc__", "OK") in vars(ReturnCode)
    assert SECRET not in numbers_in(left)
    assert set(left) <= {"__headers__", "DXO"}
    if "DXO" in left:
        assert left["DXO"]["data"].keys() == {"secagg"}
        assert not left["DXO"]["meta"]
        assert isinstance(answers_in(left, memory.LIMIT), bytes)


def test_an_honest_update_is_masked_and_its_weight_metrics_and_meta_stay(one_of_three, memory):
    told = {MetaKey.NUM_STEPS_CURRENT_ROUND: 17, MetaKey.INITIAL_METRICS: {"loss": 0.25}, "note": SECRET}
    server, site = one_of_three(lambda arrays: DXO(DataKind.WEIGHTS, memory.moved(arrays, 0.5), told).to_shareable())
    left = upload(server, site)
    answers = answers_in(left, memory.LIMIT)
    assert not memory.reason(answers)
    assert 17 not in numbers_in({**left, "DXO": None})
    assert b"note" not in answers
    assert "secagg lets train on the agreed model" in site.audit
    assert "secagg masked a vector" in site.audit


def test_a_script_that_reports_no_weight_is_left_out_and_its_site_knows_why(one_of_three, memory, caplog):
    server, site = one_of_three(weights)
    said = memory.reason(answers_in(upload(server, site), memory.LIMIT))
    assert said == "InputError: this site's own input or files do not fit; its log says more"
    assert "metric 'NUM_STEPS_CURRENT_ROUND' is missing: it is this participant's weight" in caplog.text


def test_a_difference_counts_as_the_model_that_it_leads_to(one_of_three, memory):
    server, _ = one_of_three(differing)
    assert_moved_by(server, memory, {0.5: 20, 0.2: 20, 0.3: 30})


def test_what_a_job_brings_steps_aside_where_the_site_has_its_own(one_of_three, memory):
    server, site = one_of_three(differing)
    site.add_job_parts()
    assert_moved_by(server, memory, {0.5: 20, 0.2: 20, 0.3: 30})
    assert site.audit.count("secagg masked a vector") == 1
    assert "refused" not in site.audit


def test_a_sites_own_clipping_filter_acts_before_the_mask(one_of_three, memory, tmp_path):
    privacy = flare_parts.made()
    # FLARE's filter clips what one step changed, and there are twenty.
    clip = {"path": "nvflare.app_common.filters.percentile_privacy.PercentilePrivacy"}
    clip["args"] = {"percentile": 0, "gamma": 0.25 / 20}
    privacy["scopes"][0]["task_result_filters"].insert(0, clip)
    server, _ = one_of_three(differing, privacy)
    assert_moved_by(server, memory, {0.25: 20, 0.2: 20, 0.3: 30})


def assert_moved_by(server, memory, expected):
    """One whole round moves the model by the weighted mean. expected: by how much → a site's weight."""
    rnd, task = server.round()
    total = server.run(rnd, {None: task})
    assert len(total.survivors) == len(expected), [site.audit for site in server.sites.values()]
    codec = Settings.of(memory.KNOBS).terms().codec(layout_of(memory.MODEL))
    mean = mean_of(total, codec)
    weight = sum(expected.values())
    assert mean.weight == weight
    moved = sum(by * share / weight for by, share in expected.items())
    bound = codec.error_bound(len(expected), weight) + TOLERANCE
    assert all(np.abs(values - moved).max() <= bound for values in mean.arrays.values())


@pytest.mark.parametrize(
    ("metrics", "leaves"),
    [
        ({"accuracy": 0.75, "loss": np.float32(0.5)}, {"accuracy": 0.75, "loss": 0.5}),
        ({"accuracy": np.full(3, SECRET)}, None),
        ({f"w{number}": SECRET for number in range(65)}, None),
        ({"w" * 65: 1.0}, None),
        ({"accuracy": float("nan")}, None),
    ],
)
def test_a_validation_gives_a_few_numbers_and_nothing_else(one_of_three, memory, metrics, leaves):
    def validate(arrays):
        result = DXO(DataKind.METRICS, metrics, {"note": SECRET}).to_shareable()
        result.set_header("update", secret(arrays))
        return result

    _, site = one_of_three(validate)
    left = site.task(memory.train_task(memory.MODEL, 0), "validate")
    assert SECRET not in numbers_in(left)
    if leaves is None:
        assert left.get_return_code() == ReturnCode.TASK_RESULT_FILTER_ERROR
        assert "DXO" not in left
        assert "secagg refused: InputError" in site.audit
    else:
        assert from_shareable(left).data == leaves


def test_a_trainer_sees_what_the_digest_covers_and_may_write_into_it(one_of_three, memory, monkeypatch):
    def in_place(arrays):
        for values in arrays.values():
            values += 0.5
        return DXO(DataKind.WEIGHTS, arrays, {MetaKey.NUM_STEPS_CURRENT_ROUND: 30}).to_shareable()

    server, site = one_of_three(in_place)
    plain = memory.train_task
    monkeypatch.setattr(memory, "train_task", lambda *args: with_more(plain(*args)))
    assert_moved_by(server, memory, {0.5: 30, 0.2: 20, 0.3: 30})
    shown = site.trainer.shown
    assert shown.get_header("rate") is None
    assert shown.get_header("__rate__") is None
    assert "beside" not in shown
    assert shown.get_header("current_round") == 0


def test_a_jobs_own_filter_that_changes_the_model_gets_no_vector(one_of_three, memory):
    """A job's filters come after the site's, and could give each site another model."""
    server, site = one_of_three(lambda arrays: weights(arrays, **{MetaKey.NUM_STEPS_CURRENT_ROUND: 30}))
    site.add_job_filter(Doubles())
    left = upload(server, site)
    assert site.trainer.shown is not None, "it has trained"
    said = memory.reason(answers_in(left, memory.LIMIT))
    assert said.startswith("ProtocolViolation: the model and configuration are not those of the context digest")


class Doubles(Filter):
    def process(self, shareable, fl_ctx):
        dxo = from_shareable(shareable)
        dxo.data = {name: 2 * values for name, values in dxo.data.items()}
        return dxo.update_shareable(shareable)


def with_more(task):
    """What no digest covers: it could be another at every site."""
    task.set_header("rate", 0.1)
    task.set_header("__rate__", 0.1)
    task["beside"] = {"rate": 0.1}
    return task


def test_a_job_of_another_controller_gets_no_training(one_of_three, memory):
    _, site = one_of_three(weights)
    left = site.task(memory.train_task(memory.MODEL, 0))
    assert left.get_return_code() == ReturnCode.TASK_DATA_FILTER_ERROR
    assert site.trainer.shown is None
    assert "secagg refused: ProtocolViolation: a task to train without a step of the protocol" in site.audit


def test_a_job_that_runs_in_no_scope_gets_no_step_since_no_filter_would_run(memory, tmp_path):
    """FLARE's simulator runs every job so; a server refuses one with a scope that it does not know."""
    site = memory.Site(tmp_path / "site-1", Gives(weights), scope="nowhere")
    assert "secagg refused: ParameterError: FLARE runs this job in no scope of privacy.json" in site.audit
    left = site.task(memory.train_task(memory.MODEL, 0))
    assert left.get_return_code() == ReturnCode.UNSAFE_JOB
    assert numbers_in(left) == set()
    with pytest.raises(KeyError):
        site.ask(b"")  # nobody answers


def broken(edit):
    held = flare_parts.made()
    edit(held)
    return held


@pytest.mark.parametrize(
    ("privacy", "policy", "reason"),
    [
        (lambda held: held["scopes"].append({"name": "open", "properties": {}}), {}, "scope 'open'"),
        (lambda held: held["scopes"][0].pop("task_result_filters"), {}, "task_result_filters in scope 'secagg'"),
        (
            lambda held: held["scopes"][0]["task_data_filters"][0].update(disabled=True),
            {},
            "task_data_filters in scope",
        ),
        (lambda held: held.pop("default_scope"), {}, "FLARE runs this job in no scope"),
        (lambda held: None, None, "policy.json is missing"),
        (lambda held: None, {"minimum-cohorts": 4}, "minimum-cohorts in .* is unknown"),
        (lambda held: None, {"adversary": "active"}, "adversary=active needs roster"),
        (lambda held: None, {"roster": ["a", "list"]}, "is no object of keys"),
    ],
)
def test_a_site_whose_own_files_are_wrong_takes_no_part_and_says_why(memory, tmp_path, privacy, policy, reason):
    trainer = Gives(weights)
    site = memory.Site(tmp_path / "site-1", trainer, policy, privacy=broken(privacy))
    left = site.task(memory.train_task(memory.MODEL, 0))
    assert "DXO" not in left
    assert trainer.shown is None
    assert re.search(f"secagg refused: ParameterError: .*{reason}", site.audit), site.audit


def test_what_a_server_writes_is_one_line_of_the_sites_log(one_of_three, memory):
    server, site = one_of_three(weights)
    upload(server, site)
    task = memory.train_task(memory.MODEL, "\nforged")
    assert site.task(task).get_return_code() == ReturnCode.TASK_DATA_FILTER_ERROR
    task = memory.train_task(memory.MODEL, 0)
    task.set_header("__content_type__", "\nforged" * 1000)
    assert site.task(task).get_return_code() == ReturnCode.TASK_DATA_FILTER_ERROR
    assert "\nforged" not in site.audit
    assert len(site.audit) < 10_000


def numbers_in(held):
    """Every number in a Shareable, wherever."""
    if isinstance(held, dict):
        return {number for value in held.values() for number in numbers_in(value)}
    if isinstance(held, list | tuple | set):
        return {number for value in held for number in numbers_in(value)}
    if isinstance(held, np.ndarray) and held.dtype.kind == "f":
        return set(held.ravel().tolist())
    if isinstance(held, str):
        return {SECRET} if str(SECRET) in held else set()
    return {held} if isinstance(held, int | float) else set()
