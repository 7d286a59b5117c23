"""The table of secrets: of one dealer one secret is opened, and what is said of a round follows from the same rows."""

from __future__ import annotations

from itertools import combinations

import pytest

from secagg import Bonawitz, LightSecAgg
from secagg.schemes import SCHEMES
from secagg_protocols.bonawitz.params import NOISE_SEEDS
from secagg_protocols.core.noise import Noise
from secagg_protocols.core.secrets import Secret, opened, rows_to_open, survived, vanished

DEALERS = (1, 2, 4, 5)
COHORTS = [some for count in range(1, 5) for some in combinations(DEALERS, count)]


NOISY = Bonawitz(6, 1, threshold=2, noise=Noise("2560", 4))


@pytest.mark.parametrize("name", [name for name in SCHEMES if SCHEMES[name].traits.opens])
@pytest.mark.parametrize("survivors", COHORTS)
def test_of_every_dealer_at_most_one_secret_is_put_together(name, survivors):
    said = opened(SCHEMES[name].secrets, DEALERS, survivors)
    whose = [dealer for dealers in said.values() for dealer in dealers]
    assert len(set(whose)) == len(whose)
    assert said.keys() == SCHEMES[name].traits.opens - {NOISE_SEEDS}


@pytest.mark.parametrize("survivors", [some for some in COHORTS if len(some) > 1])
def test_with_noise_in_layers_one_seed_of_the_chain_is_opened(survivors):
    """The one that follows the last layer to stay: a layer for each of the six who is not in the sum."""
    said = opened(NOISY.secrets, DEALERS, survivors)
    assert said.keys() == NOISY.traits.opens
    rows = rows_to_open(NOISY.secrets, DEALERS, survivors)
    dropouts = 6 - len(survivors)
    for dealer in DEALERS:
        assert rows[dealer] == (1 + NOISY.layers - dropouts if dealer in survivors else 0)
    assert rows_to_open(NOISY.secrets, DEALERS, survivors[:1], len(survivors)).items() >= {
        (dealer, row) for dealer, row in rows.items() if dealer in survivors[:1]
    }


def test_with_more_dropouts_than_the_noise_is_made_for_no_seed_is_opened():
    rows = rows_to_open(NOISY.secrets, DEALERS, (1,))
    assert 1 not in rows


@pytest.mark.parametrize("survivors", COHORTS)
def test_bonawitz_opens_the_seed_of_who_is_in_the_sum_and_the_mask_key_of_who_vanished(survivors):
    rows = rows_to_open(Bonawitz.secrets, DEALERS, survivors)
    assert [Bonawitz.secrets[rows[dealer]].name for dealer in DEALERS] == [
        "self_mask_seeds" if dealer in survivors else "mask_keys" for dealer in DEALERS
    ]


def test_where_there_is_no_sum_nothing_is_opened():
    for kind in (Bonawitz, LightSecAgg):
        assert not any(opened(kind.secrets, DEALERS, ()).values())
        assert rows_to_open(kind.secrets, DEALERS, ()) == {}


def test_a_table_that_would_open_two_secrets_of_one_dealer_is_stopped():
    both = (Secret("mask_keys", vanished), Secret("seeds", survived), Secret("more_seeds", survived))
    with pytest.raises(AssertionError, match="never opened"):
        rows_to_open(both, DEALERS, (1, 2))


def test_a_further_secret_is_a_row():
    """A chain of seeds, of which that is opened which fits how many vanished."""

    def of_so_many(count):
        return lambda dealers, survivors: (
            survived(dealers, survivors) if len(dealers - survivors) == count else frozenset()
        )

    chain = (Secret("mask_keys", vanished), *(Secret("noise_seeds", of_so_many(count)) for count in range(3)))
    rows = rows_to_open(chain, DEALERS, (1, 4, 5))
    assert rows == {2: 0, 1: 2, 4: 2, 5: 2}
    assert opened(chain, DEALERS, (1, 4, 5)) == {"mask_keys": (2,), "noise_seeds": (1, 4, 5)}
