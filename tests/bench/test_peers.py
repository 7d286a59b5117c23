"""The comparison says who ran, who did not and why; every sum is the plain sum; nothing is left running."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from secagg_bench.peers import command, engine, naive, ours
from secagg_bench.peers.command import run_peers
from secagg_bench.peers.runner import Contestant, Outcome, Status, line_up, ratios, run_one
from secagg_bench.peers.task import Cost, CpuClock, Task
from secagg_bench.peers.worker import MOST_ROUNDS, measure_repeatedly

COMPLETE = Task(clients=6, length=50, dropped=1, neighbours=5, threshold=4)
SPARSE = Task(clients=30, length=50, dropped=1, neighbours=20, threshold=11, scheme="secagg-plus")
LIMIT_S = 120.0

app = typer.Typer()
app.command()(run_peers)


def package(folder: Path, name: str, source: str) -> None:
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(source, encoding="utf-8")


def contestant(module: str, task: Task = COMPLETE) -> Contestant:
    return Contestant(module, module, task, "ours")


@pytest.mark.parametrize("task", [COMPLETE, SPARSE], ids=["complete", "sparse"])
def test_ours_is_the_plain_sum(task: Task) -> None:
    assert ours.measure(task).max_abs_error < 1e-4  # measure raises unless the integer sum is exact


def test_the_naive_baseline_is_the_plain_sum() -> None:
    vectors = {participant: np.arange(20, dtype=np.uint32) * participant for participant in range(1, 6)}
    total, upload = naive.secure_sum(vectors, range(1, 3), CpuClock())
    assert total.tolist() == [(3 + 4 + 5) * value for value in range(20)]
    assert upload == 32 + 8 * 20 + 2 * 32
    assert naive.measure(COMPLETE).max_abs_error < 1e-4


def test_a_naive_upload_is_masked() -> None:
    alone, other = naive.Peer(1), naive.Peer(2)
    alone.agree({2: other.public()})
    assert not np.array_equal(np.frombuffer(alone.masked(np.zeros(8, np.uint32)), np.uint64), np.zeros(8))


def test_a_wrong_mean_is_refused() -> None:
    with pytest.raises(ArithmeticError, match="wrong by"):
        COMPLETE.error_of(np.full(COMPLETE.length, 0.5))
    with pytest.raises(ArithmeticError, match="wrong by"):
        COMPLETE.error_of(np.full(COMPLETE.length, np.nan))


@pytest.mark.parametrize(
    ("module", "needs", "install"), [("flower", "flwr", "flwr[simulation]=="), ("flare", "tenseal", "nvflare==")]
)
def test_a_missing_peer_is_skipped_by_name(
    module: str, needs: str, install: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(tmp_path, needs, f"raise ModuleNotFoundError('No module named {needs}', name={needs!r})")
    monkeypatch.syspath_prepend(str(tmp_path))
    outcome = run_one(contestant(module), LIMIT_S)
    assert outcome.status is Status.SKIPPED
    assert outcome.reason is not None
    assert outcome.reason.startswith(f"{needs} is not installed; pip install")
    assert install in outcome.reason


def test_a_peer_that_hangs_is_killed_with_all_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
        import pathlib, subprocess, time
        child = subprocess.Popen(["sleep", "600"])
        pathlib.Path(__file__).with_name("child").write_text(str(child.pid))
        time.sleep(600)
    """
    package(tmp_path, "flwr", "\n".join(line.strip() for line in source.splitlines()))
    monkeypatch.syspath_prepend(str(tmp_path))
    before = time.monotonic()
    outcome = run_one(contestant("flower"), 5)
    assert time.monotonic() - before < 60
    assert (outcome.status, outcome.reason) == (Status.TIMED_OUT, "killed after 5 s")
    child = int((tmp_path / "flwr" / "child").read_text())
    for _ in range(100):
        if not is_running(child):
            break
        time.sleep(0.05)
    assert not is_running(child)


