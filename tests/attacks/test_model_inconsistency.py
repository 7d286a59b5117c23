"""Model inconsistency (Pasquini et al., CCS'22): one participant is sent another model than the rest.

With models that silence everyone but the victim, the sum is the victim's update. Every participant binds what it was
sent into its keys, so the odd one is refused; and since the masks are derived from it, they would not cancel.
"""

import hashlib

import numpy as np
import pytest

from secagg import Bonawitz, RoundContext, WireError
from secagg.conformance.weakened import without
from secagg.conformance.weaknesses import COHORT_FLOOR, MODEL_CONTEXT, MODEL_IN_SESSION
from secagg_protocols.bonawitz.messages import KeyList
from secagg_protocols.core.wire import decode, signed_bytes

EVERYONE, ODD = (1, 2, 3, 4, 5), 4


@pytest.fixture
def scheme(adversary):
    """Return five participants, t = 3, in both variants."""
    return Bonawitz(5, 20, adversary=adversary, threshold=3)


@pytest.fixture
def contexts():
    """Give participant 4 another model."""
    return {ODD: RoundContext("job", 1, b"\xee" * 32)}


def forward_all(attack, envelopes):
    """Show everyone everyone's keys, the odd one's too."""
    return attack.everyones_keys()


def test_a_server_that_forwards_the_odd_one_anyway_is_refused_before_any_masked_input(launch, scheme, contexts):
    attack = launch(scheme, {0: {"KeyList": forward_all}}, contexts=contexts)
    for who in EVERYONE:
        assert "different models" in str(attack.violation(who))
        other = attack.violation(who).culprits - {0}
        assert 0 in attack.violation(who).culprits
        assert other == {1} if who == ODD else other == {ODD}
    assert not attack.sent["ShareKeys"]
    assert not attack.sent["MaskedInput"]


def deal_to_all(attack, _):
    """Deliver everyone's shares to everyone, each under the session that its receiver is in."""
    return attack.shares_for_all()


SCRIPT = {0: {"KeyList": forward_all, "SealedShares": deal_to_all}}


def test_with_the_checks_removed_the_masks_do_not_cancel(launch, scheme, contexts):
    scheme = without(scheme, MODEL_CONTEXT, COHORT_FLOOR)
    attack = launch(scheme, SCRIPT, contexts=contexts)
    assert set(attack.sent["MaskedInput"]) == set(EVERYONE)
    assert not np.array_equal(attack.without_self_masks(), attack.total_of(*EVERYONE))
    same = launch(scheme, SCRIPT)
    np.testing.assert_array_equal(same.without_self_masks(), same.total_of(*EVERYONE))


def test_with_one_check_removed_no_share_opens_across_the_two_sessions(launch, scheme, contexts):
    attack = launch(without(scheme, MODEL_CONTEXT), SCRIPT, contexts=contexts)
    assert "list of dealers with valid shares counts 1" in str(attack.violation(ODD))
    assert ODD not in attack.sent["MaskedInput"]


# --- early keys: nobody says the model with its keys, so nothing is seen before the sessions differ


@pytest.fixture
def early(adversary):
    """Return the same five, whose keys are advertised before they know the model."""
    return Bonawitz(5, 20, adversary=adversary, threshold=3, early_keys=True)


def test_with_early_keys_the_odd_one_refuses_the_list_of_keys(launch, early, contexts):
    attack = launch(early, contexts=contexts)
    (refusal,) = attack.by(ODD)
    assert isinstance(refusal, WireError)
    assert "another round, scheme or session" in str(refusal)
    assert set(attack.server.dropped) == {ODD}
    assert ODD not in attack.sent["ShareKeys"]
    np.testing.assert_array_equal(attack.server.output.total, attack.total_of(1, 2, 3, 5))


def a_list_for_each(attack, envelopes):
    """Send everyone the list under the context that it was told."""
    lists, own = [], attack.server.context
    for envelope in envelopes:
        who = envelope.recipient
        attack.server.context = attack.clients[who].context
        lists += attack.tell("KeyList", {who: decode(KeyList, envelope.payload, attack.scheme.payload_limit)})
    attack.server.context = own
    return lists


EARLY_SCRIPT = {0: {"KeyList": a_list_for_each, "SealedShares": deal_to_all}}


def test_with_early_keys_no_share_opens_across_the_two_sessions(launch, early, contexts):
    """A server that keeps up both stories: each hears the context it was told, and everyone's shares."""
    attack = launch(early, EARLY_SCRIPT, contexts=contexts)
    assert "list of dealers with valid shares counts 1" in str(attack.violation(ODD))
    assert ODD not in attack.sent["MaskedInput"]


def test_with_early_keys_an_active_server_has_signed_both_stories(launch, contexts):
    scheme = Bonawitz(5, 20, adversary="active", threshold=3, early_keys=True)
    attack = launch(scheme, EARLY_SCRIPT, contexts=contexts)
    told = [attack.told["KeyList"][who] for who in (1, ODD)]
    assert told[0].payload == told[1].payload
    assert told[0].binding != told[1].binding
    for envelope in told:
        message = signed_bytes(envelope, hashlib.sha256(envelope.payload).digest())
        scheme.suite.signatures.verify(attack.roster.key_of(0), envelope.signature, message)


def test_with_early_keys_and_no_check_left_the_masks_do_not_cancel(launch, early, contexts):
    early = without(early, COHORT_FLOOR)
    attack = launch(early, EARLY_SCRIPT, contexts=contexts)
    assert set(attack.sent["MaskedInput"]) == set(EVERYONE)
    assert not np.array_equal(attack.without_self_masks(), attack.total_of(*EVERYONE))
    same = launch(early, EARLY_SCRIPT)
    np.testing.assert_array_equal(same.without_self_masks(), same.total_of(*EVERYONE))


def test_with_masks_that_forget_the_model_the_victims_update_would_be_the_sum(launch, scheme, contexts):
    victim = np.arange(1, 21)
    silenced = {who: np.zeros(20, dtype=int) for who in EVERYONE} | {ODD: victim}
    attack = launch(without(scheme, MODEL_CONTEXT, MODEL_IN_SESSION), contexts=contexts, vectors=silenced)
    np.testing.assert_array_equal(attack.server.output.total, victim)
