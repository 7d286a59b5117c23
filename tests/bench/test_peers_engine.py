"""Both apps run in Flower's real engine, every mean is right, and nothing is left running. No timing is asserted."""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from secagg_bench.peers import engine, engine_command, flare_engine
from secagg_bench.peers.engine import complete, run_engine
from secagg_bench.peers.flare_engine import SimulatedRounds
from secagg_bench.peers.processes import EngineTimedOut, cpu_seconds

CLIENTS, ROUNDS, LIMIT_S = 5, 1, 150

app = typer.Typer()
app.command()(engine_command.run_flower)
flare = typer.Typer()
flare.command()(engine_command.run_flare)


def running(mark: str) -> list[str]:
    """Processes with this in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (entry / "environ").read_bytes():
                found.append(entry.name)
        except OSError:
            continue
    return found


@pytest.fixture
def real_engine(tmp_path, monkeypatch):
    """Flower's engine, of which nothing runs any more when the test has ended."""
    if lacking := engine.missing():
        pytest.skip(f"{lacking} is not installed")
    monkeypatch.setenv("SECAGG_TEST_MARK", str(tmp_path))
    monkeypatch.setenv("RAY_OVERRIDE_RESOURCES", '{"CPU": 1}')  # one worker: each takes seconds to start
    yield
    assert not running(f"SECAGG_TEST_MARK={tmp_path}")


@pytest.mark.usefixtures("real_engine")
def test_both_sides_finish_in_the_real_engine_and_leave_nothing():
    options = ["--clients", CLIENTS, "--length", 50, "--rounds", ROUNDS, "--limit", LIMIT_S, "--json"]
    result = CliRunner().invoke(app, [str(option) for option in options])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert [side["name"] for side in told["sides"]] == ["ours", "Flower SecAgg+"]
    for side in told["sides"]:
        assert len(side["wall_s"]) == len(side["cpu_s"]) == ROUNDS
    assert told["ours_to_flower"]["wall"] > 0


@pytest.mark.usefixtures("real_engine")
def test_a_run_is_ended_at_its_limit():
    with pytest.raises(EngineTimedOut):
        run_engine("ours", complete(CLIENTS, 50, 4), ROUNDS, limit_s=3)


def test_without_flower_it_is_skipped_by_name(monkeypatch):
    monkeypatch.setattr(engine, "find_spec", lambda name: None if name == "flwr" else find_spec(name))
    result = CliRunner().invoke(app, ["--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["status"] == "skipped"
    assert "flwr is not installed" in json.loads(result.stdout)["reason"]


def test_without_flare_it_is_skipped_by_name(monkeypatch):
    monkeypatch.setattr(flare_engine, "find_spec", lambda name: None if name == "nvflare" else find_spec(name))
    told = json.loads(CliRunner().invoke(flare, ["--json"]).stdout)
    assert (told["status"], told["reason"].partition(" ")[0]) == ("skipped", "nvflare")


@pytest.mark.parametrize("as_json", [True, False])
def test_flares_comparison_is_of_wall_time_cpu_time_and_bytes(monkeypatch, as_json):
    """The simulator itself takes longer than a test may: its figures are made up here."""
    measured = {
        "ours": SimulatedRounds("2.9.0", 3.0, (2.0, 2.0), (1.0, 1.0), 1e-6, 3.5e6),
        "flare": SimulatedRounds("2.9.0", 9.0, (8.0, 8.0), (10.0, 10.0), 1e-7, 56e6),
    }
    monkeypatch.setattr(flare_engine, "find_spec", lambda name: name)
    monkeypatch.setattr(engine_command, "run_simulator", lambda side, task, rounds, limit: measured[side])
    result = CliRunner().invoke(flare, ["--json"] if as_json else [])
    assert result.exit_code == 0, result.output
    if as_json:
        told = json.loads(result.stdout)
        assert told["ours_to_flare"] == {"wall": 0.25, "cpu": 0.1, "upload": 1 / 16}
        assert (told["clients"], told["length"]) == (5, 1_000_000)
    else:
        assert "3.5 MB" in result.stdout
        assert "ours ÷ FLARE's" in result.stdout
        assert "0.25×" in result.stdout


def test_the_bytes_of_a_round_are_those_that_flare_counts(tmp_path):
    stats = tmp_path / "server" / "pool_stats"
    stats.mkdir(parents=True)
    buckets = [
        "",
        {"count": 3, "total": 1.5, "min": 0.5, "max": 0.5},
        {"count": 1, "total": 0.5, "min": 0.5, "max": 0.5},
    ]
    pools = {flare_engine.COUNTED: {"pool": {"cat_data": {"data": buckets, "ack": ["", ""]}}}}
    (stats / "simulator_cell_stats.json").write_text(json.dumps(pools), encoding="utf-8")
    assert flare_engine.bytes_sent(tmp_path) == 2 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="CPU time is read from /proc")
def test_cpu_seconds_of_a_home_that_nobody_has_are_none(tmp_path):
    assert cpu_seconds(tmp_path) == 0
