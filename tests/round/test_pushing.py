"""Rounds in a runtime that pushes steps one way and the model another way: here, with threads and queues."""

import threading
import time
from datetime import UTC, datetime

import numpy as np
import pytest

from secagg.round import SitePolicy, TrainingFailed, received_digest
from secagg.round.averaging import Averaging
from secagg.round.participation import Participation
from secagg.round.pushing import PushSettings, await_peers
from secagg.round.updates import change
from secagg_protocols import InputError, ParameterError, ProtocolViolation, RoundContext, StateError

MODEL = {"weight": np.array([[1.0, 2.0], [3.0, 4.0]]), "count": np.array([7])}
NAMES = [f"site-{own}" for own in range(1, 6)]
TOLERANCE = 1e-9
NOW = datetime(2026, 11, 26, tzinfo=UTC)


def trained(own, arrays):
    return {name: values + (own / 100 if values.dtype.kind == "f" else 1) for name, values in arrays.items()}


class Federation:
    """Five sites in one process, each with a thread of its own while it trains. faults: site → what it does instead."""

    def __init__(self, faults=None) -> None:
        self.sites = {name: Participation(SitePolicy(), "job") for name in NAMES}
        self.faults = faults or {}
        self.model, self.number, self.closed, self.threads = MODEL, 1, 0, []
        self.called_off = False
        self.may_go_on = threading.Event()

    def stopped(self):
        return self.called_off

    def ask(self, peer, request, seconds):
        if self.faults.get(peer) == "silent":
            return "silence\nforged"
        answers, _ = self.sites[peer].answer(request)
        return answers

    def send(self, peers, limit, arrived):
        for peer in peers:
            thread = threading.Thread(target=self.train, args=(peer, arrived))
            self.threads.append(thread)
            thread.start()

    def close(self):
        self.closed += 1

    def train(self, peer, arrived):
        own, here = int(peer[-1]), self.sites[peer]
        fault = self.faults.get(peer)
        received = received_digest(self.model, "train")
        try:
            due = here.begin(peer, self.number, self.model, received)
        except (ProtocolViolation, InputError) as refused:
            arrived.put((peer, str(refused)))
            return
        if fault == "fails":
            arrived.put((peer, "its task ended with EXECUTION_EXCEPTION\nforged"))
        elif fault == "slow":
            self.may_go_on.wait(20)
        if fault is None:
            reported = {"examples": 10 * own, "loss": 0.5}
            arrived.put((peer, due.give(lambda: (change(due.arrays, trained(own, due.arrays)), reported), received)))
        here.end(peer)

    def received(self, number=1):
        self.number = number
        return RoundContext("job", number, received_digest(self.model, "train"))

    def end(self):
        self.may_go_on.set()
        for thread in self.threads:
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture
def make():
    held = []

    def federation(**faults):
        held.append(Federation({name.replace("_", "-"): fault for name, fault in faults.items()}))
        return held[-1]

    yield federation
    for one in held:
        one.end()


def averaging(**knobs):
    mean = {"clip": 1.0, "weight_max": 100, "value_bits": 20, "metrics": {"loss": (0.0, 1.0)}, "early_keys": False}
    return Averaging(PushSettings.of({"grace": 1.0, "stage_timeout": 5.0, **mean, **knobs}), "examples")


def assert_mean_of(done, survivors):
    total = sum(10 * own for own in survivors)
    moved = sum(10 * own / total * own / 100 for own in survivors)
    bound = len(survivors) * 100 / total * 2.0 / (2**20 - 1) + TOLERANCE
    assert np.abs(done.arrays["weight"] - MODEL["weight"] - moved).max() <= bound
    assert done.arrays["count"] == 7
    assert done.outcome.survivors == tuple(survivors)


def test_a_round_gives_the_mean_of_those_that_came(make, caplog):
    federation = make(site_1="silent", site_4="fails")
    done = averaging().round(federation.received(), MODEL, NAMES, federation)
    assert_mean_of(done, [2, 3, 5])
    assert done.metrics["loss"] == pytest.approx(0.5, abs=1e-3)
    assert federation.closed == 1
    said = [record.getMessage() for record in caplog.records if "forged" in record.getMessage()]
    assert len(said) == 2
    assert not any("\n" in line for line in said), "what a site wrote is one line of the log"


def test_who_is_slow_is_waited_for_as_long_as_grace_says_and_deals_no_keys_meanwhile(make):
    federation = make(site_2="slow")
    rounds = averaging()
    began = time.monotonic()
    done = rounds.round(federation.received(), MODEL, NAMES, federation)
    assert_mean_of(done, [1, 3, 4, 5])
    assert time.monotonic() - began < 20
    federation.faults = {}
    federation.model = done.arrays
    done = rounds.round(federation.received(2), federation.model, NAMES, federation)
    assert done.outcome.survivors == (1, 3, 4, 5)
    (refused,) = done.outcome.refused
    assert refused.by_site
    assert refused.peer == "site-2"
    assert "still trains for round 1" in refused.reason
    federation.end()
    federation.model = done.arrays
    done = rounds.round(federation.received(3), federation.model, NAMES, federation)
    assert done.outcome.survivors == (1, 2, 3, 4, 5), "it is back"


def test_a_round_that_fails_after_vectors_came_ends_the_training(make):
    federation = make(site_1="fails", site_2="fails", site_3="fails")
    rounds = averaging()
    with pytest.raises(TrainingFailed, match="no site answers twice for one model"):
        rounds.round(federation.received(), MODEL, NAMES, federation)
    assert rounds.training.skipped == 1


