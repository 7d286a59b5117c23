"""Attacks on ThresholdCkks. The payoff is a participant's one-time key, and with it its vector; or a wrong sum.

`launch(scheme, hostile)` runs one round. `hostile`: party (0 the server) → {message kind: script}; a script takes
(attack, machine, the envelopes that the honest machine would send) and returns those that are sent instead.
"""

from collections import defaultdict
from itertools import combinations

import msgspec
import numpy as np
import pytest

from secagg import Identity, Policy, ProtocolViolation, RoundFailed, Simulation, StateError, WireError
from secagg_he import ThresholdCkks
from secagg_he.threshold import rounds
from secagg_he.threshold.client import ThresholdCkksClient
from secagg_he.threshold.messages import Encrypt, Opening
from secagg_he.threshold.noise import DEGREE, SIGMA
from secagg_protocols import SERVER, InsecureDeterministicRandomness, shamir
from secagg_protocols.coded import encoding_matrix
from secagg_protocols.dealing import client as dealing
from secagg_protocols.dealing.messages import (
    ConsistencyCheck,
    KeyEntry,
    KeyList,
    SealedShares,
    ShareKeys,
    SurvivorList,
    UnmaskRequest,
)
from secagg_protocols.dealing.rounds import survivors_digest
from secagg_protocols.field import GF65537

PRIME = GF65537.prime
SESSION = bytes(range(32))


class Attack:
    """One round under attack. `run` never raises because the round failed: see `failure`. sent: (kind, who) → list."""

    def __init__(self, scheme, hostile=None, *, vectors=None, **options):
        self.scheme, self.hostile, self.failure = scheme, hostile or {}, None
        draw = np.random.default_rng(scheme.participants)
        self.vectors = vectors or {
            who: draw.integers(0, 1 << scheme.value_bits, scheme.length) for who in range(1, scheme.participants + 1)
        }
        self.sent, self.shares = defaultdict(list), {}
        misbehave = {party: self._script(party) for party in range(scheme.participants + 1)}
        self.round = Simulation(scheme, self.vectors, misbehave=misbehave, **options)
        self.server, self.clients = self.round.server, self.round.clients

    def _script(self, party):
        def misbehave(machine, envelopes):
            if not envelopes:
                return envelopes
            kind = envelopes[0].kind
            if party and kind == "Encrypt":
                self.shares[party] = dict(machine._memory.shares)
            script = self.hostile.get(party, {}).get(kind)
            envelopes = script(self, machine, envelopes) if script else envelopes
            for envelope in envelopes:
                self.sent[kind, envelope.sender or envelope.recipient].append(envelope)
            return envelopes

        return misbehave

    def run(self):
        try:
            self.round.run()
        except RoundFailed as failure:
            self.failure = failure
        return self

    def refused(self, party):
        """Return what a party refused."""
        return [refusal.error for refusal in self.round.refusals if refusal.party == party]

    def total_of(self, *who):
        return np.sum([self.vectors[one] for one in who], axis=0)

    def is_right(self, *who):
        """The sum came out, and is that of these participants."""
        assert self.failure is None
        assert self.server.output.survivors == who
        np.testing.assert_array_equal(self.server.output.total, self.total_of(*who))

    # --- what the server sees

    def opened(self, *holders, answer=0):
        """Return the key that follows from what these t holders opened."""
        sums = [self.server.open(self.sent["Opening", holder][answer]).share for holder in holders]
        return rounds.key_sum(self.scheme, holders, np.stack([rounds.decode_share(self.scheme, one) for one in sums]))

    def key_from(self, victim, *holders):
        """Return the victim's key from shares that t holders were dealt."""
        dealt = [rounds.decode_share(self.scheme, self.shares[holder][victim]) for holder in holders]
        return rounds.key_sum(self.scheme, holders, np.stack(dealt))

    def read(self, victim, key):
        """Return the victim's vector, if this is the key of its ciphertext; else None."""
        words = np.zeros(self.scheme.ciphertexts.words, dtype=np.uint64)
        (envelope,) = self.sent["Encrypt", victim]
        self.scheme.ciphertexts.add_bytes(words, self.server.open(envelope).words)
        found, errors = rounds.decrypt(self.scheme, self.server._session, key, 0, words)
        if not rounds.is_noise(self.scheme, 1, [errors]):
            return None
        lanes = self.scheme.plaintext.lanes
        return lanes.unpack(found[: lanes.words])

    def signatures(self, survivors):
        """Return the consistency signatures that came for exactly these survivors."""
        wanted = survivors_digest(self.server._session, survivors)
        signed = {who: self.sent["ConsistencyCheck", who] for who in survivors}
        return {
            who: found[0].signature
            for who, found in signed.items()
            if found and self.server.open(found[0]).survivors_digest == wanted
        }


