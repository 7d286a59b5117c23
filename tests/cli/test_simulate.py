"""`secagg simulate`: the sum is exact, the costs are there, and a bad call says why in one line."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from secagg.cli.workload import Workload
from secagg.schemes import ONE_KEY, SCHEMES, WITHSTAND_ACTIVE
from secagg_protocols import Output
from secagg_protocols.packing.lanes import Lanes

Command = Callable[..., Any]  # tests/cli/conftest.py

PROMISED = {
    "scheme", "adversary", "clients", "length", "dropped", "survivors", "max_abs_error", "precision", "exact",
    "client_ms", "server_ms", "server_wall_s", "upload_bytes", "download_bytes", "peak_rss_mb", "limit_ms", "ratio",
}  # fmt: skip


@pytest.mark.parametrize("drop", [0, 0.2])
def test_a_round_is_as_exact_as_the_scheme_says_and_reports_what_it_cost(
    secagg_command: Command, scheme: str, drop: float
) -> None:
    # secagg-plus takes fewer neighbours than ten participants that may vanish can spare.
    neighbours = ["--neighbours", 9, "--threshold", 6] if scheme == "secagg-plus" else []
    shape = ["--clients", 10, "--length", 300, "--drop", drop, *neighbours]
    ended = secagg_command("simulate", "--scheme", scheme, *shape, "--json")
    assert ended.code == 0, ended.stderr
    result = ended.json()
    assert result.keys() >= PROMISED
    assert result["scheme"] == scheme
    assert (result["dropped"], result["survivors"]) == (10 * drop, 10 - 10 * drop)
    assert result["exact"] is True
    assert result["precision"] == result["max_abs_error"] == 0
    assert result["upload_bytes"] > 300 * 2
    steps = {step.value for step in SCHEMES[scheme](10, 300).steps}
    assert steps | {"total"} == result["client_ms"].keys() == result["server_ms"].keys()
    assert all(ms >= 0 for ms in (*result["client_ms"].values(), *result["server_ms"].values()))
    limited = scheme in ("bonawitz", "secagg-plus", "lightsecagg")
    assert (result["ratio"]["client"] is not None) == limited
    assert (result["ratio"]["server"] is not None) == (limited and scheme != "lightsecagg")


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
    assert (ended.json()["ratio"]["server"] is None) == (where == "--processes")


@pytest.mark.parametrize("scheme", ["lightsecagg", "bfv"], indirect=True)
def test_processes_leave_the_server_s_ratio_open(secagg_command: Command, scheme: str) -> None:
    shape = ["--clients", 5, "--length", 20_000, "--drop", 0.2]
    ended = secagg_command("simulate", "--scheme", scheme, *shape, "--processes", 2, "--json")
    assert ended.code == 0, ended.stderr
    assert ended.json()["exact"]
    assert ended.json()["ratio"]["server"] is None


@pytest.mark.parametrize("scheme", ["ckks"], indirect=True)
def test_people_read_how_far_a_rounded_sum_is_off(secagg_command: Command, scheme: str) -> None:
    raw = ["--clients", 5, "--length", 20, "--raw-precision", 4]
    ended = secagg_command("simulate", "--scheme", scheme, *raw)
    assert ended.code == 0, ended.stderr
    assert "(raw_precision=4)" in ended.stdout
    result = secagg_command("simulate", "--scheme", scheme, *raw, "--json").json()
    assert result["precision"] == 4
    assert result["exact"] == (result["max_abs_error"] <= 4)
    refused = secagg_command("simulate", *raw)
    assert refused.code == 2
    assert "bonawitz has no --raw-precision" in refused.stderr


@pytest.mark.parametrize("scheme", sorted(SCHEMES.keys() - WITHSTAND_ACTIVE))
def test_an_active_server_is_refused_by_the_name_of_the_scheme(secagg_command: Command, scheme: str) -> None:
    ended = secagg_command("simulate", "--scheme", scheme, "--adversary", "active")
    assert ended.code == 2
    assert scheme in ended.stderr
    assert "choose bonawitz" in " ".join(ended.stderr.replace("│", "").split())
    assert ended.stdout == ""


@pytest.mark.parametrize("scheme", sorted(WITHSTAND_ACTIVE))
def test_who_withstands_an_active_server_says_so(secagg_command: Command, scheme: str) -> None:
    shape = ["--clients", 7, "--length", 20, "--drop", 0.2, "--colluders", 1]
    ended = secagg_command("simulate", "--scheme", scheme, "--adversary", "active", *shape, "--json")
    assert ended.code == 0, ended.stderr
    assert (ended.json()["adversary"], ended.json()["exact"]) == ("active", True)


@pytest.mark.parametrize("scheme", sorted(ONE_KEY), indirect=True)
@pytest.mark.parametrize("command", ["simulate", "train"])
def test_colluders_are_refused_under_one_key_and_told_why(secagg_command: Command, command: str, scheme: str) -> None:
    ended = secagg_command(command, "--scheme", scheme, "--colluders", 1)
    assert ended.code == 2
    assert re.search(rf"{scheme} (any )?one (participant|institution) and the server together open every", ended.stderr)
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stdout == ""


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


def test_a_step_to_drop_out_at_is_refused_where_nobody_drops_out(secagg_command: Command) -> None:
    ended = secagg_command("simulate", "--drop-at", "Unmasking", "--drop", 0.01)
    assert ended.code == 2
    assert "--drop-at" in ended.stderr
    assert "--drop 0.01 of 10 participants; use a larger --drop" in ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--drop", "1.5"],
        ["--clients", "0"],
        ["--scheme", "nonsense"],
        ["--drop-at", "Tuesday"],
        ["--threads", "2", "--processes", "2"],
        ["--clients", "10", "--threshold", "11"],
        ["--threshold", "0"],
        ["--scheme", "plain", "--threshold", "3"],
        ["--length", "100000000000", "--clients", "3"],
        ["--clients", "100000000", "--length", "1"],
        ["--clients", "10", "--adversary", "active", "--threshold", "5"],
        ["--scheme", "bfv", "--neighbours", "3"],
        ["--scheme", "bfv", "--drop-at", "Unmasking"],
        ["--scheme", "ckks", "--bits", "63"],
    ],
)
def test_bad_usage_leaves_with_2_and_no_traceback(secagg_command: Command, arguments: list[str]) -> None:
    ended = secagg_command("simulate", *arguments)
    assert ended.code == 2
    assert ended.stderr.startswith("secagg: ")
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stdout == ""


def test_the_seed_fixes_vectors_and_dropouts() -> None:
    one, same, other = Workload(1, 10, 20, 16), Workload(1, 10, 20, 16), Workload(2, 10, 20, 16)
    assert (one.vector(3) == same.vector(3)).all()
    assert (one.vector(3) != one.vector(4)).any()
    assert (one.vector(3) != other.vector(3)).any()
    assert one.dropouts(0.3) == same.dropouts(0.3)
    assert len(one.dropouts(0.3)) == 3
    assert set(one.dropouts(1)) == set(range(1, 11))


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
