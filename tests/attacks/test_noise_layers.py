"""A server that wants noise out of a sum that is promised to stay in, and a dealer whose layers do not come off."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from secagg import Bonawitz, MemoryLedger, RepeatedContext, SecAggPlus, StateError, Step
from secagg.conformance.attack import CONTEXT
from secagg.conformance.weakened import Weakness, without
from secagg.conformance.weaknesses import NOISE_FLOOR
from secagg_protocols.bonawitz import noise as layers
from secagg_protocols.bonawitz import steps
from secagg_protocols.bonawitz.client import BonawitzClient
from secagg_protocols.core.machine import Terminal
from secagg_protocols.core.noise import Noise
from secagg_protocols.core.secrets import rows_to_open
from secagg_protocols.dealing.messages import CountedUnmaskRequest
from secagg_protocols.primitives import shamir

NOISE = Noise("2560", 2)
OTHERS = (4, 5, 6, 7)


def noisy(adversary, **parameters):
    return Bonawitz(7, 20, adversary=adversary, threshold=4, noise=NOISE, **parameters)


def go_on(kind, survivors):
    """Say what an honest server would not: that these few survived."""

    def script(attack, _):
        message = (survivors,) if kind == "SurvivorList" else attack.request(survivors, tuple(range(1, 8)))
        return attack.tell(kind, dict.fromkeys(survivors, message))

    return {0: {kind: script}}


def test_with_one_dropout_too_many_participants_open_nothing_whatever_the_server_does(launch, adversary):
    kind = "SurvivorList" if adversary == "active" else "UnmaskRequest"
    absent = dict.fromkeys((1, 2, 3), Step.MASKED_INPUT)
    attack = launch(noisy(adversary), go_on(kind, OTHERS), absent=absent)
    assert attack.failure is not None
    for who in OTHERS:
        assert attack.violation(who).culprits == {0}
        assert "less noise" in str(attack.violation(who))
    assert not attack.shares


def test_without_that_check_the_sum_would_come_out_with_too_little_noise(make_attack):
    """What the participants open then is the last seed: every layer stays, and is still too little."""
    attack = make_attack(
        without(noisy("semi-honest"), NOISE_FLOOR),
        go_on("UnmaskRequest", OTHERS),
        absent=dict.fromkeys((1, 2, 3), Step.MASKED_INPUT),
    )
    with pytest.raises(KeyError):  # no row of the table is for so many: nothing is opened even so
        attack.run()


@pytest.mark.parametrize("gone", [(), (2,), (2, 3)])
def test_the_server_gets_the_seeds_of_the_layers_that_are_too_much_and_no_earlier_one(launch, adversary, gone):
    attack = launch(noisy(adversary), absent=dict.fromkeys(gone, Step.MASKED_INPUT))
    scheme, stay = attack.scheme, len(gone)
    survivors = tuple(who for who in range(1, 8) if who not in gone)
    for who in survivors:
        rows = {row for dealer, row in attack.shares if dealer == who}
        assert rows == {steps.SELF_MASK_SEED + scheme.layers - stay}
        (row,) = rows
        opened = attack.secret(who, row)
        *_, end = layers.walked(opened, scheme.layers - stay)
        assert end == attack.seeds[who]
    error = attack.total() - attack.total_of(*survivors)
    assert np.abs(error).max() < 10 * np.sqrt(2560)


class OffItsChain(BonawitzClient):
    def _draw(self):
        super()._draw()
        scheme, memory = self.scheme, self._memory
        seeds = tuple(self._randomness.bytes(32) for _ in memory.own.seeds)
        holders = range(1, scheme.participants + 1)
        shares = shamir.deal((memory.own.mask_secret, *seeds), holders, scheme.quorum, self._randomness).tobytes()
        memory.own = msgspec.structs.replace(memory.own, seeds=seeds, shares=shares)
        return steps.advertise(scheme, self.me, memory.own, self._address, self.context, self._randomness)


ONE_CHAIN = Weakness("one chain", "a dealer's seeds do not follow from one another", client=OffItsChain)


@pytest.mark.parametrize("gone", [0, 1])
def test_a_dealer_off_its_own_chain_is_named_and_no_wrong_sum_comes_out(launch, adversary, gone):
    """Its layers cannot be taken off, nor its self mask."""
    off = {3: without(noisy(adversary), ONE_CHAIN)}
    attack = launch(noisy(adversary), schemes=off, absent=dict.fromkeys(range(5, 5 + gone), Step.MASKED_INPUT))
    assert attack.server.output is None
    assert attack.failure.culprits == {3}
    assert "do not follow" in str(attack.failure)


def test_where_nothing_is_too_much_being_off_the_chain_ends_nothing(launch, adversary):
    """All layers stay: what is opened is the self mask's seed, and the chain is not walked."""
    attack = launch(without(noisy(adversary), ONE_CHAIN), absent=dict.fromkeys((5, 6), Step.MASKED_INPUT))
    assert attack.failure is None


