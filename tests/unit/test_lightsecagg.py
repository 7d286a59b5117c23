"""LightSecAgg: its parameters, its code, its one-shot recovery, and what a wrong share does."""

from itertools import combinations
from math import prod

import msgspec
import numpy as np
import pytest

from secagg import simulate
from secagg_protocols import (
    SERVER,
    InsecureDeterministicRandomness,
    LightSecAgg,
    ParameterError,
    Participant,
    Policy,
    ProtocolViolation,
    RoundContext,
    RoundFailed,
    Step,
)
from secagg_protocols.dealing.messages import KeyList, SealedShares, UnmaskRequest
from secagg_protocols.lightsecagg import steps
from secagg_protocols.lightsecagg.messages import ShareMasks, Unmasking
from secagg_protocols.lightsecagg.packing import CHOICES, FIELDS, FieldPacking
from secagg_protocols.packing.sums import Domain
from secagg_protocols.primitives.coded import encoding_matrix

LENIENT = Policy(minimum_cohort=2)
SESSION = bytes(range(32))


# --- parameters


@pytest.mark.parametrize("participants", [2, 3, 4, 7, 10, 200])
def test_derived_parameters_keep_the_rule(participants):
    for colluders in {0, 1, participants // 3, participants // 2, participants - 2}:
        if colluders > participants - 2:
            continue
        scheme = LightSecAgg(participants, 5, colluders=colluders)
        assert scheme.privacy == max(1, colluders)
        assert scheme.privacy + scheme.dropouts < participants
        assert scheme.privacy < scheme.quorum <= participants - scheme.dropouts
        assert scheme == LightSecAgg(participants, 5, colluders=colluders, dropouts=scheme.dropouts)
        assert scheme.id == LightSecAgg(participants, 5, colluders=colluders, threshold=scheme.threshold).id


def test_the_papers_setting():
    scheme = LightSecAgg(200, 100_000, colluders=100, dropouts=60)
    assert (scheme.quorum, scheme.pieces, scheme.piece_length) == (140, 40, 2500)
    assert scheme.packing.words * scheme.packing.word_bytes == 300_000
    spare = LightSecAgg(200, 100_000, colluders=70, dropouts=20, threshold=140)
    assert spare.pieces == 70


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"colluders": 5, "dropouts": 5}, ["dropouts=5", "colluders=5", "T + D < N", "lower"]),
        ({"dropouts": 9}, ["dropouts=9", "T + D < N"]),
        ({"dropouts": -1}, ["dropouts=-1"]),
        ({"colluders": 9}, ["colluders=9", "8", "honest"]),
        ({"colluders": -1}, ["colluders=-1"]),
        ({"colluders": 4, "threshold": 4}, ["threshold=4", "5", "colluders=4"]),
        ({"threshold": 1}, ["threshold=1", "2"]),
        ({"threshold": 11}, ["threshold=11", "10"]),
        ({"threshold": 8, "dropouts": 3}, ["threshold=8", "7", "D = 3"]),
        ({"threshold": 2.5}, ["threshold=2.5", "integer"]),
        ({"adversary": "active"}, ["active", "refused", "bonawitz"]),
        ({"value_bits": 62}, ["62 bits", "lower value_bits"]),
        ({"length": 1 << 32}, ["length=4294967296", "lower length"]),
    ],
    ids=str,
)
def test_each_refusal_names_the_value_and_the_remedy(parameters, words):
    with pytest.raises(ParameterError) as caught:
        LightSecAgg(**{"participants": 10, "length": 10, **parameters})
    for word in words:
        assert word in str(caught.value)


def test_a_policy_against_more_colluders_than_the_code_withstands_is_refused():
    scheme = LightSecAgg(10, 5, colluders=3)
    scheme.check_policy(Policy(colluders=3))
    with pytest.raises(ParameterError, match="T = 3: raise colluders"):
        scheme.check_policy(Policy(colluders=4))


# --- packing


