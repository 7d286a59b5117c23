"""Logs that were made to deceive: a round that is kept out of the server's log, a log that was emptied, a record that
somebody else signed, and records that are to stop whoever reads them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from secagg.round import audit
from secagg.round.audit import AuditError
from secagg_protocols import Identity

from .test_audit import Kept, kept

__all__ = ["kept"]


def test_a_round_that_was_run_twice_and_stands_in_the_servers_log_once_is_named(kept: Kept) -> None:
    """A vector left for one model; the server then asked about another in the same round, and recorded only that."""
    records = kept.records("site-2")
    begun = next(place for place, record in enumerate(records) if record["round"] == 2)
    hidden = records[begun] | {"context_digest": "11" * 32, "contributed": True, "stage": "begun"}
    kept.sign_again("site-2", [*records[:begun], hidden, *records[begun:]])
    assert (kept.paths["site-2"], 2, "context_digest") in kept.found()


def test_a_servers_log_that_was_emptied_is_named(kept: Kept) -> None:
    kept.paths["server"].write_text("")
    assert {(kept.paths["server"], number, "round") for number in (1, 2, 3)} <= set(kept.found())


@pytest.mark.parametrize("name", ["site-2", "site-3"])
def test_a_sites_log_that_was_emptied_is_named_also_of_one_that_dealt_and_vanished(kept: Kept, name: str) -> None:
    kept.paths[name].write_text("")
    assert {(kept.paths[name], number, "round") for number in (1, 2, 3)} <= set(kept.found())


def test_a_round_cut_by_a_site_that_dealt_and_vanished_is_named(kept: Kept) -> None:
    kept.sign_again("site-3", [record for record in kept.records("site-3") if record["round"] != 2])
    assert (kept.paths["site-3"], 2, "round") in kept.found()


@pytest.mark.parametrize(("name", "signer"), [("server", 2), ("site-2", 0)])
def test_a_site_that_signs_a_servers_record_is_named_under_any_server(kept: Kept, name: str, signer: int) -> None:
    for own in kept.paths:
        kept.sign_again(own, [record | {"adversary": "semi-honest"} for record in kept.records(own)])
    logs = [replace(log, signer=signer) if log.path == kept.paths[name] else log for log in kept.logs()]
    assert {(item.field, item.path) for item in audit.compare(logs)} == {("party", kept.paths[name])}


TWISTED = [
    ("participants", 10**12),
    ("participants", None),
    ("survivors", "124"),
    ("survivors", [[1]]),
    ("dropped", {"x": "gone"}),
    ("dropped", {"9" * 5000: "gone"}),
    ("dropped", ["3"]),
    ("opened", [1]),
    ("opened", {"mask_keys": 7}),
    ("listed", {"1": 2}),
    ("job", ["job"]),
    ("round", "2"),
    ("party", "0"),
    ("refusals", 5),
]


@pytest.mark.parametrize(("field", "value"), TWISTED, ids=lambda value: str(value)[:20])
@pytest.mark.parametrize("name", ["server", "site-2"])
def test_a_signed_record_with_a_field_that_cannot_be_is_named_and_stops_no_reader(
    kept: Kept, name: str, field: str, value: object
) -> None:
    kept.change(name, 2, field, value)
    try:
        assert kept.paths[name] in {path for path, _, _ in kept.found()}
    except AuditError as error:
        assert kept.paths[name].name in str(error)


def test_a_site_that_was_not_asked_is_not_accused_by_the_number_that_another_had(kept: Kept, tmp_path: Path) -> None:
    """Without a roster the server numbers whom it asks: participant 2 of one round is another site in the next."""
    for own in kept.paths:
        kept.sign_again(own, [record | {"adversary": "semi-honest"} for record in kept.records(own)])
    kept.paths["site-9"], kept.identities["site-9"] = tmp_path / "site-9.jsonl", Identity.generate("site-9")
    kept.paths["site-9"].write_text("")
    records = kept.records("site-2")
    kept.sign_again("site-9", [record for record in records if record["round"] > 1])
    kept.sign_again("site-2", [record for record in records if record["round"] == 1])
    assert kept.found() == []
    kept.sign_again("site-9", [record for record in records if record["round"] == 2])
    assert (kept.paths["site-9"], 3, "round") in kept.found()
