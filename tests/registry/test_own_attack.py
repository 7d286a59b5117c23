"""The attack on a scheme of another package that docs/own-scheme.md shows: it fails, and where a check is left out it
succeeds."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

import secagg
from secagg.conformance.attack import Attack
from secagg.conformance.rounds import RoundAttack
from secagg.conformance.weakened import Weakness, weakened

from .cancelling import Cancelling, CancellingClient

ROOT = Path(__file__).parents[2]


class BareClient(CancellingClient):
    def _masks(self):
        return [], []


MASKS = Weakness("masks", "vectors are sent as they are", client=BareClient, within=Cancelling)


def twice(attack, honest):
    """Participant 2 sends its vector twice."""
    return [*honest, *honest]


def readable(scheme, bench=Attack):
    """Return whose vectors stand in what the server has seen."""
    attack = bench(scheme, {2: {"MaskedInput": twice}}).run()
    assert len(attack.by(secagg.SERVER)) == 1  # what the server refused
    lanes = scheme.domain.lanes
    found = set()
    for envelope in attack.view(secagg.SERVER).received(secagg.SERVER, "MaskedInput"):
        words = np.zeros(lanes.words, dtype=np.uint64)
        lanes.add_bytes(words, attack.server.open(envelope).words)
        if np.array_equal(lanes.unpack(words), attack.vectors[envelope.sender]):
            found.add(envelope.sender)
    return found


def test_no_vector_stands_in_what_the_server_has_seen():
    assert readable(Cancelling(5, 20)) == set()
    assert readable(weakened(Cancelling, MASKS)(5, 20)) == {1, 2, 3, 4, 5}  # so the test can fail


def test_the_attack_is_the_same_over_a_round():
    assert readable(Cancelling(5, 20), RoundAttack) == set()
    assert readable(weakened(Cancelling, MASKS)(5, 20), RoundAttack) == {1, 2, 3, 4, 5}


def test_the_attack_on_the_page_is_the_one_that_is_tested():
    page = (ROOT / "docs/own-scheme.md").read_text("utf-8")
    shown = re.search(r"^```python\nfrom secagg\S+ import Attack\n.*?\n\n\n(class BareClient.*?)```", page, re.S | re.M)
    assert shown
    assert shown[1] in Path(__file__).read_text("utf-8")