@pytest.mark.parametrize("participants", [2, 3, 10, 129, 200, 256, 257, 1000, 65535])
@pytest.mark.parametrize("value_bits", [1, 4, 8, 12, 16, 20, 24, 31, 32, 40, 48])
def test_no_sum_reaches_the_primes_and_every_sum_comes_back(participants, value_bits):
    domain = Domain(participants, 11, value_bits)
    top = (1 << value_bits) - 1
    vector = np.random.default_rng(1).integers(0, top, 11, dtype=np.uint64, endpoint=True)
    vector[:3] = top, 0, top
    chosen = FieldPacking.of(domain)
    for packing in (chosen, *filter(None, (FieldPacking.within(fields, domain) for fields in CHOICES))):
        largest = participants * sum(top << lane * domain.sum_bits for lane in range(packing.lanes))
        assert largest < min(prod(field.prime for field in packing.fields), 1 << 64)
        sums = packing.reduced(packing.pack(vector) * np.uint64(participants))
        everyone = tuple(range(1, participants + 1))
        assert packing.total(sums, everyone, Step.UNMASKING).tolist() == (vector * np.uint64(participants)).tolist()
        if len(packing.fields) == 1 or len(chosen.fields) > 1:
            assert chosen.words * chosen.word_bytes <= packing.words * packing.word_bytes


def test_small_values_share_an_element_and_large_ones_take_several_fields():
    assert FieldPacking.of(Domain(10, 100, 8)).lanes == 2
    assert FieldPacking.of(Domain(200, 100, 16)) == FieldPacking(FIELDS[:1], Domain(200, 100, 16), 1)
    assert FieldPacking.of(Domain(1000, 100, 16)).fields == CHOICES[1]
    assert FieldPacking.of(Domain(2, 100, 60)).fields == CHOICES[3]
    assert FieldPacking.of(Domain(4, 100, 62)).fields == CHOICES[4]
    assert FieldPacking.of(Domain(129, 100, 24)) == FieldPacking(CHOICES[4], Domain(129, 100, 24), 2)


def test_fields_that_are_used_together_are_of_different_primes_and_of_one_size_the_largest_first():
    for fields in CHOICES:
        primes = [field.prime for field in fields]
        assert primes == sorted(set(primes), reverse=True)
        assert len({field.element_bytes for field in fields}) == 1
        assert all(pow(base, prime - 1, prime) == 1 for prime in primes for base in (2, 3, 5, 7))


def test_a_sum_that_would_pass_64_bits_is_no_sum():
    domain = Domain(4, 1, 62)
    packing = FieldPacking.of(domain)
    for value in (1 << 64, (1 << 64) + 5, prod(field.prime for field in packing.fields) - 1):
        words = np.array([value % field.prime for field in packing.fields], dtype=np.uint64)
        with pytest.raises(RoundFailed, match="no sum of valid vectors"):
            packing.total(words, (1, 2, 3, 4), Step.UNMASKING)


def test_elements_of_another_fields_section_are_refused():
    packing = FieldPacking.of(Domain(4, 3, 62))
    first, second = (field.prime for field in packing.fields[:2])
    elements = np.zeros(packing.words, dtype=np.uint64)
    elements[2] = first - 1
    packing.from_bytes(packing.to_bytes(elements))
    packing.check_block(0, packing.to_bytes(elements))
    elements[3] = second
    for check in (packing.from_bytes, lambda data: packing.check_block(0, data)):
        with pytest.raises(ProtocolViolation, match=f"no element of GF.{second}"):
            check(packing.to_bytes(elements))


@pytest.mark.parametrize("value_bits", [7, 8, 16, 40])
def test_values_that_are_no_sum_are_refused(value_bits):
    domain = Domain(5, 3, value_bits)
    packing = FieldPacking.of(domain)
    words = np.zeros(packing.words, dtype=np.uint64)
    words[-1] = packing.field.prime - 1
    with pytest.raises(RoundFailed, match="no sum of valid vectors"):
        packing.total(words, (1, 2, 3), Step.UNMASKING)


# --- the code


