"""release_to="participants": they open the sum and keep it; the server adds, relays, and learns who survived."""

import hashlib
import pickle

import msgspec
import numpy as np
import pytest

from secagg import simulate
from secagg_he import Bfv, Ckks
from secagg_he.single_key import client as client_module
from secagg_he.single_key import steps
from secagg_he.single_key.messages import Aggregate, Release, ReleaseRequest
from secagg_he.single_key.packing import Packing
from secagg_protocols import (
    Aggregator,
    AuthenticationError,
    DurableClient,
    Envelope,
    ParameterError,
    Participant,
    Policy,
    ProtocolViolation,
    RoundContext,
    RoundFailed,
    SnapshotStore,
)

LENIENT = Policy(minimum_cohort=2)


@pytest.fixture
def keeping(make):
    """Both schemes, with the sum kept from the server."""
    return lambda *shape, **options: make(*shape, release_to="participants", **options)


def plain(running):
    survivors = running.server.output.survivors
    return np.sum([running.vectors[who] for who in survivors], axis=0, dtype=np.uint64)


@pytest.mark.parametrize("without", [(), (2,)])
@pytest.mark.parametrize("shape", [(5, 7), (5, 60_000), (3, 1)])
def test_every_survivor_holds_the_exact_sum_and_the_server_none(keeping, make_round, shape, without):
    running = make_round(keeping(*shape)).run(without)
    assert running.server.output.words.size == running.server.output.total.size == 0
    for who in set(running.clients) - set(without):
        held = running.clients[who].output
        assert (held.total == plain(running)).all()
        assert held.survivors == running.server.output.survivors
    assert all(running.clients[who].output is None for who in without)


@pytest.mark.parametrize("value_bits", [1, 8, 16, 24, 32, 40])
@pytest.mark.parametrize("participants", [2, 33])
def test_sums_at_the_clip_are_exact(keeping, make_round, participants, value_bits):
    scheme = keeping(participants, 300, value_bits=value_bits)
    top = np.full(300, (1 << value_bits) - 1)
    running = make_round(scheme, dict.fromkeys(range(1, participants + 1), top)).run()
    assert scheme.raw_precision == 0
    assert (running.clients[1].output.total == participants * top.astype(np.uint64)).all()


def test_what_the_server_saw_opens_nothing_without_the_key(keeping, make_round):
    scheme = keeping(3, 500)
    running = make_round(scheme).run()
    sent = [envelope.to_bytes() for envelopes in running.uploads.values() for envelope in envelopes]
    held = pickle.dumps([running.key.handle, sent, running.server._uploads.__dict__, running.server._answers.__dict__])
    assert running.key.secret not in held
    assert running.key.flooding_key not in held
    parameters, session = scheme.parameters, running.server._sealer.session
    body = bytes(running.server._sealer.open(2, 0, 0, running.clients[1].open(running.heard[1][1]).words))

    def opened(key):
        """What somebody with this key makes of the aggregate."""
        summed = steps.SummedBlock(session, 0, body, scheme.packing.limit(3))
        words = steps.release(parameters, key.for_release(parameters.degree), summed)
        return words[: scheme.packing.lanes.words]

    guess, right = opened(scheme.make_group_key()[0]), opened(running.key)
    assert (guess == right).mean() < 0.05
    kept = steps.sum_in(scheme.packing, bytes(scheme.packing.lanes.to_bytes(right)), (1, 2, 3))
    assert (kept.total == plain(running)).all(), "the same bytes, with the key"


def test_all_that_a_participant_tells_the_server_is_that_it_is_done(keeping, make_round):
    """The same bytes from everyone, whatever the vectors were, but for the sender."""
    scheme = keeping(3, 500)
    said = []
    for fill in (0, 1):
        running = make_round(scheme, dict.fromkeys((1, 2, 3), np.full(500, fill))).encrypt().request()
        for who, envelopes in running.heard.items():
            answers = [answer for envelope in envelopes for answer in running.clients[who].receive(envelope)]
            (answer,) = answers
            assert answer.kind == "Release"
            said.append(bytes(answer.payload))
            running.server.receive(running.parse(answer))
        running.server.advance()
    assert len(set(said)) == 1


