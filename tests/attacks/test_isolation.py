"""Isolation: the server tells participants different dealers and survivors, so that one input stands alone.

n = 5, t = 3, no colluder. Participant 1 masks with 2 and 3 only; the views below open its seed and their mask keys.
"""

import numpy as np
import pytest

from secagg import Bonawitz
from secagg.conformance.weakened import weakened
from secagg.conformance.weaknesses import SURVIVORS_SIGNED
from secagg_protocols.bonawitz.messages import SealedShares, SurvivorList

EVERYONE = (1, 2, 3, 4, 5)
DEALERS = {1: (1, 2, 3), 2: EVERYONE, 3: EVERYONE, 4: EVERYONE, 5: EVERYONE}
SURVIVORS = {1: (1, 2, 3), 2: (1, 2, 4, 5), 3: (1, 3, 4, 5), 4: (1, 4, 5), 5: (1, 4, 5)}


def cut_dealers(attack, envelopes):
    """Leave participants 4 and 5 out of what participant 1 hears."""
    size, first, rest = attack.scheme.sealed_bytes, envelopes[0], envelopes[1:]
    sealed = attack.clients[1].open(first).sealed[: 2 * size]  # what 2 and 3 sealed
    return [attack.server.seal("SealedShares", 1, SealedShares(DEALERS[1], sealed)), *rest]


SCRIPT = {
    "SealedShares": cut_dealers,
    "SurvivorList": lambda attack, _: attack.tell(
        "SurvivorList", {who: SurvivorList(view) for who, view in SURVIVORS.items()}
    ),
    "UnmaskRequest": lambda attack, _: attack.tell(
        "UnmaskRequest", {who: attack.request(view, DEALERS[who]) for who, view in SURVIVORS.items()}
    ),
}


def test_isolation_exposes_a_participant_to_a_server_that_departs_from_the_semi_honest_variant(launch):
    scheme = Bonawitz(5, 20, threshold=3)
    attack = launch(scheme, {0: SCRIPT})
    np.testing.assert_array_equal(attack.expose(1), attack.vectors[1])
    leaks = dict(scheme.leakage)["a server that departs from the protocol"]
    assert "any participant's vector" in leaks
    assert "isolation" in leaks


def test_isolation_is_refused_by_everyone_in_the_active_variant(launch):
    attack = launch(Bonawitz(5, 20, adversary="active"), {0: SCRIPT})
    for who in EVERYONE:
        assert attack.violation(who).culprits == {0}
        assert "signed the survivor list" in str(attack.violation(who))
    assert not attack.shares
    assert attack.failure is not None


def test_isolation_works_in_the_active_variant_without_the_consistency_check(launch):
    attack = launch(weakened(Bonawitz, SURVIVORS_SIGNED)(5, 20, adversary="active"), {0: SCRIPT})
    np.testing.assert_array_equal(attack.expose(1), attack.vectors[1])


@pytest.mark.parametrize("dealers", [(2, 3, 4), (1, 2, 3, 6)])
def test_dealers_without_the_participant_or_with_a_stranger_are_refused(launch, adversary, dealers):
    def claim(attack, envelopes):
        sealed = bytes(attack.scheme.sealed_bytes * len(set(dealers) - {1}))
        return attack.tell("SealedShares", {1: SealedShares(dealers, memoryview(sealed))})

    attack = launch(Bonawitz(5, 20, adversary=adversary), {0: {"SealedShares": claim}})
    assert attack.violation(1).culprits == {0}
    assert not attack.sent["MaskedInput"]