@pytest.mark.parametrize("field", FIELDS, ids=str)
def test_any_t_rows_over_the_random_pieces_and_any_u_rows_are_invertible(field):
    """So T shares are uniform whatever the mask, and U shares determine it."""
    n, privacy, quorum = 7, 3, 5
    matrix = encoding_matrix(field, n, quorum).astype(np.int64)
    for holders in combinations(range(n), privacy):
        assert rank(matrix[list(holders)][:, quorum - privacy :], field.prime) == privacy
    for holders in combinations(range(n), quorum):
        assert rank(matrix[list(holders)], field.prime) == quorum
    # One share more than T begins to tell: the scheme is as private as it says and no more.
    assert rank(matrix[: privacy + 1, quorum - privacy :], field.prime) == privacy


def rank(matrix, prime):
    """Gauss, in Python's integers."""
    rows, found = [list(map(int, row)) for row in matrix], 0
    for column in range(len(rows[0])):
        pivot = next((r for r in range(found, len(rows)) if rows[r][column] % prime), None)
        if pivot is None:
            continue
        rows[found], rows[pivot] = rows[pivot], rows[found]
        inverse = pow(rows[found][column], -1, prime)
        for r in range(found + 1, len(rows)):
            factor = rows[r][column] * inverse % prime
            rows[r] = [(a - factor * b) % prime for a, b in zip(rows[r], rows[found], strict=True)]
        found += 1
    return found


@pytest.mark.parametrize("field", FIELDS, ids=str)
@pytest.mark.parametrize("terms", [1, 31, 32, 33, 64, 200, 65535])
def test_products_of_the_largest_elements_are_exact_in_float64(field, terms):
    top = field.prime - 1
    left, right = np.full((2, terms), top), np.full((terms, 3), top)
    left[1, -1] = right[-1, 2] = top - 1  # an odd summand would be the first thing lost
    exact = [
        [sum(a * b for a, b in zip(row, column, strict=True)) % field.prime for column in right.T.tolist()]
        for row in left.tolist()
    ]
    assert field.multiply(left, right).tolist() == exact
    assert field.terms * top * (0xFFFF if top >> 26 else top) < 2**53


@pytest.mark.parametrize("field", FIELDS, ids=str)
def test_random_products_are_exact_and_elements_survive_the_wire(field):
    source = InsecureDeterministicRandomness(5)
    left, right = field.uniform((40, 130), source), field.uniform((130, 300), source)
    exact = (left.astype(object) @ right.astype(object)) % field.prime
    assert field.multiply(left, right).tolist() == exact.tolist()
    right.flat[:3] = field.prime - 1, 0, 1
    assert field.from_bytes(field.to_bytes(right)).tolist() == right.reshape(-1).tolist()
    assert len(field.to_bytes(right)) == right.size * field.element_bytes
    with pytest.raises(ProtocolViolation, match="no element"):
        field.from_bytes(field.prime.to_bytes(field.element_bytes, "little"))


def test_t_shares_are_compatible_with_every_mask():
    """For given shares of T holders and any other mask there are random pieces that give exactly those shares."""
    scheme = LightSecAgg(5, 4, colluders=2, threshold=4)
    field, holders = scheme.packing.field, [1, 4]
    shares = steps.encode_mask(scheme, SESSION, 1, b"s" * 32, holders)
    matrix = encoding_matrix(field, 5, 4).astype(np.int64)[[h - 1 for h in holders]]
    other = field.uniform((scheme.pieces, scheme.piece_length), InsecureDeterministicRandomness(1))
    rest = (shares - field.multiply(matrix[:, :2], other)) % field.prime
    (a, b), (c, d) = matrix[:, 2:].tolist()
    scale = pow(a * d - b * c, -1, field.prime)
    inverse = np.array([[d, -b], [-c, a]], dtype=object) * scale % field.prime
    noise = field.multiply(inverse.astype(np.int64), rest)
    again = field.multiply(matrix, np.concatenate([other, noise]))
    assert again.tolist() == shares.tolist()


