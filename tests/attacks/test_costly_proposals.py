"""Numbers that a server proposes and a participant pays for: how many there are, and the rates of a graph.

Nothing here is timed. What is counted is how many graphs are looked at, and how much memory is held.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

import secagg
from secagg_protocols import ParameterError, Participant, Policy, RoundContext
from secagg_protocols.core.noise import Noise
from secagg_protocols.primitives import coded, shamir
from secagg_protocols.primitives.coded import CodedSharing
from secagg_protocols.primitives.field import GF65537, PrimeField
from secagg_protocols.primitives.graphs import Requirements, Tails, derive
from secagg_protocols.primitives.randomness import SYSTEM, InsecureDeterministicRandomness

CONTEXT = RoundContext("job", 1, bytes(32))
MIB = 1 << 20


@pytest.fixture
def graphs_looked_at(monkeypatch):
    """The k that are tried; more than any proposal needs end the test, which would go on for half an hour."""
    looked = []
    original = Tails.__init__

    def counted(self, requirements, neighbours):
        looked.append(neighbours)
        assert len(looked) <= 1500, "one proposal makes a participant look at thousands of graphs"
        original(self, requirements, neighbours)

    monkeypatch.setattr(Tails, "__init__", counted)
    return looked


@pytest.mark.parametrize(
    ("corrupt", "vanishing"),
    [(0.5, 0.45), (0.5, 0.47), (0.05, 0.9), (0.0001, 0.9998), (0.999, 0.0), (0.0, 0.999), (0.5, 0.4999)],
)
@pytest.mark.parametrize(("sigma", "eta"), [(40, 20), (128, 128), (20, 10)])
def test_a_proposal_with_hostile_rates_is_derived_or_refused_after_few_graphs(
    graphs_looked_at, corrupt, vanishing, sigma, eta
):
    parameters = {"corrupt_rate": corrupt, "dropout_rate": vanishing, "sigma": sigma, "eta": eta}
    try:
        scheme = secagg.SecAggPlus(65535, 4, **parameters)
    except ParameterError:
        assert graphs_looked_at
    else:
        assert scheme.risks.problem(scheme.requirements) is None


def first_by_trying_all(asked: Requirements) -> tuple[int, int] | None:
    for neighbours in range(2, asked.participants, 2):
        tails = Tails(asked, neighbours)
        for threshold in range(2, neighbours + 1):
            risks = tails.risks(threshold)
            if risks.problem(asked) is None:
                return neighbours, threshold
            if risks.too_few_left > 2.0**-asked.eta:
                break  # larger t only make it worse
    return None


@pytest.mark.parametrize("participants", [3, 10, 64, 101, 300])
@pytest.mark.parametrize("corrupt", [0.0, 0.01, 0.05, 0.2, 1 / 3, 0.5, 0.7])
@pytest.mark.parametrize("vanishing", [0.0, 0.05, 0.1, 0.25])
def test_what_the_steps_skip_could_not_have_done(participants, corrupt, vanishing):
    for sigma, eta in ((40, 20), (20, 10), (80, 40)):
        asked = Requirements(participants, corrupt, vanishing, sigma, eta)
        expected = first_by_trying_all(asked)
        if expected is None:
            with pytest.raises(ParameterError, match="no sparse graph"):
                derive(asked)
        else:
            assert derive(asked) == expected


def test_without_the_steps_a_hostile_proposal_is_thousands_of_graphs(graphs_looked_at):
    asked = Requirements(65535, 0.5, 0.45, 40, 20)
    with pytest.raises(AssertionError, match="thousands of graphs"):
        next(k for k in range(2, 65535, 2) if (tails := Tails(asked, k)).least <= tails.most)


def peak_of(work: Callable[[], object]) -> int:
    """Bytes that are held at most while it runs."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("participants", [30_000, 65_535])
@pytest.mark.parametrize("threshold", [None, 2])
def test_a_participant_of_tens_of_thousands_deals_in_megabytes(participants, threshold):
    scheme = secagg.Bonawitz(participants, 4, threshold=threshold)
    client = scheme.client(1, CONTEXT, Participant(policy=Policy(maximum_participants=participants)))
    assert peak_of(client.start) < 128 * MIB


def test_many_secrets_are_dealt_a_few_at_a_time():
    secrets, holders = [bytes(shamir.SECRET_BYTES)] * 102, range(1, 10_001)
    dealt = len(holders) * len(secrets) * shamir.SHARE_BYTES
    assert peak_of(lambda: shamir.deal(secrets, holders, 2, SYSTEM).tobytes()) < 2 * dealt + 200 * MIB


