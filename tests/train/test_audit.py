"""A training leaves a log of every party: what came of each round is what the next is about, failed rounds too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from secagg.round import audit
from secagg.train import TrainConfig, run
from secagg.train.rounds import federate
from secagg.train.setup import make_setup
from secagg_protocols import Roster
from secagg_protocols.errors import InputError


def config(folder: Path, **changes: object) -> TrainConfig:
    return TrainConfig.of(**({"rounds": 3, "institutions": 4, "report": None, "audit": folder} | changes))


def logs_in(folder: Path) -> list[audit.Log]:
    """All logs, verified by the roster beside them; the server's first."""
    entries = {entry.id: entry.public_key for entry in Roster.load(folder / "roster.json").entries}
    names = {own: f"participant-{own}.jsonl" if own else "server.jsonl" for own in entries}
    return [
        audit.Log(folder / names[own], list(audit.verify(folder / names[own], entries[own])), own) for own in entries
    ]


SHARED = {"dp": "distributed", "local_steps": 1, "institutions": 5}


@pytest.mark.parametrize(
    "changes", [{}, SHARED, {"epsilon": None, "scheme": "lightsecagg", "institutions": 6, "dropouts": 1}]
)
def test_every_round_of_a_training_is_in_the_logs_and_they_agree(tmp_path: Path, changes: dict[str, object]) -> None:
    result = run(config(tmp_path / "logs", **changes))
    server, *sites = logs_in(tmp_path / "logs")
    assert audit.compare([server, *sites]) == []
    records = [line.record for line in server.lines]
    assert [record["round"] for record in records] == [one.round for one in result.rounds]
    assert [tuple(record["survivors"]) for record in records] == [one.survivors for one in result.rounds]
    assert [record["epsilon"].get("server with colluders") for record in records] == [
        one.epsilon for one in result.rounds
    ]
    for earlier, later in zip(records, records[1:], strict=False):
        assert earlier["model_after"] == later["model"]


def test_a_training_whose_rounds_fail_leaves_their_records(tmp_path: Path) -> None:
    setup = make_setup(config(tmp_path / "logs", dropouts=0, slow_sites=0))
    calm = setup.plans[0]
    massacre = replace(calm, dropouts=dict.fromkeys(range(1, 4), "MaskedInput"))
    outcome = federate(replace(setup, plans=(calm, massacre, calm)), lambda number, line: None)
    server, *sites = logs_in(tmp_path / "logs")
    failed = [line.record["failure"] for line in server.lines]
    assert failed == [one.failed or "" for one in outcome.records]
    assert any(failed)
    assert audit.compare([server, *sites]) == []


def test_a_folder_that_holds_another_runs_logs_is_refused_before_the_first_round(tmp_path: Path) -> None:
    (tmp_path / "server.jsonl").write_text("{}")
    with pytest.raises(InputError, match=r"is not empty.*give a new folder"):
        run(config(tmp_path))


@pytest.mark.parametrize("place", ["nowhere/logs", "file/logs", "file"])
def test_a_folder_that_cannot_be_made_is_refused_before_the_first_round(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"cannot be used for audit logs .*give a new folder") as refused:
        run(config(tmp_path / place))
    assert len(str(refused.value).splitlines()) == 1


def test_each_site_writes_as_it_goes_and_says_what_was_spent(tmp_path: Path) -> None:
    """As a real site does: when it begins, before its vector leaves, and when it has answered all that it was asked."""
    result = run(config(tmp_path / "logs", rounds=1, dropouts=0, slow_sites=0, insecure_deterministic=True))
    server, *sites = logs_in(tmp_path / "logs")
    for site in sites:
        assert [line.record["stage"] for line in site.lines] == ["begun", "begun", "ended"]
        assert [line.record["contributed"] for line in site.lines] == [False, True, True]
    records = [log.lines[-1].record for log in (server, *sites)]
    assert {record["epsilon"]["server"] for record in records} == {result.rounds[0].epsilon}
    assert {record["model"] for record in records} == {records[0]["model"]}
    assert all(record["insecure_deterministic"] for record in records)