@pytest.mark.parametrize("participants", [4, 200, 500])
def test_sums_of_shares_decode_to_the_sum_of_the_masks_at_the_extremes(participants):
    """Every element p − 1, every participant: nothing is lost in float64."""
    scheme = LightSecAgg(participants, 9, colluders=participants // 3)
    field = scheme.packing.field
    pieces = np.full((scheme.quorum, scheme.piece_length), field.prime - 1)
    shares = field.multiply(encoding_matrix(field, participants, scheme.quorum), pieces)
    assert shares.tolist() == [[field.prime - 1] * scheme.piece_length] * participants  # a constant polynomial
    summed = shares * participants % field.prime
    holders = list(range(participants - scheme.quorum + 1, participants + 1))
    decoded = steps.decode_aggregate(scheme, holders, summed[[h - 1 for h in holders]])
    assert decoded.tolist() == [-participants % field.prime] * scheme.packing.words


def test_the_mask_is_another_one_in_every_session_and_is_spread_over_the_field():
    scheme = LightSecAgg(10, 50_000)
    first, _ = steps.draw_mask(scheme, SESSION, 1, bytes(32))
    second, _ = steps.draw_mask(scheme, bytes(32), 1, bytes(32))
    assert np.mean(first == second) < 0.001
    counts, _ = np.histogram(first, bins=16, range=(0, scheme.packing.field.prime))
    assert np.sum((counts - first.size / 16) ** 2 / (first.size / 16)) < 60


# --- rounds


def inputs(scheme, seed=1):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 1 << scheme.value_bits, (scheme.participants, scheme.length))


@pytest.mark.parametrize("colluders", [0, 2])
def test_one_shot_recovery_with_every_dropout_pattern(colluders):
    scheme = LightSecAgg(5, 7, colluders=colluders)
    vectors = inputs(scheme)
    for gone in range(scheme.dropouts + 1):
        for before in combinations(range(1, 6), gone):
            run = simulate(scheme, vectors, drop=dict.fromkeys(before, "MaskedInput"), policy=LENIENT)
            assert run.survivors == tuple(p for p in range(1, 6) if p not in before)
            assert run.total.tolist() == sum(vectors[p - 1] for p in run.survivors).tolist()
            after = simulate(scheme, vectors, drop=dict.fromkeys(before, "Unmasking"), policy=LENIENT)
            assert after.total.tolist() == vectors.sum(axis=0).tolist()


def test_one_dropout_too_many_gives_no_sum():
    scheme = LightSecAgg(6, 7, colluders=2)
    drop = dict.fromkeys(range(1, scheme.dropouts + 2), "Unmasking")
    with pytest.raises(RoundFailed, match="round failed at Unmasking"):
        simulate(scheme, inputs(scheme), drop=drop, policy=LENIENT)


@pytest.mark.parametrize("value_bits", [3, 16, 40])
def test_largest_values_of_many_participants_do_not_wrap(value_bits):
    scheme = LightSecAgg(40, 9, value_bits=value_bits, colluders=10)
    top = (1 << value_bits) - 1
    run = simulate(scheme, lambda participant: np.full(9, top), drop={4: "MaskedInput"})
    assert run.total.tolist() == [39 * top] * 9


def wrong_sum(machine, envelopes):
    """Send another sum of shares than the honest one: every liar is off by something else."""
    if not envelopes or envelopes[0].kind != "Unmasking":
        return envelopes
    share = bytearray(msgspec.msgpack.decode(envelopes[0].payload, type=Unmasking).share)
    share[:2] = (int.from_bytes(share[:2], "little") * 31 + 7919 * machine.me).to_bytes(4, "little")[:2]
    return [machine.seal("Unmasking", SERVER, Unmasking((), memoryview(bytes(share))))]


def test_a_wrong_sum_of_shares_is_located_and_left_out():
    scheme = LightSecAgg(9, 20)
    run = simulate(scheme, inputs(scheme), misbehave={2: wrong_sum, 7: wrong_sum})
    assert run.total.tolist() == inputs(scheme).sum(axis=0).tolist()
    assert [one.holder for one in run.corrections] == [2, 7]
    assert all({SERVER, one.holder} < one.culprits and one.dealer == SERVER for one in run.corrections)