@pytest.mark.parametrize("participants", [3, 20, 1000, 10_000])
def test_the_tables_of_whatever_noise_is_proposed_are_bounded(participants):
    """A table has some 22 entries for a width of one: what all parts together may be wide bounds time and memory."""
    accepted = 0
    for share, power, rounded in product((0, 0.1, 0.3, 0.49), range(4, 65, 4), (False, True)):
        noise = Noise(str(1 << power), int(share * participants), rounded=rounded)
        try:
            parts = noise.share(participants, layered=True)
        except ParameterError:
            continue
        accepted += 1
        assert 22 * sum(map(float, (parts.base, *parts.layers))) < 750_000
        assert len(parts.layers) < 48
    assert accepted > 10


@pytest.mark.parametrize("field", [GF65537, PrimeField((1 << 31) - 1)], ids=repr)
def test_a_code_among_thousands_is_dealt_in_megabytes(field):
    """Its matrix alone would be 192 MB, and making it as a whole several times that."""
    sharing = CodedSharing(6000, 4000, 2000, field)
    secrets = noise = np.ones((2000, 1), dtype=np.int64)
    assert peak_of(lambda: sharing.deal(secrets, noise, range(1, 6001))) < 64 * MIB


@pytest.mark.parametrize("field", [GF65537, PrimeField((1 << 24) - 3), PrimeField((1 << 31) - 1)], ids=repr)
@pytest.mark.parametrize(("holders", "threshold", "pieces"), [(2, 2, 1), (5, 4, 2), (7, 7, 3), (40, 21, 9)])
def test_blocks_of_rows_are_the_codes_own(monkeypatch, field, holders, threshold, pieces):
    draw = np.random.default_rng(holders)
    secrets, noise = (draw.integers(0, field.prime, (rows, 6)) for rows in (pieces, threshold - pieces))
    sharing, some = CodedSharing(holders, threshold, pieces, field), draw.permutation(holders)[: holders - 1] + 1
    whole = sharing.deal(secrets, noise, some)
    monkeypatch.setattr(coded, "_TABLE_ELEMENTS", 0)
    monkeypatch.setattr(coded, "_BLOCK", 3 * threshold)
    np.testing.assert_array_equal(sharing.deal(secrets, noise, some), whole)


@pytest.mark.parametrize(("holders", "threshold"), [(3, 1), (7, 7), (300, 255), (300, 256), (300, 257), (700, 600)])
def test_a_transform_gives_each_holder_the_share_that_the_table_gives(monkeypatch, holders, threshold):
    ids = (np.random.default_rng(threshold).permutation(65535)[:holders] + 1).tolist()
    secret = [bytes(range(32))]
    by_table = shamir.deal(secret, ids, threshold, InsecureDeterministicRandomness(1))
    monkeypatch.setattr(shamir, "_ELEMENTS", 0)
    by_transform = shamir.deal(secret, ids, threshold, InsecureDeterministicRandomness(1))
    np.testing.assert_array_equal(by_transform, by_table)
    some = np.random.default_rng(2).permutation(holders)[:threshold]
    assert shamir.reconstruct([ids[row] for row in some], shamir.decode(by_transform)[some]) == secret


def test_the_largest_holder_of_all_gets_its_share():
    """Point 65535 is one of the last powers of 3: nothing is off by one at the end of the transform."""
    shares = shamir.deal([b"\x05" * 32], range(65_533, 65_536), 2, InsecureDeterministicRandomness(3))
    assert shamir.reconstruct([65_535, 65_533], shamir.decode(shares)[[2, 0]]) == [b"\x05" * 32]
    large = shamir.deal([b"\x05" * 32], range(1, 65_536), 129, InsecureDeterministicRandomness(3))
    some = [65_535, *range(65_400, 65_528)]
    assert shamir.reconstruct(some, shamir.decode(large)[np.array(some) - 1]) == [b"\x05" * 32]


def test_the_bounds_of_what_is_tried_hold_for_every_k():
    """One neighbour more moves the largest t up by one at most, and the smallest not down."""
    asked = Requirements(200, 0.2, 0.2, 40, 20)
    least, most = zip(*((tails.least, tails.most) for tails in (Tails(asked, k) for k in range(2, 199))), strict=True)
    assert all(b >= a for a, b in zip(least, least[1:], strict=False))
    assert all(b - a <= 1 for a, b in zip(most, most[1:], strict=False))