def test_a_participant_that_released_the_sum_anyway_is_dropped(keeping, make_round):
    scheme = keeping(3, 5)
    running = make_round(scheme).encrypt().request()
    words = memoryview(b"the sum")
    answer = running.clients[1].seal("Release", 0, Release(0, words))
    with pytest.raises(ProtocolViolation, match="released values"):
        running.server.receive(running.parse(answer))
    assert 1 in running.server.dropped


def test_nothing_is_flooded_or_counted_where_nothing_is_released(keeping, make_round, monkeypatch):
    monkeypatch.setattr(steps, "flood", None)
    running = make_round(keeping(3, 5)).run()
    assert running.key.budget == 0
    assert running.key.releases._released.keys == {}
    assert running.scheme.parameters.deviation == 0


def test_without_flooding_ciphertexts_are_smaller(make, keeping):
    kept, released = keeping(5, 1_000_000).parameters.upload_bytes, make(5, 1_000_000).parameters.upload_bytes
    assert kept < 0.8 * released


def test_a_published_sum_tells_no_error_and_so_no_key(make_round):
    """Participants may tell the sum after all (a model is published): it is a function of the vectors alone.

    With errors in it, whoever saw the aggregate would solve for the key (test_key_recovery).
    """
    scheme = Ckks(5, 20_000, release_to="participants")
    seen = {make_round(scheme).run().clients[1].output.total.tobytes() for _ in range(3)}
    assert len(seen) == 1
    assert scheme.parameters.scale_bits > scheme.parameters.noise_bound.bit_length()


def test_a_key_for_sums_that_are_kept_releases_none_to_a_server(make, keeping, context, backend):
    """Its ciphertexts have no room for flooding; the other key's have it."""
    for one, other in ((make, keeping), (keeping, make)):
        key, handle = one(3, 5).make_group_key()
        with pytest.raises(ParameterError, match="was made for"):
            other(3, 5).client(1, context, Participant(standing=key))
        with pytest.raises(ParameterError, match="was made for"):
            other(3, 5).server(context, Aggregator(standing=handle))


# --- a server that relays something else


def test_an_aggregate_that_was_changed_on_the_way_is_refused(keeping, make_round):
    running = make_round(keeping(3, 5)).encrypt().request()
    request, aggregate = running.heard[1]
    running.clients[1].receive(request)
    changed = bytearray(aggregate.payload)
    changed[-100] ^= 1
    with pytest.raises(AuthenticationError):
        running.clients[1].receive(Envelope.from_bytes(_with(aggregate, bytes(changed)), 1 << 24))
    assert running.clients[1].receive(aggregate)


def test_another_aggregate_than_was_announced_is_refused(keeping, make_round):
    running = make_round(keeping(3, 5)).encrypt().request()
    request, aggregate = running.heard[1]
    running.clients[1].receive(request)
    sealer = running.server._sealer
    body = bytearray(sealer.open(2, 0, 0, running.clients[1].open(aggregate).words))
    body[0] ^= 1
    forged = running.server.seal("Aggregate", 1, Aggregate(0, sealer.seal(2, 0, 0, bytes(body))))
    with pytest.raises(ProtocolViolation, match="not of the aggregate that was announced"):
        running.clients[1].receive(running.parse(forged))
    assert running.clients[1].output is None


def test_a_cohort_below_a_participants_floor_is_not_opened(keeping, make_round):
    running = make_round(keeping(5, 10), policy=Policy(minimum_cohort=5)).encrypt(without=(3,)).request()
    with pytest.raises(ProtocolViolation, match="takes part with 5 or more"):
        running.release()
    assert running.clients[1].output is None


