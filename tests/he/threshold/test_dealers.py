"""Dealers of wrong shares, and holders that accuse dealers: none of them ends a round alone or excludes the honest."""

import msgspec
import numpy as np
import pytest

from secagg import Policy, RoundContext, RoundFailed, StateError
from secagg.conformance.weak_servers import FITTING_SHARES
from secagg.conformance.weakened import without
from secagg.conformance.weaknesses import ONE_CHALLENGE
from secagg.round import Answers, Proposal, Round, drive
from secagg.simulation.parties import make_identities
from secagg_he import ThresholdCkks
from secagg_he.threshold import encoding, server, share_check, steps
from secagg_he.threshold.messages import KeyList, SealedShares, ShareCheck
from secagg_he.threshold.params import CHECKS
from secagg_protocols import SERVER, Aggregator, InsecureDeterministicRandomness, MemoryLedger, Participant
from secagg_protocols.primitives.field import GF65537

PRIME = GF65537.prime


def make(adversary, **parameters):
    """Return a scheme of 12 participants of whom 8 open: r = 2 may lie together, 3 may lie each for itself."""
    return ThresholdCkks(12, 20, **{"threshold": 8, "packing": 2, "adversary": adversary, **parameters})


# --- scripts


def deals_wrong(*holders):
    """Make a dealer deal well-formed shares that lie on no polynomial to these holders."""

    def script(attack, machine, envelopes):
        honest, scheme = machine._deal, machine.scheme

        def wrong(everyone):
            told, dealt = honest(everyone)
            draw = np.random.default_rng(machine.me)
            garbage = draw.integers(0, PRIME, (len(holders), scheme.share_elements + CHECKS))
            return told, {**dealt, **dict(zip(holders, encoding.encode_dealt(scheme, garbage), strict=True))}

        machine._deal = wrong
        return envelopes

    return {"AdvertiseKeys": script}


def says(change, missing=()):
    """Make a holder say something else of its shares. change: (its values by dealer, itself) → other values."""

    def script(attack, machine, envelopes):
        message = msgspec.msgpack.decode(envelopes[0].payload, type=ShareCheck)
        dealers = machine._memory.dealers
        values = dict(zip(dealers, encoding.decode_check(len(dealers), message.values), strict=True))
        values = np.stack(list(change(values, machine.me).values())) % PRIME
        return [machine.seal("ShareCheck", SERVER, ShareCheck(missing, encoding.encode_check(values)))]

    return {"ShareCheck": script}


def garbage(values, me):
    """Independent garbage for everyone."""
    draw = np.random.default_rng(me)
    return {dealer: draw.integers(0, PRIME, CHECKS) for dealer in values}


def against(*dealers):
    """The same lie about these dealers, whoever tells it: nothing in it differs between liars."""
    return lambda values, me: {dealer: value + (dealer in dealers) for dealer, value in values.items()}


def nobody_alone(attack):
    """Whoever is named is named with another, or with the server."""
    return all(len(one.culprits) > 2 and SERVER in one.culprits for one in attack.server.corrections)


# --- dealers of wrong shares


@pytest.mark.parametrize("reached", [3, 5, 11])
def test_a_dealer_of_well_formed_wrong_shares_cannot_end_a_round(launch, adversary, reached):
    attack = launch(make(adversary), {12: deals_wrong(*range(1, 1 + reached))})
    attack.is_right(*range(1, 12))
    assert "dealt shares that do not fit others" in attack.server.dropped[12].reason
    assert attack.server._suspects >= {SERVER, 12}


@pytest.mark.parametrize("reached", [5, 11])
def test_without_the_check_of_dealers_one_of_them_ends_the_round(launch, adversary, reached):
    attack = launch(without(make(adversary), FITTING_SHARES), {12: deals_wrong(*range(1, 1 + reached))})
    assert "decrypt to noise" in str(attack.failure)


