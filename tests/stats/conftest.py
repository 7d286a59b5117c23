"""Sites of a table, and a query over them as it runs through secure sums, without the sums' protection."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

from secagg.stats import Progress, Query, Rows

SITES = 5


def sites_of(table: pd.DataFrame, count: int = SITES) -> list[pd.DataFrame]:
    return [table.iloc[site::count] for site in range(count)]


def asked(query: Query, table: pd.DataFrame, count: int = SITES) -> list[dict[str, Any]]:
    """Run a query over sites; each decodes what it is asked from bytes. Returns the results as JSON has them."""
    sites = [Rows.of(site, query) for site in sites_of(table, count)]
    progress = Progress.begin(query)
    while not progress.done:
        heard = Progress.from_bytes(progress.asked())
        heard.check_states()
        vectors = [heard.vector(rows) for rows in sites]
        total = sum(vector.astype(object) for vector in vectors)
        assert all(vector.max(initial=0) < 1 << progress.value_bits for vector in vectors)
        progress = Progress.from_bytes(progress.to_bytes()).combined(total.astype("uint64"), count)
    return [result.plain() for result in progress.results]


@pytest.fixture(scope="session")
def ask() -> Callable[..., Any]:
    return asked


@pytest.fixture(scope="session")
def tumours() -> pd.DataFrame:
    """569 tumours: six measurements and what they turned out to be; some cells are missing."""
    bunch = load_breast_cancer(as_frame=True)
    table = bunch.frame.iloc[:, :6].copy()
    table.columns = [name.replace(" ", "_") for name in table.columns]
    table["diagnosis"] = bunch.target.map({0: "malignant", 1: "benign"}).astype(object)
    table["large"] = (table["mean_area"] > 700).map({True: "yes", False: "no"}).astype(object)
    table.loc[::40, "mean_area"] = None
    table.loc[7::60, "diagnosis"] = None
    return table