def test_a_round_in_which_nobody_was_asked_for_a_vector_is_skipped(make):
    federation = make(**{name.replace("-", "_"): "silent" for name in NAMES[:3]})
    rounds = averaging()
    done = rounds.round(federation.received(), MODEL, NAMES, federation)
    assert done.outcome.failure is not None
    assert done.arrays is MODEL
    assert not federation.closed
    with pytest.raises(TrainingFailed, match="0 of 1 rounds gave a model"):
        rounds.end(federation)


def test_too_few_sites_are_no_round(make):
    federation = make()
    rounds = averaging()
    with pytest.raises(ParameterError, match="2 sites are sampled"):
        rounds.round(federation.received(), MODEL, NAMES[:2], federation)
    done = rounds.round(federation.received(), MODEL, NAMES, federation)
    federation.model = done.arrays
    assert rounds.round(federation.received(2), done.arrays, NAMES[:2], federation).outcome is None, (
        "later it is skipped"
    )


def test_nobody_is_waited_for_once_the_job_is_called_off(make):
    federation = make(site_2="slow", site_3="slow", site_4="slow")
    send = federation.send

    def call_off(peers, limit, arrived):
        send(peers, limit, arrived)
        federation.called_off = True

    federation.send = call_off
    rounds = averaging(train_timeout=600.0)
    began = time.monotonic()
    assert rounds.round(federation.received(), MODEL, NAMES, federation).outcome.failure is not None
    assert time.monotonic() - began < 20
    assert rounds.round(federation.received(2), MODEL, NAMES, federation).outcome is None
    rounds.end(federation)


def test_a_calibration_stops_the_training_and_says_what_to_pin(make):
    federation = make()
    with pytest.raises(TrainingFailed, match="pin them and start again: clip="):
        averaging(clip="calibrate").round(federation.received(), MODEL, NAMES, federation)


def test_a_round_with_noise_is_charged_when_vectors_are_asked_for(make):
    federation = make(site_5="fails")
    rounds = averaging(
        clip=None,
        weight_max=None,
        metrics=None,
        value_bits=None,
        grace=1.0,
        dp_epsilon=8.0,
        dp_delta=1e-3,
        dp_rounds=1,
        dp_clip=1.0,
        dp_tolerated=1,
    )
    done = rounds.round(federation.received(), MODEL, NAMES, federation)
    assert done.outcome.survivors == (1, 2, 3, 4)
    assert max(rounds.training.epsilon.values()) > 0
    federation.model = done.arrays
    with pytest.raises(TrainingFailed, match="the privacy budget is spent"):
        rounds.round(federation.received(2), done.arrays, NAMES, federation)


@pytest.mark.parametrize(
    ("number", "arrays", "received", "reason"),
    [
        (2, MODEL, MODEL, "InputError: the task is of round 2, the proposal of 1"),
        (True, MODEL, MODEL, "InputError: the task is of round True"),
        (1, MODEL, {"weight": np.zeros((2, 2))}, "ProtocolViolation: the model and configuration are not those"),
        (1, {"weight": np.zeros(5)}, MODEL, "ParameterError: length="),
    ],
)
def test_a_task_that_is_not_what_the_round_is_about_is_not_begun(make, number, arrays, received, reason):
    federation = make()
    here = federation.sites["site-1"]
    said = []

    def train(peer, arrived):
        arrived.put((peer, "nothing"))
        if peer == "site-1":
            with pytest.raises((ProtocolViolation, InputError, ParameterError)) as refused:
                here.begin(peer, number, arrays, received_digest(received, "train"))
            said.append(f"{type(refused.value).__name__}: {refused.value}")
            with pytest.raises(ProtocolViolation, match="without a step of the protocol"):
                here.begin(peer, 1, MODEL, received_digest(MODEL, "train"))  # what was refused stays refused

    federation.train = train
    averaging().round(federation.received(), MODEL, NAMES, federation)
    federation.end()
    assert said[0].startswith(reason)


def test_a_vector_for_what_was_not_shown_is_refused(make):
    federation = make()
    here = federation.sites["site-1"]
    said = []

    def train(peer, arrived):
        arrived.put((peer, "nothing"))
        if peer == "site-1":
            due = here.begin(peer, 1, MODEL, received_digest(MODEL, "train"))
            due.give(lambda: (change(MODEL, MODEL), {"examples": 1, "loss": 0.0}), received_digest({}, "train"))
            said.append(due.reason)

    federation.train = train
    averaging().round(federation.received(), MODEL, NAMES, federation)
    federation.end()
    assert said[0].startswith("ProtocolViolation: the model and configuration are not those")


def test_sites_are_awaited_all_at_first_and_then_as_many_as_are_needed(make):
    federation = make()
    settings = PushSettings.of({"clip": 1.0, "weight_max": 0, "start_timeout": 0.01})
    there = iter([(3, 5), (5, 5)])
    await_peers(lambda: next(there), 4, federation, PushSettings.of({"clip": 1.0, "weight_max": 0}))
    assert next(there, None) is None
    await_peers(lambda: (4, 5), 4, federation, settings)
    with pytest.raises(StateError, match=r"3 of 5 sites are there after start_timeout=0\.01 s, fewer than 4"):
        await_peers(lambda: (3, 5), 4, federation, settings)


def test_what_is_no_request_is_refused(make):
    answers, reason = make().sites["site-1"].answer({"not": "bytes"})
    assert reason == "WireError: this is no request of secagg"
    assert isinstance(answers, bytes)