@pytest.mark.parametrize("wrong", [deals_wrong(*range(1, 13)), deals_wrong(1, 2), deals_wrong(4, 7, 9)])
def test_any_number_of_bad_dealers_leaves_a_sum_while_as_many_as_open_it_are_honest(launch, adversary, wrong):
    attack = launch(make(adversary), dict.fromkeys((9, 10, 11, 12), wrong))
    assert attack.failure is None
    survivors = attack.server.output.survivors
    assert set(range(1, 9)) <= set(survivors)
    attack.is_right(*survivors)


def test_bad_dealers_that_spoil_other_holders_each_do_not_use_them_up(launch, adversary):
    hostile = {9: deals_wrong(1, 2), 10: deals_wrong(3, 4), 11: deals_wrong(5, 6), 12: deals_wrong(7, 8)}
    attack = launch(make(adversary), hostile)
    assert attack.failure is None
    assert len(attack.server.output.survivors) >= 8
    attack.is_right(*attack.server.output.survivors)


def test_the_ciphertext_of_a_dealer_that_is_left_out_is_in_no_sum_whenever_it_came(adversary):
    """Everyone answers in one go, the bad dealer first: its ciphertext is there before anyone has spoken of it."""
    run = Lockstep(make(adversary), bad={1: range(2, 8)})
    run.finish()
    assert run.server.output.survivors == tuple(range(2, 13))
    run.check()


# --- holders that lie about what they hold


@pytest.mark.parametrize("lie", [garbage, against(1), against(*range(1, 13)), against(1, 2, 3)])
def test_holders_that_frame_an_honest_dealer_are_doubted_and_the_dealer_stays(launch, adversary, lie):
    attack = launch(make(adversary), dict.fromkeys((4, 9), says(lie)))
    attack.is_right(*range(1, 13))
    assert {one.holder for one in attack.server.corrections} == {4, 9}
    assert nobody_alone(attack)
    assert not attack.server.dropped


def test_if_whoever_does_not_fit_were_left_out_one_holder_would_exclude_an_honest_dealer(launch, monkeypatch):
    def dealers_go(off, found, own, threshold):
        return ~off.any(axis=0), np.zeros(len(off), dtype=bool)

    monkeypatch.setattr(share_check, "_settle", dealers_go)
    attack = launch(make("active"), {4: says(against(1))})
    attack.is_right(*range(2, 13))


def test_holders_that_say_an_honest_dealer_gave_them_nothing_do_not_exclude_it(launch, adversary):
    attack = launch(make(adversary), dict.fromkeys((4, 9), says(lambda values, me: values, missing=(1,))))
    attack.is_right(*range(1, 13))
    assert not attack.server.dropped


def test_independent_garbage_of_all_but_one_spare_holder_excludes_no_dealer(launch, adversary):
    attack = launch(make(adversary), dict.fromkeys((1, 5, 12), says(garbage)))
    attack.is_right(*range(1, 13))
    assert {one.holder for one in attack.server.corrections} == {1, 5, 12}


def test_lying_holders_and_a_bad_dealer_together_leave_a_sum(launch, adversary):
    attack = launch(make(adversary), {3: says(against(1, 2)), 12: deals_wrong(*range(1, 12))})
    attack.is_right(*range(1, 12))
    assert {one.holder for one in attack.server.corrections} == {3}


def test_a_holder_that_lies_at_both_times_is_left_out_at_the_opening(launch, adversary):
    def opens(attack, machine, envelopes):
        message = machine.scheme  # a sum of the right form: all zeros
        share = memoryview(bytes(message.sum_bytes))
        return [machine.seal("Opening", SERVER, type(attack.server.open(envelopes[0]))((), share))]

    liar = {**says(garbage), "Opening": opens}
    attack = launch(make(adversary), dict.fromkeys((2, 5), liar))
    attack.is_right(*range(1, 13))
    assert [one.holder for one in attack.server.corrections] == [2, 5]  # noted once