def test_more_wrong_sums_than_the_spare_answers_tell_apart_give_no_sum():
    scheme = LightSecAgg(9, 20)
    assert scheme.quorum == 5
    with pytest.raises(RoundFailed, match="contradict each other"):
        simulate(scheme, inputs(scheme), misbehave=dict.fromkeys((2, 5, 7), wrong_sum))
    one_spare = dict.fromkeys((4, 5, 6), "Unmasking")
    with pytest.raises(RoundFailed, match="1 spare"):
        simulate(scheme, inputs(scheme), drop=one_spare, misbehave={2: wrong_sum, 7: wrong_sum})


def test_with_exactly_u_answers_only_an_impossible_sum_is_seen():
    """The documented limit: the code has no redundancy left; the range of the sums has some."""
    scheme = LightSecAgg(9, 20_000, value_bits=8)
    drop = dict.fromkeys((4, 5, 6, 8), "Unmasking")

    def all_wrong(machine, envelopes):
        if not envelopes or envelopes[0].kind != "Unmasking":
            return envelopes
        return [machine.seal("Unmasking", SERVER, Unmasking((), memoryview(bytes(scheme.share_bytes))))]

    with pytest.raises(RoundFailed, match="no sum of valid vectors"):
        simulate(scheme, inputs(scheme), drop=drop, misbehave={2: all_wrong})


# --- missing shares


def spoil(holders):
    """Make a dealer's shares for these holders garbage."""

    def misbehave(machine, envelopes):
        if not envelopes or envelopes[0].kind != "ShareMasks":
            return envelopes
        sealed = bytearray(msgspec.msgpack.decode(envelopes[0].payload, type=ShareMasks).sealed)
        size = machine.scheme.sealed_bytes
        for holder in holders:
            sealed[(holder - 1 - (holder > machine.me)) * size] ^= 1
        return [machine.seal("ShareMasks", SERVER, ShareMasks(b"", memoryview(bytes(sealed))))]

    return misbehave


def test_a_holder_without_a_share_of_a_survivor_says_so_and_the_others_finish():
    scheme = LightSecAgg(5, 7)
    run = simulate(scheme, inputs(scheme), misbehave={3: spoil([1, 5])})
    assert run.survivors == (1, 2, 3, 4, 5)
    assert run.total.tolist() == inputs(scheme).sum(axis=0).tolist()
    assert {p: gone.reason for p, gone in run.dropped.items()} == dict.fromkeys(
        (1, 5), "holds no valid share of participant 3"
    )


def test_a_dealer_that_vanishes_takes_its_bad_shares_with_it():
    scheme = LightSecAgg(5, 7)
    run = simulate(scheme, inputs(scheme), misbehave={3: spoil([1, 2, 4, 5])}, drop={3: "MaskedInput"})
    assert run.survivors == (1, 2, 4, 5)
    assert set(run.dropped) == {3}


def test_a_dealer_of_garbage_to_too_many_holders_gives_no_sum():
    scheme = LightSecAgg(5, 7)
    with pytest.raises(RoundFailed, match="have 2 of the 3"):
        simulate(scheme, inputs(scheme), misbehave={3: spoil([1, 4, 5])})


# --- what a participant and the server refuse


def at(step, **more):
    """Return the server and clients of a round of five, and what the server sent to open `step`."""
    scheme, context = LightSecAgg(5, 7), RoundContext("job", 1, bytes(32))
    server = scheme.server(context)
    clients = {p: scheme.client(p, context, Participant(**more)) for p in range(1, 6)}
    server.start()
    answers = [envelope for client in clients.values() for envelope in client.start()]
    while True:
        for envelope in answers:
            server.receive(envelope)
        outgoing = server.advance()
        if server.step.value == step:
            return server, clients, {envelope.recipient: envelope for envelope in outgoing}
        answers = []
        for envelope in outgoing:
            client = clients[envelope.recipient]
            answers += client.receive(envelope)
            if client.awaits_vector:
                answers += client.contribute(np.full(7, client.me))