def launch(*arguments, **options):
    return Attack(*arguments, **options).run()


@pytest.fixture(params=["semi-honest", "active"])
def adversary(request):
    """Run the test in both variants."""
    return request.param


# --- different survivors to different participants


def split(scheme, alive):
    """Script two views: `alive` hear that everyone survived, the rest that participant 1 did not."""
    everyone = tuple(range(1, scheme.participants + 1))
    views = {who: everyone if who in alive else everyone[1:] for who in everyone}

    def lists(attack, server, envelopes):
        server._take_signature = lambda sender, message, envelope: True  # it takes what it gets
        return [server.seal("SurvivorList", who, SurvivorList(view)) for who, view in views.items()]

    def requests(attack, server, envelopes):
        made = []
        for who, view in views.items():
            signed = attack.signatures(view) if scheme.active else {}
            gone = tuple(set(everyone) - set(view))
            request = UnmaskRequest(view, gone, tuple(signed), b"".join(signed.values()))
            made.append(server.seal("UnmaskRequest", who, request))
        return made

    return {SERVER: {"SurvivorList": lists, "UnmaskRequest": requests}}


def test_different_survivor_lists_open_nothing_in_the_active_variant():
    scheme = ThresholdCkks(6, 20, adversary="active")
    attack = launch(scheme, split(scheme, {1, 2, 3}))
    for who in range(1, 7):
        (violation,) = attack.refused(who)
        assert violation.culprits == {SERVER}
        assert "3 survivors signed the survivor list; 4 are needed" in str(violation)
        assert not attack.sent["Opening", who]


def test_the_semi_honest_variant_does_not_resist_different_survivor_lists():
    scheme = ThresholdCkks(6, 20, threshold=3)
    attack = launch(scheme, split(scheme, {1, 2, 3}))
    key = attack.opened(1, 2, 3) - attack.opened(4, 5, 6)
    np.testing.assert_array_equal(attack.read(1, key), attack.vectors[1])
    assert "different survivor lists" in dict(scheme.leakage)["a server that departs from the protocol"]


def test_with_a_threshold_of_half_the_active_variant_would_not_resist_either(monkeypatch):
    monkeypatch.setattr(ThresholdCkks, "minimum_threshold", lambda self, colluders: colluders + 1)
    scheme = ThresholdCkks(6, 20, threshold=3, adversary="active")
    attack = launch(scheme, split(scheme, {1, 2, 3}))
    key = attack.opened(1, 2, 3) - attack.opened(4, 5, 6)
    np.testing.assert_array_equal(attack.read(1, key), attack.vectors[1])


# --- an opening asked twice


def asked_twice(attack, server, envelopes):
    """Ask for the sum over everyone, then for that without participant 1."""
    others = (2, 3, 4, 5)
    signed = attack.signatures((1, *others)) if attack.scheme.active else {}
    second = UnmaskRequest(others, (1,), tuple(signed)[1:], b"".join(list(signed.values())[1:]))
    return envelopes + [server.seal("UnmaskRequest", who, second) for who in others]


def test_a_second_opening_is_refused(adversary):
    attack = launch(ThresholdCkks(5, 20, adversary=adversary), {SERVER: {"UnmaskRequest": asked_twice}})
    for who in (2, 3, 4, 5):
        (refusal,) = attack.refused(who)
        assert isinstance(refusal, StateError)
        assert len(attack.sent["Opening", who]) == 1
    attack.is_right(1, 2, 3, 4, 5)


def test_answering_a_second_request_would_give_the_difference_away(monkeypatch):
    again = {**dealing.SEMI_HONEST, (dealing.Waiting.UNMASK_REQUEST, "UnmaskRequest"): dealing.Waiting.UNMASK_REQUEST}
    monkeypatch.setattr(dealing, "SEMI_HONEST", again)
    monkeypatch.setattr(ThresholdCkksClient, "_forget", lambda self: None)
    attack = launch(ThresholdCkks(5, 20), {SERVER: {"UnmaskRequest": asked_twice}})
    key = attack.opened(2, 3, 4) - attack.opened(2, 3, 4, answer=1)
    np.testing.assert_array_equal(attack.read(1, key), attack.vectors[1])


# --- another session


@pytest.mark.parametrize("kind", ["KeyList", "SealedShares", "UnmaskRequest"])
def test_a_message_of_another_session_is_refused(kind):
    scheme = ThresholdCkks(5, 20)
    old = launch(scheme)

    def replay(attack, server, envelopes):
        return [old.sent[kind, who][0] for who in range(1, 6)]

    attack = launch(scheme, {SERVER: {kind: replay}})
    for who in range(1, 6):
        (refusal,) = attack.refused(who)
        assert isinstance(refusal, ProtocolViolation if kind == "KeyList" else WireError)
        assert ("own keys" if kind == "KeyList" else "another round, scheme or session") in str(refusal)
    assert attack.failure is not None


