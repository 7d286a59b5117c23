"""Rows dealt to the sites in two ways, with the same rows in all: the coordinator sees masks, and the same otherwise.

Over the real machines, against an active coordinator: what it opens, keeps and asks for next is equal to the last bit,
what it writes down is equal but for what a round draws anew, and what it is sent has the same kinds and sizes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from secagg import Envelope
from secagg.round import Answers
from secagg.stats import Count, Mean, Quantile, Query
from secagg.stats.terms import read_terms
from secagg_protocols import Step

from .hospitals import COLUMNS, Hospitals

ASKED = Query(columns=COLUMNS, rows=120, statistics=(Count("sex"), Mean("age", "sex"), Quantile("age")))
"""Of two steps: the second asks for what came of the first."""

DRAWN = {"time", "job", "context_digest", "aggregate_commitment"}
"""Fields of a record that no rows decide: all but the time are hashes of a nonce, or of a salt."""

CHANCE = 0.2
"""A masked byte is equal in two runs with probability 1/256: so many of those of one vector are not."""


class View:
    """All that the coordinator sees of one query. apart: whether sites differ as far as they can, by sex and age."""

    def __init__(self, folder: Path, apart: bool) -> None:
        folder.mkdir()
        parties = Hospitals(folder, 3)
        pooled = parties.pooled
        by = pooled.sort_values(["sex", "age"]) if apart else pooled
        ends = (0, 70, 100, 120) if apart else (0, 40, 80, 120)
        parties.tables = {
            name: by.iloc[start:end] for name, start, end in zip(parties.names, ends[:-1], ends[1:], strict=True)
        }
        inquiry = parties.inquiry(ASKED)
        self.results = parties.run(inquiry)
        self.kept = inquiry.progress.to_bytes()
        self.asked = [read_terms(request.proposal.terms)[0].progress for _, request, _ in parties.answered]
        records = parties.audits()["coordinator"]
        self.records = [{name: value for name, value in line.record.items() if name not in DRAWN} for line in records]
        self.sent = []
        self.vectors = []
        for name, _, data in parties.answered:
            answers = Answers.from_bytes(data, len(data))
            envelopes = [Envelope.from_bytes(each, len(data)) for each in answers.envelopes]
            self.sent.append((name, answers.refusal, [(one.kind, len(bytes(one.payload))) for one in envelopes]))
            self.vectors += [bytes(one.payload) for one in envelopes if one.kind == Step.MASKED_INPUT]


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> tuple[View, View]:
    folder = tmp_path_factory.mktemp("equal sums")
    return View(folder / "alike", apart=False), View(folder / "apart", apart=True)


def test_what_a_coordinator_sees_of_equal_sums_is_equal_but_for_masks(views: tuple[View, View]) -> None:
    alike, apart = views
    for seen in ("results", "kept", "asked", "records", "sent"):
        assert getattr(alike, seen) == getattr(apart, seen), seen
    assert len(alike.records) == 2


def test_of_two_masked_vectors_nothing_is_equal_but_by_chance(views: tuple[View, View]) -> None:
    alike, apart = (view.vectors for view in views)
    assert len(alike) == len(apart) == 2 * 3
    for one, other in zip(alike, apart, strict=True):
        same = np.frombuffer(one, np.uint8) == np.frombuffer(other, np.uint8)
        assert same.mean() < CHANCE