# --- a graph, in which a participant is told how many survived


SPARSE = SecAggPlus(
    40, 20, neighbours=14, threshold=5, corrupt_rate=0.0, dropout_rate=0.15, sigma=20, eta=10, noise=Noise("9000", 5)
)


def test_a_count_that_neighbours_belie_is_refused(launch):
    def nobody_is_absent(attack, honest):
        messages = {envelope.recipient: attack.clients[envelope.recipient].open(envelope) for envelope in honest}
        return attack.tell(
            "CountedUnmaskRequest",
            {
                who: CountedUnmaskRequest(said.survivors, said.vanished, (), (), 0)
                for who, said in messages.items()
                if said.vanished
            },
        )

    attack = launch(SPARSE, {0: {"CountedUnmaskRequest": nobody_is_absent}}, absent={3: Step.MASKED_INPUT})
    refused = [error for who in attack.clients for error in attack.by(who)]
    assert refused
    assert all("fewer are absent" in str(error) for error in refused)


def test_more_absent_than_the_noise_is_made_for_is_refused(launch):
    def six(attack, honest):
        return attack.tell(
            "CountedUnmaskRequest",
            {envelope.recipient: CountedUnmaskRequest(*_lists(attack, envelope), (), (), 6) for envelope in honest},
        )

    attack = launch(SPARSE, {0: {"CountedUnmaskRequest": six}})
    for who in attack.clients:
        assert "less noise" in str(attack.violation(who))


def _lists(attack, envelope):
    said = attack.clients[envelope.recipient].open(envelope)
    return said.survivors, said.vanished


def test_two_counts_in_one_session_open_two_points_of_a_chain_and_the_second_is_refused(make_attack):
    """Also to a participant that was set back to before its answer: its ledger knows the first count."""
    ledger = MemoryLedger()
    attack = make_attack(SPARSE, ledgers={7: ledger}).run(until="UnmaskRequest")
    snapshot = attack.clients[7].snapshot()
    requests = attack._advance()
    (mine,) = [envelope for envelope in requests if envelope.recipient == 7]
    attack.clients[7].receive(mine)
    assert attack.clients[7].state is Terminal.DONE
    said = attack.clients[7].open(mine)
    other = attack.server.seal(mine.kind, 7, CountedUnmaskRequest(said.survivors, said.vanished, (), (), 1))
    with pytest.raises(StateError):
        attack.clients[7].receive(other)
    again = attack.restored(7, snapshot, ledger)
    with pytest.raises(RepeatedContext):
        again.receive(other)
    assert again.receive(mine)


def test_a_table_row_is_for_one_count(adversary):
    scheme = noisy(adversary)
    opened = {rows_to_open(scheme.secrets, (1, 2), (1, 2), in_all)[1] for in_all in (5, 6, 7)}
    assert len(opened) == 3


def test_a_participant_may_be_set_back_and_adds_no_second_noise(make_attack, adversary):
    """The ledger knows that the vector has been given: restored, it gives none, with this noise or another."""
    ledger = MemoryLedger()
    attack = make_attack(noisy(adversary), ledgers={2: ledger}).run(until="SealedShares")
    snapshot = attack.clients[2].snapshot()
    for envelope in attack._advance():
        attack.deliver(envelope)
    again = attack.restored(2, snapshot, ledger)
    again.receive(attack.told["SealedShares"][2])
    assert isinstance(again, BonawitzClient)
    with pytest.raises(RepeatedContext):
        again.contribute(attack.vectors[2])


def test_noise_is_fresh_in_every_session_though_vectors_are_not(make_attack):
    first, second = (
        make_attack(noisy("semi-honest"), context=replace(CONTEXT, round=number)).run() for number in (1, 2)
    )
    assert (first.total() != second.total()).any()