@pytest.mark.parametrize(
    ("missing", "size", "refusal"),
    [((), -1, "bytes"), ((3,), 0, "missing"), ((13,), 0, "missing"), ((), 34, "bytes")],
    ids=["short", "itself", "a stranger", "long"],
)
def test_a_check_of_the_wrong_shape_drops_only_its_sender(launch, adversary, missing, size, refusal):
    def misshapen(attack, machine, envelopes):
        values = bytes(encoding.check_bytes(12) + size)
        return [machine.seal("ShareCheck", SERVER, ShareCheck(missing, memoryview(values)))]

    attack = launch(make(adversary), {3: {"ShareCheck": misshapen}})
    attack.is_right(1, 2, *range(4, 13))
    assert set(attack.server.dropped) == {3}
    assert refusal in attack.server.dropped[3].reason


def test_checks_that_are_no_field_elements_drop_only_their_sender(launch, adversary):
    def no_elements(attack, machine, envelopes):
        values = memoryview(b"\xff" * encoding.check_bytes(12))
        return [machine.seal("ShareCheck", SERVER, ShareCheck((), values))]

    attack = launch(make(adversary), {3: {"ShareCheck": no_elements}})
    attack.is_right(1, 2, *range(4, 13))


def test_who_says_nothing_of_its_shares_is_not_in_the_sum(launch, adversary):
    attack = launch(make(adversary), {3: {"ShareCheck": lambda attack, machine, envelopes: []}})
    attack.is_right(1, 2, *range(4, 13))
    assert attack.server.dropped[3].reason == "did not answer"


def test_a_check_sent_twice_is_refused_and_changes_nothing(launch, adversary):
    attack = launch(make(adversary), {3: {"ShareCheck": lambda attack, machine, envelopes: envelopes * 2}})
    attack.is_right(*range(1, 13))
    assert [type(error) for error in attack.refused(SERVER)] == [StateError]


def test_below_the_threshold_of_dealers_that_fit_the_round_fails_and_names_nobody_alone(launch, adversary):
    attack = launch(make(adversary), dict.fromkeys(range(8, 13), deals_wrong(*range(1, 7))))
    assert isinstance(attack.failure, RoundFailed)
    assert (attack.failure.step, attack.failure.have, attack.failure.need) == ("Encrypt", 7, 8)
    assert attack.failure.culprits >= {SERVER, 1, 8, 12}


# --- one challenge, one answer


def two_challenges(attack, server_, envelopes):
    """Show half of the holders another challenge than the key list promised."""
    changed = []
    for envelope in envelopes:
        message = attack.clients[envelope.recipient].open(envelope)
        if envelope.recipient > 6:
            message = SealedShares(message.dealers, bytes(32), message.sealed)
        changed.append(server_.seal("SealedShares", envelope.recipient, message))
    return changed


def test_a_server_with_two_challenges_gets_no_second_combination(launch, adversary):
    attack = launch(make(adversary), {SERVER: {"SealedShares": two_challenges}})
    for who in range(7, 13):
        (violation,) = attack.refused(who)
        assert violation.culprits == {SERVER}
        assert "not the one that the key list commits to" in str(violation)
        assert not attack.sent["ShareCheck", who]
        assert not attack.sent["Encrypt", who]


def told_of(attack, victim):
    """Return what the server learns by the code's parity checks of what all holders say of one dealer."""
    said = [attack.server.open(attack.sent["ShareCheck", who][0]).values for who in range(1, 13)]
    values = np.stack([encoding.decode_check(12, one)[victim - 1] for one in said])
    code = server_side_code()
    return GF65537.multiply(code, values)


def server_side_code():
    """Return the parity checks of the code of 12 holders and dimension 8, shape (4, 12)."""
    x = np.arange(1, 13)
    differences = (x[:, None] - x[None, :]) % PRIME
    np.fill_diagonal(differences, 1)
    weights = GF65537.inverse(GF65537.product(differences))
    return (GF65537.powers(x, 4) * weights[:, None] % PRIME).T


def test_with_two_challenges_answered_the_blinding_would_cancel_and_equations_of_the_key_be_left(launch):
    """What is left is a sum over holders of combinations of shares, which any guess of the key can be held against."""
    attack = launch(without(make("active"), ONE_CHALLENGE), {SERVER: {"SealedShares": two_challenges}})
    assert told_of(attack, 1).any()
    one, other = (
        GF65537.multiply(server_side_code(), combinations(attack, 1, challenge, first))
        for challenge, first in ((attack.server._challenge, True), (bytes(32), False))
    )
    np.testing.assert_array_equal(told_of(attack, 1), (one + other) % PRIME)  # no blinding in there
    assert not told_of(launch(make("active")), 1).any()  # with one challenge nothing is left at all