def test_a_worker_ends_by_itself_when_nobody_watches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, "flwr", "import time; time.sleep(600)")
    monkeypatch.syspath_prepend(str(tmp_path))
    command = [sys.executable, "-m", "secagg_bench.peers.worker", "flower", "{}", str(tmp_path / "result"), "1"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    assert subprocess.run(command, env=environment, timeout=LIMIT_S, check=False).returncode == -signal.SIGALRM


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


def test_a_peer_that_fails_is_reported_with_its_last_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, "flwr", "raise RuntimeError('no luck today')")
    monkeypatch.syspath_prepend(str(tmp_path))
    outcome = run_one(contestant("flower"), LIMIT_S)
    assert (outcome.status, outcome.reason) == (Status.FAILED, "RuntimeError: no luck today")


def test_ratios_are_to_ours_at_the_same_parameters() -> None:
    contestants = line_up(100, 10, 10, 20, 11)
    outcomes = [
        Outcome(each, Status.MEASURED, Cost("1", 10.0 * place, 30.0 * place, 7.0 * place, 0.0, server_wire_ms=20.0))
        for place, each in enumerate(contestants, start=1)
    ]
    against = {each.label: each.against for each in contestants}
    assert against["Flower SecAgg+ 21/11"] == "ours 21/11"
    assert against["Flower SecAgg+ 100/67"] == against["FLARE HE"] == against["naive numpy"] == "ours 100/67"
    assert {each.task.threshold for each in contestants if each.label.endswith("21/11")} == {11}
    sparse = ratios(outcomes[2], outcomes)  # third in line, against the second
    assert sparse is not None
    assert (sparse.client, sparse.server, sparse.upload) == (1.5, 1.5, 1.5)
    assert sparse.server_without_wire == pytest.approx((90 - 20) / 60)


def test_short_rounds_are_repeated_and_the_median_counts() -> None:
    times = iter([900.0, 3.0, 1.0, 2.0, 2.0, 2.0, 50.0])
    cost = measure_repeatedly(lambda _: Cost("1", next(times), 1.0, 7.0, 0.0, client_wire_ms=0.5), COMPLETE)
    assert (cost.client_ms, cost.client_wire_ms, cost.server_wire_ms, cost.rounds) == (2.0, 0.5, None, MOST_ROUNDS)


def test_json_is_one_object_and_names_who_was_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, "flwr", "raise ModuleNotFoundError('gone', name='flwr')")
    monkeypatch.syspath_prepend(str(tmp_path))
    arguments = ["--clients", "6", "--length", "50", "--dropped", "1", "--only", "flower", "--json"]
    arguments += ["--engine-nodes", "0"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    found = {row["name"]: row for row in json.loads(result.stdout)["peers"]}
    assert found["ours 6/4"]["status"] == "measured"
    assert found["ours 6/4"]["ratios"]["upload"] == 1
    skipped = found["Flower SecAgg+ 6/4"]
    assert (skipped["status"], skipped["ratios"]) == ("skipped", None)
    assert "Flower SecAgg+ 6/4: skipped: flwr is not installed; pip install 'flwr[simulation]" in result.stderr


def test_rounds_in_flowers_engine_stand_beside_or_are_skipped_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "find_spec", lambda name: None)
    monkeypatch.setattr(command, "run_one", lambda contestant, limit: Outcome(contestant, Status.SKIPPED))
    result = CliRunner().invoke(app, ["--only", "flower", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["engine"]["status"] == "skipped"
    assert "Flower's engine: skipped: flwr is not installed; pip install" in result.stderr
    alone = CliRunner().invoke(app, ["--only", "naive", "--json"])
    assert json.loads(alone.stdout)["engine"] is None, "nobody asked for Flower"


@pytest.mark.parametrize(
    "arguments",
    [["--dropped", "50"], ["--only", "somebody"], ["--clients", "3"], ["--engine-nodes", "2"]],
    ids=lambda given: given[0],
)
def test_impossible_requests_are_bad_usage(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


@pytest.mark.parametrize(
    ("module", "needs"),
    [
        pytest.param(module, needs, marks=pytest.mark.skipif(find_spec(needs) is None, reason=f"{needs} not installed"))
        for module, needs in (("flower", "flwr"), ("flare", "nvflare"))
    ],
)
def test_an_installed_peer_computes_the_mean(module: str, needs: str) -> None:
    outcome = run_one(contestant(module), LIMIT_S)
    assert outcome.status is Status.MEASURED, outcome.reason  # its worker refuses a wrong mean
    assert outcome.cost is not None
    assert outcome.cost.upload_bytes > 4 * COMPLETE.length