def test_what_is_no_sum_of_so_many_is_refused_and_forgotten(make_round, monkeypatch):
    """One participant's garbage, or a server that names fewer than it added."""
    scheme = Bfv(3, 500, release_to="participants")
    running = make_round(scheme).encrypt(without=(2, 3))
    size = scheme.ciphertexts * scheme.parameters.degree
    with monkeypatch.context() as patch:
        patch.setattr(Packing, "words_of", lambda *_: np.full(size, scheme.packing.limit(2) + 1, dtype=np.uint64))
        for envelope in running.clients[2].contribute(running.vectors[2]):
            running.server.receive(running.parse(envelope))
    running.request()
    for who in (1, 2):
        request, aggregate = running.heard[who]
        running.clients[who].receive(request)
        with pytest.raises(ProtocolViolation, match="no sum of 2 valid vectors"):
            running.clients[who].receive(aggregate)
        assert running.clients[who].output is None
        assert running.clients[who]._memory.opened == ()
    with pytest.raises(RoundFailed):
        running.server.advance()


def test_a_partial_sum_that_is_named_whole_is_not_seen(keeping, make_round):
    """The server names all three and relays the sum of two: every count is its word. Stated, not stopped."""
    scheme = keeping(3, 50)
    running = make_round(scheme).encrypt()
    uploads = running.server._uploads
    third = steps.open_fresh(scheme.parameters, memoryview(_body(running, 3)), scheme.ciphertexts, 3)[0]
    for index, prime in enumerate(scheme.parameters.primes):
        less = uploads.first[:, index].astype(np.int64) - third[:, index].astype(np.int64)
        uploads.first[:, index] = (less % prime).astype(np.uint64)
    complete = running.server._expand
    running.server._expand = lambda seeds: complete(seeds[:2])
    running.request().release()
    held = running.clients[1].output
    assert held.survivors == (1, 2, 3)
    assert (held.total == running.vectors[1].astype(np.uint64) + running.vectors[2].astype(np.uint64)).all()


def test_a_server_that_makes_up_aggregates_learns_a_value_from_who_refuses(make_round):
    """One participant's ciphertext, shifted by a known amount, in the place of each sum. Stated, not stopped.

    A participant refuses what is no sum of so many, and is heard to: that halves what the value may be.
    """
    scheme = Bfv(3, 1, value_bits=8, release_to="participants")
    parameters, survivors = scheme.parameters, (1, 2)
    assert parameters.moduli == parameters.per_word == 1
    first_round = make_round(scheme, {who: np.array([77]) for who in (1, 2, 3)}).encrypt()
    first, seed = steps.open_fresh(parameters, memoryview(_body(first_round, 1)), 1, 1)
    second = steps.expand_seconds(parameters, [seed], 0, 1)

    def refused(number: int, shift: int) -> bool:
        context = RoundContext("he", number, bytes(32))
        running = make_round(scheme, first_round.vectors, key=first_round.key, context=context)
        running.encrypt()
        shifted = first.copy()
        amount = parameters.modulus * shift // parameters.plain_moduli[0]
        for index, prime in enumerate(parameters.primes):
            shifted[0, index, 0] = (int(first[0, index, 0]) + amount) % prime
        body = steps.aggregate(parameters, shifted, second)
        digests = (hashlib.sha256(body).digest(),)
        sealer = running.server._sealer
        sealed = sealer.of_aggregate(steps.aggregate_name(sealer.session, survivors, digests)).seal(2, 0, 0, body)
        running.server._sealer = sealer.of_aggregate(steps.aggregate_name(sealer.session, survivors, digests))
        victim = running.clients[2]
        victim.receive(running.parse(running.server.seal("ReleaseRequest", 2, ReleaseRequest(survivors, digests))))
        try:
            victim.receive(running.parse(running.server.seal("Aggregate", 2, Aggregate(0, sealed))))
        except ProtocolViolation:
            return True
        return False

    limit, low, high = scheme.packing.limit(len(survivors)), 0, 255
    for number in range(2, 10):
        middle = (low + high + 1) // 2
        low, high = (middle, high) if refused(number, limit + 1 - middle) else (low, middle - 1)
    assert low == high == 77


