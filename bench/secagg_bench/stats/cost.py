"""CPU time of all parties together, for the survival statistics of NCCTG lung over its 18 institutions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median

import numpy as np

import secagg
from secagg.stats import Cox, KaplanMeier, Progress, Query, Rows, Statistic, simulate

from ..privacy.rows import Row
from .survival import of_lung

REPEATS = 5
COLLUDERS = 2


MOST_SECONDS: tuple[tuple[type[Statistic], float], ...] = ((KaplanMeier, 0.2), (Cox, 1.0))
"""The most CPU seconds that the sums of a statistic may take."""


def cost() -> Iterator[Row]:
    """Yield the cost of each: the sums alone, and with the site's policy, its records and its state on the way."""
    asked = of_lung()
    for kind, most in MOST_SECONDS:
        query = _alone(asked.query, kind)
        sites = [Rows.of(site, query) for site in asked.table.sites.values()]
        sums = _seconds(partial(through_sums, query, sites))
        whole = _seconds(partial(simulate, query, asked.table.sites))
        yield Row("cost", f"{kind.__name__}: CPU seconds of all parties, sums", sums, most=most)
        yield Row("cost", f"{kind.__name__}: the same, with requests, policy and records at every site", whole)


def _alone(query: Query, kind: type[Statistic]) -> Query:
    """Return the query of the first statistic of a kind."""
    one = next(statistic for statistic in query.statistics if isinstance(statistic, kind))
    columns = {name: query.columns[name] for name in one.reads()}
    return Query(columns=columns, rows=query.rows, minimum_cell=0, statistics=(one,))


def through_sums(query: Query, sites: list[Rows]) -> Progress:
    """Step through a query with nothing but the protocol's messages."""
    progress = Progress.begin(query)
    while not progress.done:
        scheme = secagg.Bonawitz(len(sites), progress.length, value_bits=progress.value_bits, colluders=COLLUDERS)
        run = secagg.simulate(scheme, [progress.vector(rows) for rows in sites])
        progress = progress.combined(np.asarray(run.total), len(run.survivors))
    return progress


def _seconds(work: Callable[[], object]) -> float:
    """Return the median of some runs, after one that does not count."""
    work()
    taken = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return median(taken)
