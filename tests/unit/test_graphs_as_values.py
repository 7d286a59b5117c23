"""The complete graph and a Harary graph in which all are neighbours are the same graph, whatever a step asks of it."""

import numpy as np
import pytest

from secagg_protocols import InsecureDeterministicRandomness
from secagg_protocols.bonawitz.messages import Unmasking
from secagg_protocols.dealing.graph import CompleteGraph
from secagg_protocols.primitives.graphs import harary
from secagg_protocols.secaggplus.graph import HararyGraph

EVERYONE = tuple(range(1, 8))
MEMBERS = (1, 2, 4, 5, 6, 7)
COHORTS = [MEMBERS, (1, 2, 4, 5), (2, 5, 7), (6,)]


@pytest.fixture
def sparse():
    return HararyGraph.among(harary(EVERYONE, 6, InsecureDeterministicRandomness(1)), MEMBERS)


@pytest.fixture
def complete():
    return CompleteGraph(MEMBERS)


def test_members_deal_to_as_many_others(sparse, complete):
    assert [sparse.others(one) for one in MEMBERS] == [complete.others(one) for one in MEMBERS]


@pytest.mark.parametrize("seen", COHORTS)
def test_they_see_the_same(sparse, complete, seen):
    def each(graph):
        return {one: view for whose, view in graph.views(MEMBERS, seen) for one in whose}

    assert each(sparse) == each(complete) == dict.fromkeys(MEMBERS, seen)


@pytest.mark.parametrize("dealers", COHORTS)
def test_what_is_sealed_for_a_holder_reaches_it(sparse, complete, dealers):
    """Each dealer writes who seals for whom."""
    sealed = b"".join(bytes((dealer, holder)) for dealer in dealers for holder in MEMBERS if holder != dealer)
    for graph in (sparse, complete):
        delivered = {holder: (seen, bytes(column)) for holder, seen, column in graph.deliver(dealers, sealed, 2)}
        assert delivered == {
            holder: (dealers, b"".join(bytes((dealer, holder)) for dealer in dealers if dealer != holder))
            for holder in dealers
        }


@pytest.mark.parametrize("dealers", COHORTS)
def test_what_is_opened_of_a_dealer_is_found(sparse, complete, dealers):
    """Holder 2 says that it has no share of whoever dealt last."""
    draw = np.random.default_rng(3)
    answers = {}
    given = {}
    for holder in (1, 2, 5, 7):
        missing = dealers[-1:] if holder == 2 and dealers[-1] != 2 else ()
        rows = {dealer: draw.bytes(32) + bytes(2) for dealer in dealers if dealer not in missing}
        answers[holder] = Unmasking(missing, memoryview(b"".join(rows.values())))
        given |= {(holder, dealer): row for dealer, row in rows.items()}
    apart = sparse.opened(dealers, answers)
    together = complete.opened(dealers, answers)
    for place, dealer in enumerate(dealers):
        alone = apart.of(place)
        found = {
            holder: share.tobytes()
            for holder, share, there in zip(alone.holders, alone.shares[:, 0], alone.present[:, 0], strict=True)
            if there
        }
        also = {
            holder: share.tobytes()
            for holder, share, there in zip(together.holders, together.shares, together.present, strict=True)
            for share, there in [(share[place], there[place])]
            if there
        }
        assert found == also == {holder: row for (holder, of), row in given.items() if of == dealer}
