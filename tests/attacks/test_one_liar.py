"""LightSecAgg with one more answer than open a sum, and a liar among them: the code cannot tell who it is."""

from math import prod

import msgspec
import numpy as np
import pytest

from secagg import Policy, RoundFailed, simulate
from secagg_protocols import SERVER, LightSecAgg
from secagg_protocols.lightsecagg.messages import Unmasking

pytest.importorskip("secagg_protocols.lightsecagg.leaving", reason="nothing but the code looks for liars here")

ONE_SPARE = dict.fromkeys((4, 5, 6), "Unmasking")
"""Who of nine does not answer, so that one more than U = 5 do."""


def inputs(scheme):
    top = 1 << scheme.value_bits
    return np.random.default_rng(1).integers(0, top, (scheme.participants, scheme.length), dtype=np.uint64)


def lies(change):
    """Make a holder open another sum of shares. change: (the scheme, elements) → elements."""

    def misbehave(machine, envelopes):
        if not envelopes or envelopes[0].kind != "Unmasking":
            return envelopes
        packing = machine.scheme.packing
        elements = packing.from_bytes(msgspec.msgpack.decode(envelopes[0].payload, type=Unmasking).share)
        changed = packing.to_bytes(packing.reduced(change(machine.scheme, elements)))
        return [machine.seal("Unmasking", SERVER, Unmasking((), changed))]

    return misbehave


def in_one_place(scheme, elements):
    elements[0] += 12345
    return elements


def everywhere(scheme, elements):
    return elements * 0


@pytest.mark.parametrize("change", [in_one_place, everywhere])
@pytest.mark.parametrize("value_bits", [16, 40, 60])
@pytest.mark.parametrize("liar", [1, 9])
def test_one_liar_cannot_end_a_round_that_has_as_many_honest_answers_as_open_it(change, value_bits, liar):
    scheme = LightSecAgg(9, 20, value_bits=value_bits)
    run = simulate(scheme, inputs(scheme), drop=ONE_SPARE, misbehave={liar: lies(change)})
    assert run.total.tolist() == inputs(scheme).sum(axis=0).tolist()
    (correction,) = run.corrections
    assert correction.holder == liar
    assert {SERVER, liar} < correction.culprits


def test_a_lie_that_leaves_two_possible_sums_gives_neither():
    """With one piece to a polynomial a liar chooses by how much it looks as though an honest holder had lied."""
    scheme = LightSecAgg(5, 20, colluders=3, threshold=4)
    assert scheme.pieces == 1

    def off_by_one(scheme, elements):
        # What it changes at the secret's point, if holder 5 is left out, is made 1.
        others, point = (1, 3, 4), int(scheme.sharings[0].secret_points[0])
        prime = scheme.packing.field.prime
        elements[0] += pow(prod(pow(2 - one, -1, prime) * (point - one) for one in others), -1, prime)
        return elements

    with pytest.raises(RoundFailed, match="1 spare"):
        simulate(scheme, inputs(scheme), policy=Policy(minimum_cohort=2), misbehave={2: lies(off_by_one)})
