"""A call that ends in the middle: a process that is told to stop, or has no memory left, while it deals its shares.

The machine is as it was, and the list of keys comes again. Had it forgotten by then what its shares follow from, they
would follow from nothing, and anyone could work out the polynomials: one share would be all of the secret.
"""

import msgspec
import pytest

from secagg import SecAggPlus
from secagg.conformance.driver import Rehearsal
from secagg_protocols import StateError
from secagg_protocols.bonawitz import steps
from secagg_protocols.dealing import steps as dealing
from secagg_protocols.primitives.randomness import InsecureDeterministicRandomness

VICTIM = 2


@pytest.fixture
def asked():
    """Return a round in which everybody has heard whose keys have come, and nobody has dealt."""
    running = Rehearsal(SecAggPlus(60, 5))
    running.open()
    running.take()
    running.advance()
    return running


def dealt_by(running):
    """Have the victim take the list, and return what it deals."""
    (data,) = running.downlink[VICTIM]
    (answer,) = running.clients[VICTIM].receive(running.parse(data))
    return answer.to_bytes()


def test_a_participant_that_is_interrupted_deals_the_same_shares_when_it_is_asked_again(asked, monkeypatch):
    twin = asked.clients[VICTIM] = asked.restore(VICTIM, asked.clients[VICTIM].snapshot())
    expected = dealt_by(asked)
    asked.clients[VICTIM] = asked.restore(VICTIM, asked.snapshots[VICTIM][-1][1])

    def interrupted(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(dealing, "seal_share", interrupted)
        with pytest.raises(KeyboardInterrupt):
            dealt_by(asked)
    assert dealt_by(asked) == expected
    for client in (twin, asked.clients[VICTIM]):
        assert client._memory.own.deal_seed == b""


def test_shares_follow_from_a_seed_or_are_not_dealt():
    scheme = SecAggPlus(60, 5)
    own = steps.make_secrets(scheme, (), InsecureDeterministicRandomness(1))
    with pytest.raises(StateError, match="dealt before"):
        steps.deal(scheme, bytes(32), VICTIM, msgspec.structs.replace(own, deal_seed=b""), range(1, 60))
