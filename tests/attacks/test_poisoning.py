"""What one participant can do to a mean, and a server to what it says the mean is. None of it is seen, in any variant.

These are no defences that hold. The figures are those of README and THREAT_MODEL.
"""

from __future__ import annotations

import hashlib
import itertools

import msgspec
import numpy as np
import pytest

from secagg import Bonawitz, MemoryLedger, Policy, RoundContext, RoundFailed, simulate
from secagg.codec import Influence, Layout, MeanCodec
from secagg_protocols.bonawitz.messages import MaskedInput
from secagg_protocols.errors import InputError
from secagg_protocols.packing.lanes import new_words

SITES, CHEAT, VALUES = 10, 4, 50
ADVERSARIES = pytest.mark.parametrize("adversary", ["semi-honest", "active"])


def scheme_for(codec: MeanCodec, adversary: str) -> Bonawitz:
    return Bonawitz(SITES, codec.length, value_bits=codec.value_bits, adversary=adversary, colluders=1)


def encoded(codec: MeanCodec, value: float, weights=None) -> dict[int, np.ndarray]:
    """Every site's update is the same in all values: how far the mean goes from it is easy to see."""
    update = [np.full(VALUES, value, np.float32)]
    weights = weights or dict.fromkeys(range(1, SITES + 1))
    return {site: codec.encode(update, weight=weight).vector for site, weight in weights.items()}


def mean_of(codec: MeanCodec, run) -> np.ndarray:
    return codec.decode(run.total, len(run.survivors)).arrays[0]


def adding(extra: np.ndarray):
    """A participant that adds integers to its masked input, whatever its machine would have let it contribute."""

    def lie(machine, envelopes):
        if not envelopes or envelopes[0].kind != "MaskedInput":
            return envelopes
        (block,) = (msgspec.msgpack.decode(envelope.payload, type=MaskedInput) for envelope in envelopes)
        lanes = machine.scheme.domain.lanes
        words = new_words(lanes.words)
        lanes.add_bytes(words, block.words)
        words += lanes.pack(extra)
        return [machine.seal("MaskedInput", 0, MaskedInput(block.block, lanes.to_bytes(words)))]

    return lie


# --- beyond its range: the room of all


def room_of_all(codec: MeanCodec, expected: float, wanted: float) -> np.ndarray:
    """What a participant adds to its own input, if the others' updates are about `expected`, to make `wanted` the mean.

    Nothing that is secret is needed: the others' sum is guessed from its own update.
    """
    top = SITES * ((1 << codec.value_bits) - 1) / 2
    extra = np.zeros(codec.length, dtype=np.int64)
    extra[: codec.layout.size] = round(top * (wanted - expected) / codec.clip)
    return extra


@ADVERSARIES
@pytest.mark.parametrize("wanted", [0.9998, 0.5])
def test_one_participant_sets_the_mean_anywhere_in_the_clip_range(adversary, wanted):
    codec = MeanCodec(Layout.of([np.zeros(VALUES, np.float32)]), clip=1.0)
    scheme, vectors = scheme_for(codec, adversary), encoded(codec, 0.05)
    honest = simulate(scheme, vectors)
    np.testing.assert_allclose(mean_of(codec, honest), 0.05, atol=1e-4)
    run = simulate(scheme, vectors, misbehave={CHEAT: adding(room_of_all(codec, 0.05, wanted))})
    np.testing.assert_allclose(mean_of(codec, run), wanted, atol=1e-4)
    assert run.survivors == tuple(range(1, SITES + 1))
    assert not run.refusals, "nobody is refused, and nobody named"


@ADVERSARIES
def test_a_sum_beyond_the_room_of_all_is_the_only_thing_that_is_refused(adversary):
    codec = MeanCodec(Layout.of([np.zeros(VALUES, np.float32)]), clip=1.0)
    scheme, vectors = scheme_for(codec, adversary), encoded(codec, 0.05)
    with pytest.raises(RoundFailed, match="no sum of valid vectors") as failed:
        simulate(scheme, vectors, misbehave={CHEAT: adding(room_of_all(codec, 0.05, 1.3))})
    assert failed.value.culprits == frozenset()


# --- within its range: its weight


def likely_site() -> tuple[MeanCodec, dict[int, int]]:
    """Bounds that nobody chose: they were the Flower adapter's defaults. A hundred examples at each site."""
    codec = MeanCodec(Layout.of([np.zeros(VALUES, np.float32)]), clip=8.0, value_bits=24, weight_max=10_000)
    return codec, dict.fromkeys(range(1, SITES + 1), 100)


@ADVERSARIES
def test_one_participant_within_its_range_moves_a_weighted_mean_by_hundreds_of_times_its_norm(adversary):
    codec, weights = likely_site()
    vectors = encoded(codec, 0.004, weights)
    before = mean_of(codec, simulate(scheme_for(codec, adversary), vectors))
    largest = [np.full(VALUES, codec.clip, np.float32)]
    vectors[CHEAT] = codec.encode(largest, weight=codec.weight_max).vector  # as its own codec allows it
    run = simulate(scheme_for(codec, adversary), vectors)
    mean = codec.decode(run.total, SITES)
    assert mean.weight == 9 * 100 + 10_000
    moved = np.linalg.norm(mean.arrays[0] - before) / np.linalg.norm(before)
    assert moved == pytest.approx(1834, rel=0.02)
    assert not run.refusals


