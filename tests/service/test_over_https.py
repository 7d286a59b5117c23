"""One coordinator and five sites, each a process with its own files, as the command line starts them.

One site is killed when it has computed its vector and before it sends it; then the coordinator is killed, too. Both are
started again, and the figures are those of the pooled table. All logs agree.
"""

import json

import numpy as np
import pytest

from secagg.round.audit import Log, compare, verify
from secagg.stats import Category, FollowUp, KaplanMeier, Mean, Number, Query

from .conftest import NAMES

MASKED_INPUT = 3
"""The request that a vector answers."""


@pytest.fixture(scope="module")
def tables():
    """Site → its rows: months of follow-up, whether it ended with an event, and sex."""
    draw = np.random.default_rng(5)
    columns = ([12, 24, 36, 48], 60), (["0", "1"], 60), (["f", "m"], 60)
    return {name: tuple(draw.choice(*column) for column in columns) for name in NAMES}


def write_files(folder, federation, tables):
    """Write what every site has of its own, and the query."""
    columns = {"time": Number(-1, 61, 0), "event": Category(("0", "1")), "sex": Category(("f", "m"))}
    statistics = (Mean("time", by="sex"), KaplanMeier(FollowUp("time", "event", horizon=60)))
    query = Query(columns=columns, rows=1000, minimum_cell=5, statistics=statistics)
    (folder / "query.json").write_bytes(query.to_json())
    for name, table in tables.items():
        rows = "\n".join(",".join(map(str, row)) for row in zip(*table, strict=True))
        (folder / f"{name}.csv").write_text(f"time,event,sex\n{rows}\n")
        policy = {
            "secagg-store": str(folder / f"{name} store"),
            "secagg-audit": str(folder / f"{name}.jsonl"),
            "secagg-stats-ledger": str(folder / f"{name} ledger.jsonl"),
        }
        (folder / f"{name} policy.json").write_text(json.dumps(policy))


def test_figures_of_five_processes_are_those_of_the_pooled_table(processes, federation, certificate, tables, tmp_path):
    write_files(tmp_path, federation, tables)
    roster = federation.folder / "roster.json"

    def join(name, dies_at=0):
        return processes.start(
            name, "join", url, "--identity", federation.file(name), "--roster", roster, "--data",
            tmp_path / f"{name}.csv", "--policy", tmp_path / f"{name} policy.json", "--tls-cert", certificate, "--once",
            dies_at=dies_at,
        )  # fmt: skip

    coordinator = processes.serve(federation, certificate)
    url = processes.url()
    sites = {name: join(name, dies_at=MASKED_INPUT if name == "mid" else 0) for name in NAMES}
    sites["mid"].join(30)
    assert sites["mid"].exitcode == -9, processes.output("mid").read_text()
    coordinator.kill()
    coordinator.join(10)
    coordinator = processes.serve(federation, certificate, url.rpartition(":")[2])
    sites["mid"] = join("mid")
    for name, process in {**sites, "coordinator": coordinator}.items():
        process.join(30)
        assert process.exitcode == 0, (name, processes.output(name).read_text())

    found = json.loads((tmp_path / "result.json").read_text())
    assert [one["sites"] for one in found["results"]] == [5, 5]
    check_figures(found["results"], tables)
    check_logs(federation, tmp_path)


def check_figures(results, tables):
    """Means and counts by sex, and survival in all: those of one table."""
    times, events, sexes = map(np.concatenate, zip(*tables.values(), strict=True))
    means, survival = results
    for row in means["rows"]:
        chosen = times[sexes == row["group"]]
        assert row["n"] == len(chosen)
        assert row["mean"] == pytest.approx(chosen.mean(), rel=1e-12)
    assert [row["group"] for row in means["rows"]] == ["f", "m"]
    (curve,) = survival["curves"]
    assert curve["times"] == [12, 24, 36, 48]
    ended = [(times[events == "1"] == time).sum() / (times >= time).sum() for time in curve["times"]]
    assert curve["survival"] == pytest.approx(np.cumprod(1 - np.array(ended)), rel=1e-12)


def check_logs(federation, folder):
    """Each log is whole and signed by its party, and they agree."""
    keys = federation.roster
    paths = {0: folder / "state" / "audit.jsonl"}
    paths |= {number: folder / f"{name}.jsonl" for number, name in enumerate(NAMES, 1)}
    logs = [Log(path, list(verify(path, keys.key_of(own), "x25519")), own) for own, path in paths.items()]
    assert all(log.lines for log in logs)
    assert not compare(logs)