def aborts(client, envelope, words):
    with pytest.raises(ProtocolViolation, match=words):
        client.receive(envelope)
    assert str(client.state) == "Aborted"
    assert client._memory.own is None
    assert not client._memory.shares


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda entries: [e for e in entries if e.participant != 1], "own keys"),
        (lambda entries: entries[:2], "3 or more"),
        (lambda e: [*e, msgspec.structs.replace(e[4], participant=6)], "not in this round"),
        (lambda e: [*e[:4], msgspec.structs.replace(e[3], participant=5)], "twice"),
        (lambda e: [*e[:4], msgspec.structs.replace(e[4], signature=bytes(64))], "no signatures"),
        (lambda e: [*e[:4], msgspec.structs.replace(e[4], payload=b"\x90")], "participant 5"),
    ],
    ids=["without me", "too few", "a stranger", "the same key twice", "signed", "garbage"],
)
def test_a_key_list_that_cannot_be_is_refused(change, words):
    server, clients, opening = at("ShareMasks")
    entries = clients[1].open(opening[1]).entries
    aborts(clients[1], server.seal("KeyList", 1, KeyList(tuple(change(list(entries))))), words)


def test_shares_of_strangers_and_too_few_dealers_are_refused():
    for dealers, words in (((2, 3, 4), "dealers"), ((1, 2), "3 or more"), ((1, 2, 3, 4, 5, 6), "dealers")):
        server, clients, opening = at("MaskedInput")
        message, size = clients[1].open(opening[1]), server.scheme.sealed_bytes
        sealed = bytes(message.sealed)[: (len(dealers) - (1 in dealers)) * size]
        aborts(clients[1], server.seal("SealedShares", 1, SealedShares(dealers, memoryview(sealed))), words)


@pytest.mark.parametrize(
    ("survivors", "words"), [((2, 3, 4, 5), "among them"), ((1, 2), "3 or more"), ((1, 2, 3, 6), "dealers")]
)
def test_a_survivor_list_that_cannot_be_is_refused(survivors, words):
    server, clients, _ = at("Unmasking")
    vanished = tuple(sorted({1, 2, 3, 4, 5} - set(survivors)))
    aborts(clients[1], server.seal("UnmaskRequest", 1, UnmaskRequest(survivors, vanished, (), ())), words)


def test_a_participant_answers_for_one_survivor_list_only():
    """Sums of U holders over U₁, and over U₁ without 5, would give the mask of 5."""
    server, clients, opening = at("Unmasking")
    clients[1].receive(opening[1])
    with pytest.raises(Exception, match="not expected"):
        clients[1].receive(server.seal("UnmaskRequest", 1, UnmaskRequest((1, 2, 3, 4), (5,), (), ())))


@pytest.mark.parametrize(
    ("missing", "share"),
    [((), b""), ((), bytes(6)), ((2,), bytes(12)), ((4,), b""), ((9,), b""), ((), b"\xff" * 12)],
    ids=["nothing", "too short", "missing and a share", "itself", "a stranger", "no elements"],
)
def test_garbage_in_a_sum_of_shares_drops_its_sender(missing, share):
    server, clients, opening = at("Unmasking")
    assert server.scheme.share_bytes == 12
    with pytest.raises(ProtocolViolation):
        server.receive(clients[4].seal("Unmasking", SERVER, Unmasking(missing, memoryview(share))))
    assert 4 in server.dropped
    for participant in (1, 2, 3, 5):
        for envelope in clients[participant].receive(opening[participant]):
            server.receive(envelope)
    server.advance()
    assert server.output.total.tolist() == [15] * 7


@pytest.mark.parametrize(
    ("participants", "colluders", "words"), [(1, 0, "participants=1: a secure sum"), (5, 5, "colluders=5 must be")]
)
def test_too_little_company_is_named_before_what_follows_from_it(participants, colluders, words):
    with pytest.raises(ParameterError, match=words):
        LightSecAgg(participants, 10, colluders=colluders)