def test_its_weight_and_its_values_are_not_tied_together():
    """One example, and values of ten thousand: the mean is at the edge of the range."""
    codec, weights = likely_site()
    vectors = encoded(codec, 0.004, weights | {CHEAT: 1})
    vectors[CHEAT][: codec.layout.size] = (1 << codec.value_bits) - 1
    run = simulate(scheme_for(codec, "active"), vectors)
    assert codec.decode(run.total, SITES).weight == 901
    np.testing.assert_array_equal(mean_of(codec, run), codec.clip)


def test_with_bounds_near_what_sites_really_send_one_of_ten_moves_the_mean_by_no_more_than_a_tenth():
    """The remedy is a choice, not a check: the same attack under clip = 0.01 and weight_max = 100."""
    codec = MeanCodec(Layout.of([np.zeros(VALUES, np.float32)]), clip=0.01, value_bits=24, weight_max=100)
    vectors = encoded(codec, 0.004, dict.fromkeys(range(1, SITES + 1), 100))
    before = mean_of(codec, simulate(scheme_for(codec, "active"), vectors))
    vectors[CHEAT] = codec.encode([np.full(VALUES, codec.clip, np.float32)], weight=100).vector
    after = mean_of(codec, simulate(scheme_for(codec, "active"), vectors))
    assert np.abs(after - before).max() <= codec.influence(SITES, 1000).within == pytest.approx(0.001)


# --- what is said about it


@pytest.mark.parametrize(("weight_max", "weights"), [(None, (None,) * 3), (10, (10, 1, 4)), (1000, (1, 2, 3))])
def test_the_stated_influence_is_what_a_search_over_all_extremes_finds(weight_max, weights):
    codec = MeanCodec(Layout.of([np.zeros(1, np.float32)]), clip=0.25, value_bits=20, weight_max=weight_max)
    top, total = (1 << codec.value_bits) - 1, None if weight_max is None else sum(weights)
    stated = codec.influence(len(weights), total)
    found = {"within": 0.0, "anywhere": 0.0}
    for others in itertools.product((0, top // 4, top // 2 + 1, 3 * top // 4, top), repeat=len(weights) - 1):
        scalars = sum(
            codec.encode([np.zeros(1, np.float32)], weight=weight).vector.astype(np.uint64) for weight in weights
        )
        means = {}
        for mine in (0, top // 2 + 1, top):
            scalars[0] = mine + sum(others)
            means[mine] = float(codec.decode(scalars, len(weights)).arrays[0][0])
        found["within"] = max(found["within"], *(abs(means[mine] - means[top // 2 + 1]) for mine in (0, top)))
        for everyone in (0, len(weights) * top):
            scalars[0] = everyone
            found["anywhere"] = max(found["anywhere"], abs(float(codec.decode(scalars, len(weights)).arrays[0][0])))
    slack = 2 * codec.error_bound(len(weights), total)
    assert stated.within - slack <= found["within"] <= stated.within + slack
    assert stated.anywhere == pytest.approx(found["anywhere"])


def test_the_influence_is_told_in_one_line_and_refuses_an_impossible_weight():
    codec, _ = likely_site()
    assert codec.influence(SITES, 1000) == Influence(16.0, 8.0), (
        "no mean leaves ±clip: nothing moves by more than 2 clip"
    )
    assert str(codec.influence(SITES, 50_000)) == (
        "one site can have moved any value of the mean by 1.6 within its own range, and set it anywhere in ±8 beyond it"
    )
    with pytest.raises(InputError, match="total weight 9"):
        codec.influence(SITES, 9)


# --- a server that says another sum


def test_a_server_that_publishes_another_sum_is_believed_in_the_active_variant_too():
    """The protocol ends with the server's sum. Participants hold no proof of it, and train on whatever comes next."""
    scheme = Bonawitz(5, 3, adversary="active", colluders=1)
    policy, ledgers = Policy(adversary="active", colluders=1), {site: MemoryLedger() for site in range(1, 6)}
    vectors = {site: np.full(3, site) for site in range(1, 6)}

    def context(number: int, model: np.ndarray) -> RoundContext:
        return RoundContext("job", number, hashlib.sha256(model.tobytes()).digest())

    first = simulate(scheme, vectors, context=context(1, np.zeros(3)), policy=policy, ledgers=ledgers)
    said = first.total + np.uint64(1000)
    second = simulate(scheme, vectors, context=context(2, said), policy=policy, ledgers=ledgers)
    assert second.survivors == (1, 2, 3, 4, 5), "everyone answers for a model that the first sum never gave"
    assert not second.refusals


# --- a coordinate of one site


@ADVERSARIES
def test_a_coordinate_that_one_site_alone_touched_is_released_as_that_sites_value(adversary):
    """A row of an embedding that no other site has: the sum over all of them is that site's."""
    codec = MeanCodec(Layout.of({"rows": np.zeros((4, 2), np.float32)}), clip=1.0, value_bits=24)
    updates = {site: {"rows": np.zeros((4, 2), np.float32)} for site in range(1, SITES + 1)}
    for site in updates:
        updates[site]["rows"][0] = 0.1 * site
    updates[CHEAT]["rows"][3] = (0.625, -0.25)  # nobody else has seen what this row stands for
    vectors = {site: codec.encode(update).vector for site, update in updates.items()}
    run = simulate(scheme_for(codec, adversary), vectors)
    opened = codec.decode(run.total, SITES).arrays["rows"][3] * SITES
    np.testing.assert_allclose(opened, updates[CHEAT]["rows"][3], atol=SITES * codec.error_bound(SITES))
