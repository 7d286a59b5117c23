"""When a Harary graph falls apart: the bound beside all cases, and beside a search through random ones."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from secagg_protocols import InsecureDeterministicRandomness
from secagg_protocols.primitives.graphs import Circles, Requirements, derive, falls_apart, harary


def hangs_together(graph: Circles, stays: np.ndarray) -> bool:
    """Search breadth first from one of those that stay. `stays`: (n,) booleans over positions."""
    reached = np.zeros(stays.size, dtype=bool)
    frontier = np.flatnonzero(stays)[:1]
    while frontier.size:
        reached[frontier] = True
        around = np.unique(graph.circle[frontier])
        frontier = around[stays[around] & ~reached[around]]
    return bool((reached == stays).all())


def chance_of_falling_apart(n: int, removed: int, neighbours: int) -> float:
    """Try every way to take `removed` out of one graph: its members are alike, so one permutation is enough."""
    graph = harary(range(1, n + 1), neighbours, InsecureDeterministicRandomness(n))
    apart = 0
    for gone in combinations(range(n), removed):
        stays = np.ones(n, dtype=bool)
        stays[list(gone)] = False
        apart += not hangs_together(graph, stays)
    return apart / math.comb(n, removed)


SMALL = [(n, k) for n in (5, 6, 8, 9, 11) for k in range(2, n) if not (n % 2 and k % 2)]


@pytest.mark.parametrize(("n", "neighbours"), SMALL)
def test_the_bound_holds_in_every_case_of_a_small_graph_whether_more_or_fewer_are_gone(n, neighbours):
    exact = [chance_of_falling_apart(n, removed, neighbours) for removed in range(n)]
    for removed in range(n):
        assert max(exact[: removed + 1]) <= falls_apart(n, removed, neighbours) * (1 + 1e-9)


@pytest.mark.parametrize(("n", "neighbours"), [(12, 4), (14, 4), (12, 6), (13, 6)])
def test_where_falling_apart_is_rare_the_bound_is_what_happens(n, neighbours):
    """No more than two gaps are long enough there, so the union over pairs counts nothing twice."""
    removed = neighbours
    exact = chance_of_falling_apart(n, removed, neighbours)
    assert 0 < exact < 0.1
    assert falls_apart(n, removed, neighbours) == pytest.approx(exact)


def test_one_gap_however_long_does_not_part_a_circle():
    """What was counted before: a run of k/2 that are gone. The others hang together around the circle's other side."""
    graph = harary(range(1, 41), 6, InsecureDeterministicRandomness(1))
    around = np.empty(40, dtype=np.intp)  # the circle, walked along: each next one shares most neighbours
    around[0], before = 0, None
    for step in range(1, 40):
        here = around[step - 1]
        shared = {int(v): np.intersect1d(graph.circle[here], graph.circle[v]).size for v in graph.circle[here]}
        following = [v for v in shared if v not in (here, before) and shared[v] == 6 and v not in around[:step]]
        around[step], before = following[0], here
    for length in range(3, 39):
        stays = np.ones(40, dtype=bool)
        stays[around[:length]] = False
        assert hangs_together(graph, stays)
    stays = np.ones(40, dtype=bool)
    stays[around[[0, 1, 2, 20, 21, 22]]] = False
    assert not hangs_together(graph, stays), "two gaps of k/2 do part it"


@pytest.mark.parametrize(("n", "removed", "neighbours"), [(40, 20, 8), (60, 24, 8), (100, 50, 12), (61, 30, 10)])
def test_the_bound_is_near_what_random_losses_do(n, removed, neighbours):
    draw, tries = np.random.default_rng(n), 4000
    graph = harary(range(1, n + 1), neighbours, InsecureDeterministicRandomness(n))
    apart = 0
    for _ in range(tries):
        stays = np.ones(n, dtype=bool)
        stays[draw.choice(n, removed, replace=False)] = False
        apart += not hangs_together(graph, stays)
    bound = falls_apart(n, removed, neighbours)
    deviation = math.sqrt(bound / tries)
    assert apart / tries <= bound + 4 * deviation
    assert bound <= 2 * apart / tries + 8 * deviation, "a union over pairs, not a guess"


def test_a_hundred_participants_need_twelve_neighbours():
    """Ten may be gone. They make one gap of ten, or two of five; twelve neighbours need two of six."""
    assert derive(Requirements(100, 0.05, 0.05, 40, 20)) == (12, 6)
    assert falls_apart(100, 10, 12) == 0
    assert falls_apart(100, 10, 10) > 2.0**-40
