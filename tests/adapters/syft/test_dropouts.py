"""Owners who fall silent, or say no: the sum of those who stayed, or none at all."""

import pytest

from secagg.stats import Category, Count, Query
from secagg_protocols import RoundFailed

QUERY = Query(columns={"sex": Category(("f", "m"))}, rows=100, statistics=(Count("sex"),))
EITHER = pytest.mark.parametrize("adversary", ["active", "semi-honest"])


def counts_of(five, names):
    return [int(sum((five.tables[name]["sex"] == sex).sum() for name in names)) for sex in ("f", "m")]


def go_without(five, run, silent, step):
    """Run to the end; from that step on an owner answers nothing, and the scientist does not wait for it."""
    away = False
    while not run.done:
        away |= run.status.step == step
        five.answer(*([silent] if away else []))
        run.step(close=away)
    return run.result(0)[0].counts


@EITHER
@pytest.mark.parametrize(("step", "counted"), [("MaskedInput", 4), ("Unmasking", 5)])
def test_a_silent_owner_is_a_dropout(federation, adversary, step, counted):
    five = federation(adversary=adversary)
    run = five.submit(QUERY)
    silent = five.names[-1]
    assert list(go_without(five, run, silent, step)) == counts_of(five, five.names[:counted])
    assert run.survivors == (counted,)


@EITHER
def test_when_two_of_four_refuse_nothing_is_opened(federation, adversary):
    four = federation(4, adversary=adversary)
    run = four.submit(QUERY)
    while run.status.step != "MaskedInput":
        four.answer()
        run.step()
    first, second, *others = four.names
    four.answer(first, second)
    for name in (first, second):
        four.refuse(name, "the board has changed its mind")
    with pytest.raises(RoundFailed, match="have 2 of the 3 participants needed"):
        run.step()
    assert not run.done
    assert run.status.owners == {
        **dict.fromkeys((first, second), "rejected: the board has changed its mind"),
        **dict.fromkeys(others, "done"),
    }
