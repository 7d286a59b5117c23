"""What a participant may give, and what each refusal says."""

import numpy as np
import pytest

from secagg_protocols import InputError

BAD = [
    ("a float", np.zeros(5)),
    ("NaN", np.full(5, np.nan)),
    ("infinity", np.full(5, np.inf)),
    ("float16", np.zeros(5, dtype=np.float16)),
    ("complex", np.zeros(5, dtype=complex)),
    ("booleans", np.zeros(5, dtype=bool)),
    ("objects", np.array([0, 1, 2, 3, 4], dtype=object)),
    ("text", np.array(list("abcde"))),
    ("dates", np.zeros(5, dtype="datetime64[s]")),
    ("too short", np.zeros(4, dtype=np.int64)),
    ("too long", np.zeros(6, dtype=np.int64)),
    ("empty", np.zeros(0, dtype=np.int64)),
    ("two axes", np.zeros((5, 1), dtype=np.int64)),
    ("a scalar", np.int64(3)),
    ("negative", np.array([0, 0, -1, 0, 0])),
    ("very negative", np.array([0, 0, 0, 0, -(2**63)])),
    ("one too large", np.array([0, 0, 0, 0, 1 << 16])),
    ("far too large", np.array([2**64 - 1, 0, 0, 0, 0], dtype=np.uint64)),
]


def reach_vector(case, make_round, value_bits=16):
    """Return a round and a participant's machine that waits for its vector, as it was never given one."""
    finished = make_round(case.make(3, 5, value_bits=value_bits)).finish()
    (snapshot,) = [snapshot for state, snapshot in finished.snapshots[2] if finished.restore(2, snapshot).awaits_vector]
    fresh = make_round(finished.scheme)
    return finished, fresh.restore(2, snapshot)


@pytest.mark.parametrize(("what", "vector"), BAD, ids=[what for what, _ in BAD])
def test_a_vector_that_cannot_be_summed_is_refused_and_the_right_one_still_goes(case, make_round, what, vector):
    finished, client = reach_vector(case, make_round)
    before = client.snapshot()
    with pytest.raises(InputError):
        client.contribute(vector)
    assert client.snapshot() == before
    assert client.awaits_vector
    (envelope,) = client.contribute(finished.vectors[2])
    undisturbed = finished.sent[2, finished.contributed.value]
    assert (envelope.kind, len(envelope.to_bytes())) == (finished.contributed.value, len(undisturbed))
    assert envelope.to_bytes() == undisturbed or not case.repeatable
    assert (client.state, client.snapshot()) in finished.snapshots[2]


def test_a_vector_is_given_once(case, make_round, refused):
    finished, client = reach_vector(case, make_round)
    client.contribute(finished.vectors[2])
    before = client.snapshot()
    assert not client.awaits_vector
    refused(lambda: client.contribute(finished.vectors[2]))
    assert client.snapshot() == before


def test_refusals_name_the_value_and_the_remedy(case, make_round):
    _, client = reach_vector(case, make_round)
    for vector, words in [
        (np.zeros(5), ("float64", "codec")),
        (np.zeros(4, dtype=int), ("(4,)", "length=5")),
        (np.array([0, 0, -7, 0, 0]), ("-7", "value_bits")),
        (np.array([0, 0, 70000, 0, 0]), ("70000", "value_bits")),
    ]:
        with pytest.raises(InputError) as caught:
            client.contribute(vector)
        for word in words:
            assert word in str(caught.value)


@pytest.mark.parametrize("value_bits", [1, 8, 32, 62])
def test_the_largest_value_passes_and_the_next_one_does_not(case, make_round, value_bits):
    top = (1 << value_bits) - 1
    _, client = reach_vector(case, make_round, value_bits)
    with pytest.raises(InputError):
        client.contribute(np.array([0, 0, 0, 0, top + 1], dtype=np.uint64))
    assert len(client.contribute(np.array([0, 0, 0, 0, top], dtype=np.uint64))) == 1
