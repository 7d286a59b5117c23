"""Silos: unequal and skewed, complete and disjoint, or refused by name."""

import numpy as np
import pytest

from secagg.train.data import Data, Dataset
from secagg.train.silos import LEAST_ROWS, Silo, dirichlet, make_silos
from secagg_protocols.errors import InputError

LABELS = np.arange(600) % 3 // 2


def dataset(labels: np.ndarray, sites: tuple[str, ...] | None = None) -> Dataset:
    return Dataset("d", np.zeros((len(labels), 1)), labels, ("a",), ("no", "yes"), sites)


def silos_of(data: Dataset, count: int = 10) -> tuple[Silo, ...]:
    return make_silos(data, Data(institutions=count), np.random.default_rng(3))


@pytest.mark.parametrize("seed", range(5))
def test_dirichlet_silos_are_disjoint_complete_unequal_and_skewed(seed: int) -> None:
    parts = dirichlet(LABELS, 10, 0.5, 2.0, np.random.default_rng(seed))
    assert sorted(np.concatenate(parts).tolist()) == list(range(600))
    sizes = [len(part) for part in parts]
    assert min(sizes) >= LEAST_ROWS
    assert max(sizes) > 2 * min(sizes)
    assert np.ptp([LABELS[part].mean() for part in parts]) > 0.4


def test_a_small_alpha_still_leaves_no_silo_empty() -> None:
    parts = dirichlet(LABELS, 50, 0.01, 0.05, np.random.default_rng(0))
    assert min(map(len, parts)) == LEAST_ROWS


def test_the_same_seed_gives_the_same_silos() -> None:
    first, second = silos_of(dataset(LABELS)), silos_of(dataset(LABELS))
    assert all((a.train == b.train).all() and (a.test == b.test).all() for a, b in zip(first, second, strict=True))


def test_training_and_test_rows_are_disjoint_and_neither_is_empty() -> None:
    for silo in silos_of(dataset(LABELS)):
        assert len(silo.train)
        assert len(silo.test)
        assert not set(silo.train) & set(silo.test)


def test_named_sites_are_the_silos() -> None:
    sites = tuple("south" if i % 6 else "north" if i % 4 else "east" for i in range(600))
    silos = silos_of(dataset(LABELS, sites))
    assert [(silo.id, silo.name) for silo in silos] == [(1, "east"), (2, "north"), (3, "south")]
    assert all(sites[row] == silo.name for silo in silos for row in (*silo.train, *silo.test))


def test_two_rows_are_enough_for_a_named_site() -> None:
    sites = ("tiny", "tiny", *("large", "larger") * 299)
    tiny = silos_of(dataset(LABELS, sites))[-1]
    assert (len(tiny.train), len(tiny.test)) == (1, 1)


@pytest.mark.parametrize(
    ("sites", "says"),
    [
        (("lone", *("a", "b", "c") * 200)[:600], r"1 site\(s\) of d have no row .* .lone. \(1\)"),
        (("a", "b") * 300, "names 2 site"),
    ],
)
def test_sites_that_cannot_take_part_are_refused(sites: tuple[str, ...], says: str) -> None:
    with pytest.raises(InputError, match=says):
        silos_of(dataset(LABELS, sites))


def test_too_few_rows_say_how_many_institutions_would_do() -> None:
    with pytest.raises(InputError, match=r"30 rows are too few for 10 institutions .* --institutions 7 or less"):
        silos_of(dataset(LABELS[:30]))


def test_held_out_rows_of_one_class_are_refused() -> None:
    labels = np.zeros(60, dtype=np.int64)
    labels[0] = 1
    with pytest.raises(InputError, match="no held-out row has class 'yes'"):
        silos_of(dataset(labels, ("a", "b", "c") * 20))


def patients(rng: np.random.Generator, rows: int = 600) -> np.ndarray:
    return np.unique(rng.integers(0, rows // 4, size=rows), return_inverse=True)[1]


@pytest.mark.parametrize("sites", [None, ("north", "south", "east") * 200], ids=["dealt", "named"])
def test_a_patient_is_trained_on_or_tested_on_and_never_both(sites: tuple[str, ...] | None) -> None:
    whose = patients(np.random.default_rng(1))
    data = Dataset("d", np.zeros((600, 1)), LABELS, ("a",), ("no", "yes"), sites, patients=whose)
    silos = make_silos(data, Data(institutions=None if sites else 5), np.random.default_rng(3))
    trained = {int(whose[row]) for silo in silos for row in silo.train}
    tested = {int(whose[row]) for silo in silos for row in silo.test}
    assert not trained & tested
    assert trained | tested == set(whose.tolist())
    assert sum(silo.size for silo in silos) == 600
    if sites is None:  # whole patients are dealt
        held = [set(whose[np.concatenate([silo.train, silo.test])]) for silo in silos]
        assert sum(map(len, held)) == len(set(whose))


def test_a_site_whose_patients_are_all_on_one_side_is_refused() -> None:
    sites = ("south",) * 4 + ("north", "east", "west") * 200
    whose = np.array([0] * 4 + [*range(1, 601)])
    labels = np.array([0] * 4 + LABELS.tolist())
    data = Dataset("d", np.zeros((604, 1)), labels, ("a",), ("no", "yes"), sites, patients=whose)
    with pytest.raises(InputError, match=r"have no patient for training beside one for testing.*'south' \(4\)"):
        make_silos(data, Data(), np.random.default_rng(3))


def test_all_sites_that_are_too_small_are_named_at_once() -> None:
    sites = ("p", "q", *("a", "b", "c") * 200)[:600]
    with pytest.raises(InputError, match=r"2 site\(s\) .* 'p' \(1\), 'q' \(1\)"):
        silos_of(dataset(LABELS, sites))