def test_shares_sealed_in_another_session_are_no_shares(adversary):
    scheme = ThresholdCkks(5, 20, adversary=adversary)
    old = launch(scheme)

    def old_shares(attack, server, envelopes):
        sealed = {who: old.clients[who].open(old.sent["SealedShares", who][0]) for who in range(1, 6)}
        return [server.seal("SealedShares", who, message) for who, message in sealed.items()]

    attack = launch(scheme, {SERVER: {"SealedShares": old_shares}})
    for who in range(1, 6):
        assert "dealers with valid shares counts 1" in str(attack.refused(who)[0])
        assert not attack.sent["Encrypt", who]


def test_a_ciphertext_of_another_session_gives_no_sum(adversary):
    scheme = ThresholdCkks(5, 20, adversary=adversary)
    old = launch(scheme)

    def old_ciphertext(attack, machine, envelopes):
        return [machine.seal("Encrypt", SERVER, old.server.open(old.sent["Encrypt", 2][0]))]

    attack = launch(scheme, {2: {"Encrypt": old_ciphertext}})
    assert "decrypt to noise" in str(attack.failure)
    assert attack.server.output is None


# --- swapped keys


def surrounded(adversary):
    """Make participants 2 … 5 the server's own machines, which hold zeros and do not check it."""
    scheme = ThresholdCkks(5, 20, adversary=adversary)
    vectors = dict.fromkeys(range(2, 6), np.zeros(20, dtype=np.int64))
    attack = Attack(scheme, vectors={1: np.arange(20), **vectors})
    attack.server._authenticate = lambda envelope: None
    for who in range(2, 6):
        sybil = attack.clients[who]
        sybil._verify_relayed = lambda *arguments: None
        if scheme.active:
            sybil._identity = Identity.generate("the server's", scheme.ciphersuite)
    return attack


def test_a_server_that_plays_everyone_else_is_refused_in_the_active_variant():
    attack = surrounded("active").run()
    (violation,) = attack.refused(1)
    assert violation.culprits == {SERVER}
    assert "signature does not verify" in str(violation)
    assert not attack.sent["ShareKeys", 1]


def test_without_signed_keys_playing_everyone_else_gives_the_victims_vector(adversary, monkeypatch):
    monkeypatch.setattr(ThresholdCkksClient, "_verify_relayed", lambda *arguments: None)
    attack = surrounded(adversary).run()
    np.testing.assert_array_equal(attack.server.output.total, attack.vectors[1])


def substituted(attack, server, envelopes):
    """Show everyone a key of the server's own for participant 3."""
    scheme, randomness = attack.scheme, InsecureDeterministicRandomness(8)
    forged = rounds.advertise(scheme, rounds.make_secrets(scheme, randomness), server.context, randomness)
    changed = []
    for envelope in envelopes:
        entries = attack.clients[envelope.recipient].open(envelope).entries
        entries = [
            KeyEntry(3, msgspec.msgpack.encode(forged), entry.signature) if entry.participant == 3 else entry
            for entry in entries
        ]
        changed.append(server.seal("KeyList", envelope.recipient, KeyList(tuple(entries))))
    return changed


def test_one_swapped_key_is_refused_by_everyone_in_the_active_variant_and_by_its_owner_in_both(adversary):
    attack = launch(ThresholdCkks(5, 20, adversary=adversary), {SERVER: {"KeyList": substituted}})
    assert "own keys" in str(attack.refused(3)[0])
    if attack.scheme.active:
        for who in range(1, 6):
            assert attack.refused(who)[0].culprits == {SERVER}
            assert not attack.sent["ShareKeys", who]


# --- small cohorts

WHERE = {
    "AdvertiseKeys": "key list counts 3",
    "ShareKeys": "list of dealers with valid shares counts 3",
    "Encrypt": "list of survivors with valid shares counts 3",
}


@pytest.mark.parametrize("step", WHERE)
def test_a_cohort_below_a_participants_floor_opens_nothing(adversary, step):
    scheme = ThresholdCkks(5, 20, adversary=adversary, threshold=3)
    attack = launch(scheme, drop={4: step, 5: step}, policy=Policy(minimum_cohort=4))
    for who in (1, 2, 3):
        assert WHERE[step] in str(attack.refused(who)[0])
        assert not attack.sent["Opening", who]
    assert attack.server.output is None


@pytest.mark.parametrize("step", WHERE)
def test_without_the_floor_the_small_sum_comes_out(adversary, step, monkeypatch):
    monkeypatch.setattr(ThresholdCkksClient, "_check_cohort", lambda self, what, members: None)
    scheme = ThresholdCkks(5, 20, adversary=adversary, threshold=3)
    launch(scheme, drop={4: step, 5: step}, policy=Policy(minimum_cohort=4)).is_right(1, 2, 3)