def combinations(attack, dealer, challenge, first):
    """Return what six of the holders say of a dealer under a challenge, but for the blinding; 0 for the others."""
    values = np.zeros((12, CHECKS), dtype=np.int64)
    for holder in range(1, 7) if first else range(7, 13):
        key = encoding.decode_share(attack.scheme, attack.shares[holder][dealer])
        bare = encoding.encode_dealt(attack.scheme, np.concatenate([key, np.zeros(CHECKS, dtype=np.int64)])[None, :])
        values[holder - 1] = steps.check_shares(attack.scheme, attack.server._session, challenge, bare)[0]
    return values


def test_two_commitments_are_two_sessions_and_open_no_shares(launch, adversary):
    def two(attack, server_, envelopes):
        changed = []
        for envelope in envelopes:
            listed = attack.clients[envelope.recipient].open(envelope)
            commitment = listed.commitment if envelope.recipient <= 6 else steps.commit(bytes(32))
            changed.append(server_.seal("KeyList", envelope.recipient, KeyList(listed.entries, commitment)))
        return changed

    attack = launch(make(adversary), {SERVER: {"KeyList": two}})
    sessions = {attack.clients[who]._memory.session for who in range(1, 13)}
    assert len(sessions) == 2
    assert not any(attack.sent["Encrypt", who] for who in range(1, 13))


def test_a_second_delivery_of_shares_is_refused(launch, adversary):
    attack = launch(
        make(adversary), {SERVER: {"SealedShares": lambda attack, machine, envelopes: envelopes + envelopes}}
    )
    attack.is_right(*range(1, 13))
    for who in range(1, 13):
        assert len(attack.sent["ShareCheck", who]) == 1
        assert [type(error) for error in attack.refused(who)] == [StateError]


# --- what the check tells


def what_is_said(scheme, dealt):
    """Return the check's values of these elements, a row each."""
    return steps.check_shares(scheme, bytes(32), bytes(range(32)), encoding.encode_dealt(scheme, dealt))


def test_what_is_said_of_a_dealer_fits_any_other_key_as_well(deal_all):
    """Colluders' shares, and every holder's combinations, for two keys: only the blinding differs."""
    scheme = make("active")
    colluders, columns = np.arange(1, 1 + scheme.sharing.privacy), scheme.share_elements
    dealt = deal_all(scheme, 1)
    # Any sharing of another key that gives colluders the shares they have: add one that is 0 at all of them.
    draw = np.random.default_rng(2)
    x = np.arange(1, 13)
    zero_at = np.ones((12, 1), dtype=np.int64)
    for colluder in colluders:
        zero_at = zero_at * (x[:, None] - colluder) % PRIME
    rest = GF65537.multiply(GF65537.powers(x, scheme.packing), draw.integers(0, PRIME, (scheme.packing, columns)))
    other = dealt.copy()
    other[:, :columns] = (other[:, :columns] + zero_at * rest) % PRIME
    said, would = (what_is_said(scheme, one) for one in (dealt, other))
    other[:, columns:] = (other[:, columns:] + said - would) % PRIME
    assert (what_is_said(scheme, other) == said).all()
    assert (other[colluders - 1] == dealt[colluders - 1]).all()
    assert not GF65537.multiply(server_side_code(), other).any()  # and it is a proper dealing
    assert (
        scheme.sharing.reconstruct(range(1, 9), other[:8]) != scheme.sharing.reconstruct(range(1, 9), dealt[:8])
    ).any()


def test_without_blinding_the_check_tells_combinations_of_the_key(deal_all):
    scheme = make("active")
    dealt = deal_all(scheme, 1)
    pieces = scheme.sharing.reconstruct(range(1, 9), dealt[:8])

    def of_the_key(values):
        told = scheme.sharing.reconstruct(range(1, 9), what_is_said(scheme, values)[:8])
        pieces[:, scheme.share_elements :] = 0
        return (told == what_is_said(scheme, pieces)).all()

    assert not of_the_key(dealt)
    bare = dealt.copy()
    bare[:, scheme.share_elements :] = 0
    assert of_the_key(bare)