def _with(envelope: Envelope, payload: bytes) -> bytes:
    return msgspec.structs.replace(envelope, payload=payload).to_bytes()


def _body(running, who: int) -> bytes:
    (envelope,) = running.uploads[who]
    message = running.server.open(envelope)
    return bytes(running.server._sealer.open(1, who, 0, message.words))


# --- drivers


@pytest.mark.parametrize("drop", [{}, {2: "Encrypt"}, {2: "Release"}])
def test_simulate_gives_the_participants_sum(keeping, backend, drop):
    scheme = keeping(5, 300)
    vectors = np.random.default_rng(2).integers(0, 1 << 16, (5, 300))
    run = simulate(scheme, list(vectors), drop=drop)
    assert run.survivors == tuple(who for who in range(1, 6) if drop.get(who) != "Encrypt")
    assert (run.total == vectors[[who - 1 for who in run.survivors]].sum(axis=0)).all()


def test_simulate_refuses_sums_that_differ(keeping, backend, monkeypatch):
    """A server that relays one aggregate to some and another to others, which no participant sees alone."""
    honest, calls = client_module.steps.release, []

    def wrong_for_the_second(*arguments):
        calls.append(1)
        return honest(*arguments) ^ np.uint64(len(calls) == 2)

    monkeypatch.setattr(client_module.steps, "release", wrong_for_the_second)
    with pytest.raises(RoundFailed, match="participants were given different sums") as caught:
        simulate(keeping(3, 5), [np.ones(5, dtype=int)] * 3)
    assert caught.value.culprits == {0}


def test_the_sum_survives_a_restart_between_any_two_messages(keeping, backend, tmp_path):
    """Blocks come one by one, each to a new process."""
    scheme = keeping(2, 400_000, value_bits=32)
    assert scheme.aggregate_blocks > 1
    key, handle = scheme.make_group_key()
    context = RoundContext("he", 1, bytes(32))
    server = scheme.server(context, Aggregator(standing=handle))
    vector = np.arange(400_000) * 10_000

    def client(who):
        store = SnapshotStore(tmp_path / str(who))
        return DurableClient(store, scheme, who, context, Participant(policy=LENIENT, standing=key))

    def give(answers):
        for data in answers:
            server.receive(Envelope.from_bytes(data, scheme.envelope_limit))

    server.start()
    for who in (1, 2):
        client(who).start()
        give(client(who).contribute(vector))
    for envelope in server.advance():
        give(client(envelope.recipient).receive(envelope.to_bytes()))
    server.advance()
    assert server.output.survivors == (1, 2)
    for who in (1, 2):
        assert (client(who).output.total == 2 * vector.astype(np.uint64)).all()


# --- parameters


def test_what_has_no_meaning_there_is_refused(make):
    for name in ("releases", "flooding_bits", *(["raw_precision"] if make is Ckks else [])):
        with pytest.raises(ParameterError, match=f"{name}=77.*leave {name} out"):
            make(3, 5, release_to="participants", **{name: 77})
    with pytest.raises(ParameterError, match="release_to='nobody'"):
        make(3, 5, release_to="nobody")


def test_who_gets_the_sum_is_in_the_schemes_id(make, keeping):
    kept = keeping(3, 5)
    assert kept.id != make(3, 5).id
    again = make(3, 5, release_to="participants", releases=kept.releases, flooding_bits=kept.flooding_bits)
    assert again.id == kept.id


def test_the_leakage_says_so(keeping):
    rows = dict(keeping(3, 5).leakage)
    assert "not the sum" in rows["the server"]
    assert "the sum over the survivors" in rows["other participants"]


def test_requests_are_the_same_as_ever(keeping, make_round):
    running = make_round(keeping(3, 5)).encrypt().request()
    request = running.clients[1].open(running.heard[1][0])
    assert isinstance(request, ReleaseRequest)
    assert request.survivors == (1, 2, 3)