# --- consistency signatures


def too_few(attack, signed):
    """Show t − 1 signatures."""
    return dict(list(signed.items())[:2])


def none_at_all(attack, signed):
    """Show none."""
    return {}


def foreign(attack, signed):
    """Make up the number with a signature of one who did not survive."""
    digest = survivors_digest(attack.server._session, (1, 2, 3, 4))
    made = attack.clients[5].seal("ConsistencyCheck", SERVER, ConsistencyCheck(digest))
    return {1: signed[1], 2: signed[2], 5: made.signature}


def one_for_all(attack, signed):
    """Show participant 1's signature in everyone's name."""
    return dict.fromkeys((1, 2, 3), signed[1])


def over_others(attack, signed):
    """Make up the number with a good signature over other survivors."""
    digest = survivors_digest(attack.server._session, (1, 2, 3, 4, 5))
    other = attack.clients[3].seal("ConsistencyCheck", SERVER, ConsistencyCheck(digest)).signature
    return {1: signed[1], 2: signed[2], 3: other}


CHOICES = [too_few, none_at_all, foreign, one_for_all, over_others]


def showing(choose):
    """Script requests with the signatures that `choose` makes of the real ones."""

    def ask(attack, server, envelopes):
        shown = choose(attack, attack.signatures((1, 2, 3, 4)))
        request = UnmaskRequest((1, 2, 3, 4), (5,), tuple(shown), b"".join(shown.values()))
        return [server.seal("UnmaskRequest", who, request) for who in (1, 2, 3, 4)]

    return {SERVER: {"UnmaskRequest": ask}}


@pytest.mark.parametrize("choose", CHOICES)
def test_an_opening_without_enough_consistency_signatures_is_refused(choose):
    attack = launch(ThresholdCkks(5, 20, adversary="active"), showing(choose), drop={5: "Encrypt"})
    for who in (1, 2, 3, 4):
        (violation,) = attack.refused(who)
        assert violation.culprits == {SERVER}
        assert not attack.sent["Opening", who]


@pytest.mark.parametrize("choose", CHOICES)
def test_without_the_check_it_would_be_answered(choose, monkeypatch):
    monkeypatch.setattr(ThresholdCkksClient, "_check_consistency", lambda self, message: None)
    attack = launch(ThresholdCkks(5, 20, adversary="active"), showing(choose), drop={5: "Encrypt"})
    attack.is_right(1, 2, 3, 4)


# --- what shares and their sums tell


def rank(matrix):
    """Gauss, in Python's integers, modulo 65537."""
    rows, found = [list(map(int, row)) for row in matrix], 0
    for column in range(len(rows[0])):
        pivot = next((row for row in range(found, len(rows)) if rows[row][column] % PRIME), None)
        if pivot is None:
            continue
        rows[found], rows[pivot] = rows[pivot], rows[found]
        inverse = pow(rows[found][column], -1, PRIME)
        for row in range(found + 1, len(rows)):
            factor = rows[row][column] * inverse % PRIME
            rows[row] = [(a - factor * b) % PRIME for a, b in zip(rows[row], rows[found], strict=True)]
        found += 1
    return found


@pytest.mark.parametrize(("n", "t", "packing"), [(5, 3, 1), (7, 5, 2), (8, 6, 4)])
def test_few_shares_are_independent_of_the_key_and_the_threshold_gives_it(n, t, packing):
    """A holder's share is its row of the code times (key, uniform values): which rows leave the key open?"""
    matrix = encoding_matrix(GF65537, n, t).astype(np.int64)
    for holders in combinations(range(n), t - packing):
        assert rank(matrix[list(holders)][:, packing:]) == t - packing  # the uniform values alone hide all of it
    for holders in combinations(range(n), t):
        assert rank(matrix[list(holders)]) == t
    for holders in combinations(range(n), t - packing + 1):
        assert rank(matrix[list(holders)][:, packing:]) == t - packing  # one more begins to tell
    for holders in combinations(range(n), t - 1):
        assert rank(matrix[list(holders)]) == t - 1  # and not before t do they tell all


@pytest.mark.parametrize(("n", "t", "packing"), [(5, 3, 1), (7, 5, 2), (8, 6, 4)])
def test_the_shares_of_colluders_fit_any_other_key_as_well(n, t, packing):
    scheme = ThresholdCkks(n, 5, threshold=t, packing=packing)
    colluders = tuple(range(2, 2 + t - packing))
    key, other = (rounds.one_time_key(scheme, SESSION, who, bytes(32)) for who in (1, 2))
    dealt = rounds.deal(scheme, key, range(1, n + 1), InsecureDeterministicRandomness(1))
    seen = np.stack([rounds.decode_share(scheme, dealt[holder - 1]) for holder in colluders])
    secrets = np.zeros((packing, scheme.share_elements), dtype=np.int64)
    secrets.reshape(-1)[:DEGREE] = other % PRIME
    matrix = encoding_matrix(GF65537, n, t).astype(np.int64)[[holder - 1 for holder in colluders]]
    noise = solved(matrix[:, packing:], (seen - matrix[:, :packing] @ secrets) % PRIME)
    again = scheme.sharing.deal(secrets, noise, colluders)
    assert (again == seen).all()


