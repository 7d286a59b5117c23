"""`secagg simulate`: the sum is exact, the costs are there, and a bad call says why in one line."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from secagg.cli.workload import Workload
from secagg_protocols import Output
from secagg_protocols.lanes import Lanes

Command = Callable[..., Any]  # tests/cli/conftest.py

PROMISED = {
    "scheme", "adversary", "clients", "length", "dropped", "survivors", "max_abs_error", "precision", "exact",
    "client_ms", "server_ms", "server_wall_s", "upload_bytes", "download_bytes", "peak_rss_mb", "limit_ms", "ratio",
}  # fmt: skip


@pytest.mark.parametrize("scheme", ["plain", "bonawitz", "lightsecagg"])
@pytest.mark.parametrize("drop", [0, 0.2])
def test_a_round_is_exact_and_reports_what_it_cost(secagg_command: Command, scheme: str, drop: float) -> None:
    ended = secagg_command("simulate", "--scheme", scheme, "--clients", 10, "--length", 300, "--drop", drop, "--json")
    assert ended.code == 0, ended.stderr
    result = ended.json()
    assert result.keys() >= PROMISED
    assert result["scheme"] == scheme
    assert (result["dropped"], result["survivors"]) == (10 * drop, 10 - 10 * drop)
    assert result["exact"] is True
    assert result["max_abs_error"] == 0
    assert result["upload_bytes"] > 300 * 2
    assert result["client_ms"]["total"] >= 0


@pytest.mark.parametrize("step", ["AdvertiseKeys", "ShareKeys", "MaskedInput", "ConsistencyCheck", "Unmasking"])
def test_participants_may_vanish_at_any_step(secagg_command: Command, step: str) -> None:
    ended = secagg_command(
        "simulate", "--adversary", "active", "--clients", 10, "--length", 50, "--drop", 0.2, "--drop-at", step, "--json"
    )
    assert ended.code == 0, ended.stderr
    result = ended.json()
    assert result["exact"]
    assert result["dropped"] == 2
    gave_their_input = step in {"ConsistencyCheck", "Unmasking"}
    assert result["survivors"] == (10 if gave_their_input else 8)


@pytest.mark.parametrize("where", ["--threads", "--processes"])
def test_the_server_may_unmask_on_many_cores(secagg_command: Command, where: str) -> None:
    ended = secagg_command("simulate", "--clients", 6, "--length", 300, "--drop", 0.3, where, 2, "--json")
    assert ended.code == 0, ended.stderr
    assert ended.json()["exact"]
    assert ended.json()[where.removeprefix("--")] == 2


def test_people_read_a_table_on_stdout(secagg_command: Command) -> None:
    ended = secagg_command("simulate", "--clients", 5, "--length", 20)
    assert ended.code == 0
    assert "sum: exact" in ended.stdout


def test_with_json_people_read_stderr(secagg_command: Command) -> None:
    ended = secagg_command("simulate", "--clients", 5, "--length", 20, "--json")
    assert ended.json()["exact"]
    assert "sum: exact" in ended.stderr


def test_a_failed_round_leaves_with_1_and_one_line(secagg_command: Command) -> None:
    ended = secagg_command("simulate", "--clients", 10, "--length", 20, "--drop", 1, "--json")
    assert ended.code == 1
    assert "round failed" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert "round failed" in ended.json()["error"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--drop", "1.5"],
        ["--clients", "0"],
        ["--scheme", "nonsense"],
        ["--drop-at", "Tuesday"],
        ["--threads", "2", "--processes", "2"],
        ["--clients", "10", "--threshold", "11"],
        ["--clients", "10", "--adversary", "active", "--threshold", "5"],
    ],
)
def test_bad_usage_leaves_with_2_and_no_traceback(secagg_command: Command, arguments: list[str]) -> None:
    ended = secagg_command("simulate", *arguments)
    assert ended.code == 2
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_the_seed_fixes_vectors_and_dropouts() -> None:
    one, same, other = Workload(1, 10, 20, 16), Workload(1, 10, 20, 16), Workload(2, 10, 20, 16)
    assert (one.vector(3) == same.vector(3)).all()
    assert (one.vector(3) != one.vector(4)).any()
    assert (one.vector(3) != other.vector(3)).any()
    assert one.vanishing(0.3) == same.vanishing(0.3)
    assert len(one.vanishing(0.3)) == 3
    assert set(one.vanishing(1)) == set(range(1, 11))


@pytest.mark.parametrize("bits", [1, 8, 16, 24, 32, 40])
def test_vectors_fill_their_range(bits: int) -> None:
    vector = Workload(0, 1, 2000, bits).vector(1)
    assert vector.max() < 1 << bits
    assert bits > 8 or len(set(vector.tolist())) == 1 << bits


@pytest.mark.parametrize("length", [1, 1000, 131073, 300_000])
@pytest.mark.parametrize("bits", [13, 16])
def test_one_wrong_value_anywhere_is_seen(length: int, bits: int) -> None:
    workload, survivors = Workload(3, 4, length, bits), (1, 3, 4)
    total = sum(workload.vector(survivor).astype(np.uint64) for survivor in survivors)
    lanes = Lanes.of(length, 18)
    assert workload.largest_difference(Output(lanes.pack(total), survivors, lanes)) == 0
    for position in (0, length // 2, length - 1):
        wrong = total.copy()
        wrong[position] += 5
        assert workload.largest_difference(Output(wrong, survivors)) == 5