@pytest.fixture
def deal_all():
    """Return a callable that deals an honest key: all elements by holder, blinding included."""

    def dealt(scheme, participant):
        _, shares = steps.deal(scheme, bytes(32), participant, bytes(32), range(1, scheme.participants + 1))
        return encoding.decode_dealt(scheme, list(shares.values()))

    return dealt


# --- answers in one go, uploads that wait


class Lockstep:
    """A round in which every participant sends check and ciphertext together, as over a transport of single replies."""

    def __init__(self, scheme, *, bad=None, slow=()):
        self.scheme, self.bad, self.slow = scheme, bad or {}, slow
        context, source = RoundContext("lockstep", 1, bytes(32)), InsecureDeterministicRandomness(1)
        holdings = parties(scheme)
        self.server = scheme.server(context, Aggregator(randomness=source.fork("server"), **holdings[SERVER]))
        self.clients = {
            who: scheme.client(
                who,
                context,
                Participant(randomness=source.fork(str(who)), policy=Policy(2), ledger=MemoryLedger(), **holdings[who]),
            )
            for who in range(1, scheme.participants + 1)
        }
        for dealer, holders in self.bad.items():
            deals_wrong(*holders)["AdvertiseKeys"](None, self.clients[dealer], [])
        draw = np.random.default_rng(1)
        self.vectors = {who: draw.integers(0, 1 << 16, scheme.length) for who in self.clients}

    def finish(self):
        drive(Round(self.server, Proposal.of(self.scheme, self.server.context), self.clients), self.exchange)

    def exchange(self, requests, uploads):
        for who in sorted(requests, key=lambda one: (one in self.slow, one)):
            machine = self.clients[who]
            asked = requests.envelopes(who)
            answers = [] if asked else machine.start()
            for envelope in asked:
                answers += machine.receive(envelope)
            if machine.awaits_vector:
                answers += machine.contribute(self.vectors[who])
            yield who, Answers(tuple(envelope.to_bytes() for envelope in answers))

    def check(self):
        expected = np.sum([self.vectors[who] for who in self.server.output.survivors], axis=0)
        np.testing.assert_array_equal(self.server.output.total, expected)


def parties(scheme):
    """Return what each party brings: identities and a roster where the adversary is active."""
    identities, roster = make_identities(scheme, InsecureDeterministicRandomness(2))
    return {party: {"identity": identities.get(party), "roster": roster} for party in range(scheme.participants + 1)}


def test_uploads_wait_until_the_last_holder_has_spoken(adversary):
    run = Lockstep(make(adversary))
    held = []
    real = run.server._judge
    run.server._judge = lambda: (held.append(run.server._sum.held_bytes), real())
    run.finish()
    run.check()
    assert held == [11 * run.scheme.ciphertexts.size]  # the twelfth comes with the check that decides
    assert run.server._sum.held_bytes == 0


def test_when_too_much_waits_dealers_are_judged_by_enough_holders(adversary, monkeypatch):
    monkeypatch.setattr(server, "_HELD_BYTES", 0)
    run = Lockstep(make(adversary), bad={1: range(2, 8)})
    counts = []
    real = run.server._judge
    run.server._judge = lambda: (counts.append(len(run.server._checked)), real())
    run.finish()
    assert counts == [10]  # (t + n) / 2
    assert run.server.output.survivors == tuple(range(2, 13))
    run.check()


def test_a_holder_that_comes_late_with_a_lie_is_doubted_and_still_in_the_sum(launch, adversary, monkeypatch):
    monkeypatch.setattr(server, "_HELD_BYTES", 0)
    run = Lockstep(make(adversary), bad={1: (11, 12)}, slow=(11, 12))
    run.finish()
    assert run.server.output.survivors == tuple(range(1, 13))
    assert {(one.dealer, one.holder) for one in run.server.corrections} == {(1, 11), (1, 12)}
    run.check()