def solved(matrix, values):
    """Return x with matrix · x = values modulo 65537."""
    rows = [[*map(int, row), *map(int, value)] for row, value in zip(matrix, values, strict=True)]
    size = len(rows)
    for column in range(size):
        pivot = next(row for row in range(column, size) if rows[row][column] % PRIME)
        rows[column], rows[pivot] = rows[pivot], rows[column]
        inverse = pow(rows[column][column], -1, PRIME)
        rows[column] = [value * inverse % PRIME for value in rows[column]]
        for row in range(size):
            if row != column and rows[row][column]:
                factor = rows[row][column]
                rows[row] = [(a - factor * b) % PRIME for a, b in zip(rows[row], rows[column], strict=True)]
    return np.array([row[size:] for row in rows], dtype=np.int64)


@pytest.mark.parametrize(("threshold", "packing"), [(4, 1), (5, 2)])
def test_as_many_holders_as_the_threshold_open_a_participant_and_fewer_do_not(adversary, threshold, packing):
    scheme = ThresholdCkks(6, 20, threshold=threshold, packing=packing, adversary=adversary)
    attack = launch(scheme)
    holders = tuple(range(2, 2 + threshold))
    np.testing.assert_array_equal(attack.read(1, attack.key_from(1, *holders)), attack.vectors[1])
    attack.shares[holders[-1]] = dict.fromkeys(
        range(1, 7), shamir.encode(np.zeros((scheme.share_elements // 16, 16), dtype=np.int64)).tobytes()
    )
    assert attack.read(1, attack.key_from(1, *holders)) is None
    assert f"t = {threshold} share holders" in dict(scheme.leakage)["a server and participants beyond that number"]


@pytest.mark.parametrize("packing", [1, 3])
def test_all_sums_that_are_opened_are_the_same_however_the_key_sum_is_split(packing):
    """Move any amount from one key to another, and its polynomial with it: every holder opens what it opened before."""
    scheme = ThresholdCkks(5, 5, threshold=4, packing=packing)
    holders = range(1, 6)
    keys = [rounds.one_time_key(scheme, SESSION, who, bytes(32)) for who in (1, 2)]
    dealt = [rounds.deal(scheme, key, holders, InsecureDeterministicRandomness(who)) for who, key in enumerate(keys)]
    moved = np.random.default_rng(1).integers(-20, 20, DEGREE)
    shift = rounds.deal(scheme, moved, holders, InsecureDeterministicRandomness(9))
    for index in range(5):
        one, two, by = (rounds.decode_share(scheme, shares[index]) for shares in (*dealt, shift))
        before = rounds.add_shares(scheme, [dealt[0][index], dealt[1][index]])
        other = [
            shamir.encode(((part + sign * by) % PRIME).reshape(-1, 16)).tobytes()
            for part, sign in ((one, 1), (two, -1))
        ]
        assert other[0] != dealt[0][index]
        assert rounds.add_shares(scheme, other) == before
    fitting = np.stack([rounds.decode_share(scheme, shift[index]) for index in range(4)])
    assert (rounds.key_sum(scheme, (1, 2, 3, 4), fitting) == moved).all()  # those shares are of another key indeed


def test_the_opened_key_sum_reads_no_single_ciphertext(adversary):
    attack = launch(ThresholdCkks(5, 20, adversary=adversary))
    attack.is_right(1, 2, 3, 4, 5)
    total = rest = attack.opened(1, 2, 3)
    assert (total == attack.opened(3, 4, 5)).all()
    for victim in range(1, 6):
        for guess in (total, total // 5, np.round(total / 5).astype(np.int64), np.zeros_like(total)):
            assert attack.read(victim, guess) is None
        key = attack.key_from(victim, 1, 2, 3)
        np.testing.assert_array_equal(attack.read(victim, key), attack.vectors[victim])
        rest = rest - key
    assert not rest.any()


# --- the noise test


@pytest.mark.parametrize("participants", [2, 10, 100])
def test_errors_under_a_key_sum_that_is_wrong_by_one_are_uniform(participants):
    scheme = ThresholdCkks(participants, 4000)
    total, words = np.zeros(DEGREE, dtype=np.int64), np.zeros(scheme.ciphertexts.words, dtype=np.uint64)
    for participant in range(1, participants + 1):
        own = bytes([participant]) * 32
        total += rounds.one_time_key(scheme, SESSION, participant, own)
        encryption = rounds.Encryption.of(scheme, SESSION, participant, own)
        words += next(iter(rounds.encrypt(encryption, np.full(4000, 7))))[1]
    assert rounds.is_noise(scheme, participants, [rounds.decrypt(scheme, SESSION, total, 0, words)[1]])
    for position, by in ((0, 1), (DEGREE - 1, -1), (1000, 300)):
        wrong = total.copy()
        wrong[position] += by
        _, errors = rounds.decrypt(scheme, SESSION, wrong, 0, words)
        uniform = (1 << scheme.shift) ** 2 / 12
        assert 0.9 * uniform < errors.squares / errors.count < 1.1 * uniform
        assert errors.squares / errors.count > 24 * participants * float(SIGMA) ** 2
        assert not rounds.is_noise(scheme, participants, [errors])


# --- wrong sums of shares


def opens_wrong(change):
    """Make a holder change the elements of the sum that it opens."""

    def script(attack, machine, envelopes):
        message = msgspec.msgpack.decode(envelopes[0].payload, type=Opening)
        elements = change(rounds.decode_share(machine.scheme, message.share).copy(), machine.me) % PRIME
        share = memoryview(shamir.encode(elements.reshape(-1, shamir.LIMBS)).tobytes())
        return [machine.seal("Opening", SERVER, Opening((), share))]

    return {"Opening": script}


def by_one(elements, me):
    """One coefficient, by one."""
    elements[5] += 1
    return elements


def at_random(elements, me):
    """Everything."""
    return np.random.default_rng(me).integers(0, PRIME, elements.size)


LIES = [by_one, at_random]


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("packing", [1, 2])
def test_one_wrong_sum_of_shares_is_located_and_left_out(adversary, lie, packing):
    scheme = ThresholdCkks(7, 20, threshold=5 if adversary == "active" else 4, packing=packing, adversary=adversary)
    attack = launch(scheme, {3: opens_wrong(lie)})
    attack.is_right(1, 2, 3, 4, 5, 6, 7)
    (one,) = attack.server.corrections
    assert one.holder == 3
    assert one.culprits == {SERVER, 1, 2, 3, 4, 5, 6, 7}  # the holder, or whoever dealt to it: nothing signed tells


@pytest.mark.parametrize("lie", LIES)
def test_with_no_more_than_t_answers_a_wrong_sum_of_shares_fails_the_round(adversary, lie):
    scheme = ThresholdCkks(5, 20, threshold=3, adversary=adversary)
    attack = launch(scheme, {3: opens_wrong(lie)}, drop={4: "Opening", 5: "Opening"})
    assert "decrypt to noise" in str(attack.failure)
    assert attack.failure.culprits == {SERVER, 1, 2, 3, 4, 5}
    assert attack.server.output is None


@pytest.mark.parametrize("lie", LIES)
def test_without_the_noise_test_a_wrong_sum_would_come_out(lie, monkeypatch):
    monkeypatch.setattr(rounds, "is_noise", lambda *arguments: True)
    scheme = ThresholdCkks(4, 20, threshold=2)
    attack = launch(scheme, {2: opens_wrong(lie)}, drop={3: "Opening", 4: "Opening"})
    assert attack.failure is None
    assert (attack.server.output.total != attack.total_of(1, 2, 3, 4)).any()


@pytest.mark.parametrize("liars", [(1, 2), (1, 2, 3), (5, 6, 7), (2, 4, 6)])
def test_more_liars_than_can_be_located_cost_nothing_while_t_tell_the_truth(adversary, liars):
    scheme = ThresholdCkks(7, 20, threshold=4, adversary=adversary)
    attack = launch(scheme, dict.fromkeys(liars, opens_wrong(at_random)))
    attack.is_right(1, 2, 3, 4, 5, 6, 7)
    assert {one.holder for one in attack.server.corrections} == set(liars)


def toward(*honest):
    """Add a polynomial that is nothing at these holders: liars and they are on one polynomial, and not the true one."""

    def change(elements, me):
        factor = 1
        for holder in honest:
            factor = factor * (me - holder) % PRIME
        return elements + factor

    return change


def test_liars_that_make_honest_holders_look_wrong_are_seen_through_by_the_noise():
    scheme = ThresholdCkks(8, 20, threshold=4)
    attack = launch(scheme, dict.fromkeys((5, 6, 7), opens_wrong(toward(1, 2, 3))))
    attack.is_right(*range(1, 9))
    assert {one.holder for one in attack.server.corrections} == {5, 6, 7}


def test_without_the_noise_test_they_would_get_a_wrong_sum_and_the_honest_holders_the_blame(monkeypatch):
    monkeypatch.setattr(rounds, "is_noise", lambda *arguments: True)
    scheme = ThresholdCkks(8, 20, threshold=4)
    attack = launch(scheme, dict.fromkeys((5, 6, 7), opens_wrong(toward(1, 2, 3))))
    assert {one.holder for one in attack.server.corrections} == {4, 8}
    assert (attack.server.output.total != attack.total_of(*range(1, 9))).any()


def test_with_fewer_than_t_right_sums_there_is_none(adversary):
    scheme = ThresholdCkks(7, 20, threshold=4, adversary=adversary)
    attack = launch(scheme, dict.fromkeys((1, 3, 5, 7), opens_wrong(at_random)))
    assert "decrypt to noise" in str(attack.failure)
    assert attack.server.output is None


@pytest.mark.parametrize(
    ("missing", "size"),
    [((), 0), ((), 33), ((2,), None), ((3,), 0), ((9,), 0)],
    ids=["empty", "short", "both", "itself", "a stranger"],
)
def test_an_opening_of_the_wrong_shape_drops_only_its_sender(adversary, missing, size):
    def misshapen(attack, machine, envelopes):
        share = msgspec.msgpack.decode(envelopes[0].payload, type=Opening).share
        return [machine.seal("Opening", SERVER, Opening(missing, memoryview(bytes(share)[:size])))]

    attack = launch(ThresholdCkks(5, 20, threshold=3, adversary=adversary), {3: {"Opening": misshapen}})
    attack.is_right(1, 2, 3, 4, 5)
    assert set(attack.server.dropped) == {3}


def test_a_share_that_is_no_field_element_drops_only_its_sender(adversary):
    def no_elements(attack, machine, envelopes):
        return [machine.seal("Opening", SERVER, Opening((), memoryview(b"\x01" * machine.scheme.share_bytes)))]

    attack = launch(ThresholdCkks(5, 20, threshold=3, adversary=adversary), {3: {"Opening": no_elements}})
    attack.is_right(1, 2, 3, 4, 5)
    assert set(attack.server.dropped) == {3}


# --- dealers


def seals_garbage(*holders):
    """Make a dealer seal nothing that these holders could open."""

    def script(attack, machine, envelopes):
        dealt, size = msgspec.msgpack.decode(envelopes[0].payload, type=ShareKeys), machine.scheme.sealed_bytes
        sealed = bytearray(dealt.sealed)
        others = [who for who in attack.clients if who != machine.me]
        for holder in holders:
            position = others.index(holder)
            sealed[position * size : (position + 1) * size] = np.random.default_rng(holder).bytes(size)
        return [machine.seal("ShareKeys", SERVER, ShareKeys(dealt.share_digests, memoryview(bytes(sealed))))]

    return {"ShareKeys": script}


def deals(change):
    """Make a dealer deal other shares than those of the key that it encrypts under."""

    def script(attack, machine, envelopes):
        honest = machine._deal
        machine._deal = lambda holders: (b"", change(machine, honest(holders)[1]))
        return envelopes

    return {"AdvertiseKeys": script}


def test_a_dealer_of_garbage_to_one_holder_costs_that_holder_its_answer_and_nothing_else(adversary):
    attack = launch(ThresholdCkks(5, 20, adversary=adversary), {2: seals_garbage(4)})
    attack.is_right(1, 2, 3, 4, 5)
    assert set(attack.server.dropped) == {4}
    assert "holds no valid share of participant 2" in attack.server.dropped[4].reason
    (envelope,) = attack.sent["Opening", 4]
    assert attack.server.open(envelope) == Opening((2,), memoryview(b""))  # no sum over part of the survivors
    assert not attack.server.corrections


def test_a_sum_over_part_of_the_survivors_would_give_a_participant_away(monkeypatch):
    """Why a holder that misses one share opens nothing: two groups with different gaps, and the difference is a key."""

    def naive(self, message):
        held = [self._memory.shares[who] for who in message.survivors if who in self._memory.shares]
        return Opening((), rounds.add_shares(self.scheme, held))

    monkeypatch.setattr(ThresholdCkksClient, "_open", naive)
    scheme = ThresholdCkks(7, 20, threshold=3)

    def withhold(attack, server, envelopes):
        changed = []
        for envelope in envelopes:
            message = attack.clients[envelope.recipient].open(envelope)
            sealed = bytearray(message.sealed)
            if envelope.recipient in (5, 6, 7):
                sealed[: scheme.sealed_bytes] = bytes(scheme.sealed_bytes)  # participant 1's share
            changed.append(
                server.seal(
                    "SealedShares", envelope.recipient, SealedShares(message.dealers, memoryview(bytes(sealed)))
                )
            )
        return changed

    attack = launch(scheme, {SERVER: {"SealedShares": withhold}})
    key = attack.opened(2, 3, 4) - attack.opened(5, 6, 7)
    np.testing.assert_array_equal(attack.read(1, key), attack.vectors[1])


def test_a_dealer_of_garbage_to_all_ends_the_round_without_a_sum(adversary):
    # Stopping a round this way is possible; getting a wrong sum out of it is not.
    attack = launch(ThresholdCkks(5, 20, adversary=adversary), {2: seals_garbage(1, 3, 4, 5)})
    assert (attack.failure.step, attack.failure.have) == ("Opening", 1)
    assert attack.server.output is None


def test_a_wrong_share_dealt_to_one_holder_is_corrected(adversary):
    def wrong_for_four(machine, dealt):
        return {**dealt, 4: dealt[5]}

    scheme = ThresholdCkks(7, 20, threshold=4, adversary=adversary)
    attack = launch(scheme, {2: deals(wrong_for_four)})
    attack.is_right(1, 2, 3, 4, 5, 6, 7)
    (one,) = attack.server.corrections
    assert one.holder == 4
    assert {SERVER, 2, 4} <= one.culprits


def test_shares_of_another_key_than_the_ciphertext_s_end_the_round_without_a_sum(adversary):
    def another_key(machine, dealt):
        key = rounds.one_time_key(machine.scheme, SESSION, 2, b"\x07" * 32)
        holders = list(dealt)
        shares = rounds.deal(machine.scheme, key, holders, InsecureDeterministicRandomness(3))
        return dict(zip(holders, shares, strict=True))

    attack = launch(ThresholdCkks(5, 20, adversary=adversary), {2: deals(another_key)})
    assert "decrypt to noise" in str(attack.failure)
    assert attack.server.output is None


# --- garbage ciphertexts


def encrypts(change, block=0):
    """Make a participant change the residues of one block of its ciphertext."""

    def script(attack, machine, envelopes):
        packing = machine.scheme.ciphertexts
        message = msgspec.msgpack.decode(envelopes[block].payload, type=Encrypt)
        words = np.zeros(len(message.words) // packing.word_bytes, dtype=np.uint64)
        packing.add_bytes(words, message.words)
        changed = packing.to_bytes(change(words.astype(np.int64), machine.scheme).astype(np.uint64))
        forged = machine.seal("Encrypt", SERVER, Encrypt(block, changed))
        return [forged if number == block else envelope for number, envelope in enumerate(envelopes)]

    return {"Encrypt": script}


@pytest.mark.parametrize("excess", [0, 1])
def test_a_value_that_is_no_residue_drops_its_sender(adversary, excess):
    def too_large(residues, scheme):
        residues[77] = scheme.ring.modulus + excess
        return residues

    attack = launch(ThresholdCkks(5, 20, adversary=adversary), {2: encrypts(too_large)})
    attack.is_right(1, 3, 4, 5)
    assert "no residue modulo" in attack.server.dropped[2].reason
    assert [type(error) for error in attack.refused(SERVER)] == [ProtocolViolation]


def uniform(residues, scheme):
    """Random residues."""
    return np.random.default_rng(1).integers(0, scheme.ring.modulus, residues.size)


def half_a_step(residues, scheme):
    """One coefficient off by Δ/2."""
    residues[9] = (residues[9] + (1 << scheme.shift - 1)) % scheme.ring.modulus
    return residues


def zeros(residues, scheme):
    """Nothing at all."""
    return np.zeros_like(residues)


@pytest.mark.parametrize("garbage", [uniform, half_a_step, zeros])
def test_a_garbage_ciphertext_gives_no_sum_rather_than_a_wrong_one(adversary, garbage):
    attack = launch(ThresholdCkks(5, 20, adversary=adversary), {2: encrypts(garbage)})
    assert "decrypt to noise" in str(attack.failure)
    assert attack.server.output is None


@pytest.mark.parametrize("garbage", [uniform, half_a_step, zeros])
def test_garbage_in_a_later_block_gives_no_sum_either(garbage):
    scheme = ThresholdCkks(3, 200_000, value_bits=32)
    attack = launch(scheme, {2: encrypts(garbage, block=1)})
    assert len(attack.sent["Encrypt", 2]) == 2
    assert "no sum of honest encryptions" in str(attack.failure)
    assert attack.server.output is None


def test_a_lie_about_ones_own_vector_is_not_seen():
    """Whole steps of Δ are another vector, properly encrypted: no scheme here stops that."""

    def one_more(residues, scheme):
        residues[0] = (residues[0] + (1 << scheme.shift)) % scheme.ring.modulus
        return residues

    attack = Attack(ThresholdCkks(5, 20), {2: encrypts(one_more)})
    attack.vectors[2][0] = 5
    attack.run()
    expected = attack.total_of(1, 2, 3, 4, 5)
    expected[0] += 1
    np.testing.assert_array_equal(attack.server.output.total, expected)
