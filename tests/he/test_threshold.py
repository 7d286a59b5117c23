"""ThresholdCkks: exact sums whoever vanishes, sizes as promised, noise within its bound, parameters refused."""

from concurrent.futures import ProcessPoolExecutor
from itertools import product

import numpy as np
import pytest

from secagg import (
    InsecureDeterministicRandomness,
    ParameterError,
    Policy,
    RoundFailed,
    Simulation,
    WorkerLost,
    simulate,
)
from secagg_he import ThresholdCkks
from secagg_he.threshold import steps
from secagg_he.threshold.noise import DEGREE, MAX_LOG_Q, MIN_LOG_Q, SIGMA
from secagg_protocols import Workers

LENIENT = Policy(minimum_cohort=2)
SESSION = bytes(range(32))


def vectors(scheme, seed=1):
    """Return one vector per participant: over the whole range, with values at both ends."""
    draw, top = np.random.default_rng(seed), (1 << scheme.value_bits) - 1
    made = [draw.integers(0, top, scheme.length, dtype=np.uint64, endpoint=True) for _ in range(scheme.participants)]
    for vector in made:
        vector[::3], vector[1::7] = top, 0
    return made


def is_exact(run, inputs):
    """The sum is that of the survivors' vectors, in Python's integers."""
    kept = [inputs[one - 1].tolist() for one in run.survivors]
    return run.total.tolist() == [sum(column) for column in zip(*kept, strict=True)]


# --- sums


@pytest.mark.parametrize("participants", [2, 3, 4, 5, 10, 32, 33, 65, 100])
@pytest.mark.parametrize("value_bits", [1, 16, 24])
def test_sums_of_values_at_the_clip_are_exact(participants, value_bits):
    scheme = ThresholdCkks(participants, 50, value_bits=value_bits)
    top = np.full(50, (1 << value_bits) - 1)
    run = simulate(scheme, lambda participant: top, policy=LENIENT)
    assert run.total.tolist() == [participants * int(top[0])] * 50
    assert scheme.precision == 0


@pytest.mark.parametrize("seed", range(16))
def test_sums_of_any_shape_are_exact(seed):
    draw = np.random.default_rng(seed)
    participants, length, bits = int(draw.integers(2, 9)), int(draw.integers(1, 20_000)), int(draw.integers(1, 60))
    threshold = int(draw.integers(1, participants + 1))
    packing = int(draw.integers(1, max(2, threshold)))
    scheme = ThresholdCkks(participants, length, value_bits=bits, threshold=threshold, packing=packing)
    inputs = vectors(scheme, seed)
    assert is_exact(simulate(scheme, inputs, policy=LENIENT), inputs)


@pytest.mark.parametrize("length", [1, 2, 2 * DEGREE - 1, 2 * DEGREE, 2 * DEGREE + 1])
def test_a_vector_may_end_anywhere_in_a_polynomial(length):
    scheme = ThresholdCkks(4, length)
    assert scheme.plaintext.lanes.per_word == (2 if length > DEGREE else 1)  # one polynomial holds as many anyway
    inputs = vectors(scheme)
    assert is_exact(simulate(scheme, inputs), inputs)


# --- dropouts


@pytest.mark.parametrize("adversary", ["semi-honest", "active"])
def test_ten_participants_of_whom_one_vanishes_before_encryption_one_after_and_one_at_the_opening(adversary):
    scheme = ThresholdCkks(10, 30_000, threshold=7, adversary=adversary)
    inputs = vectors(scheme)
    after = "ConsistencyCheck" if scheme.active else "Opening"
    run = simulate(scheme, inputs, drop={2: "Encrypt", 5: after, 9: "Opening"})
    assert run.survivors == (1, 3, 4, 5, 6, 7, 8, 9, 10)
    assert set(run.dropped) == {2, 5, 9}
    assert is_exact(run, inputs)


@pytest.mark.parametrize("adversary", ["semi-honest", "active"])
def test_participants_may_vanish_before_any_step_down_to_the_threshold(adversary):
    scheme = ThresholdCkks(7, 40, threshold=4 if adversary == "active" else 3, adversary=adversary)
    inputs, spare = vectors(scheme), 7 - scheme.quorum
    for first, second in product(scheme.steps, repeat=2):
        gone = {1: first, 6: second, **dict.fromkeys(range(3, 1 + spare), second)}
        run = simulate(scheme, inputs, drop=gone, policy=LENIENT)
        assert is_exact(run, inputs), (first, second)
        encrypted = scheme.steps.index(scheme.upload_step)
        assert set(run.survivors) == {
            who for who in range(1, 8) if who not in gone or scheme.steps.index(gone[who]) > encrypted
        }


@pytest.mark.parametrize("step", ["Encrypt", "Opening"])
def test_below_the_threshold_there_is_no_sum(step):
    scheme = ThresholdCkks(5, 40, threshold=3)
    attempt = Simulation(scheme, vectors(scheme), drop=dict.fromkeys((1, 2, 3), step))
    with pytest.raises(RoundFailed) as failed:
        attempt.run()
    assert (failed.value.step, failed.value.have, failed.value.need) == (step, 2, 3)
    assert attempt.server.output is None


def test_a_hundred_participants_with_a_third_lost_at_the_opening():
    scheme = ThresholdCkks(100, 500, threshold=67)
    inputs = vectors(scheme)
    drop = {**dict.fromkeys(range(1, 11), "Encrypt"), **dict.fromkeys(range(50, 73), "Opening")}
    run = simulate(scheme, inputs, drop=drop)
    assert len(run.survivors) == 90
    assert is_exact(run, inputs)


# --- sizes


@pytest.mark.parametrize("adversary", ["semi-honest", "active"])
def test_an_upload_of_16_bit_values_takes_at_most_five_bytes_each_and_64_kib(adversary):
    scheme = ThresholdCkks(10, 100_000, threshold=7, adversary=adversary)
    sent = simulate(scheme, vectors(scheme)).bytes_sent
    assert max(sent.values()) <= 5 * 100_000 + (64 << 10)
    beside = {participant: size - scheme.ciphertexts.size for participant, size in sent.items()}
    assert max(beside.values()) <= 48 << 10
    assert ThresholdCkks(10, 1_000_000, threshold=7).ciphertexts.size <= 3.6 * 1_000_000


def test_the_traffic_of_shares_stays_bounded_by_packing():
    dealt = {n: (n - 1) * ThresholdCkks(n, 10).sealed_bytes for n in (10, 32, 33, 100, 300, 1000)}
    assert dealt[10] <= 40_000
    assert max(dealt[n] for n in (33, 100, 300, 1000)) <= 64 << 10
    paper = ThresholdCkks(100, 100_000, threshold=67)
    assert (paper.packing, paper.sharing.privacy, paper.share_bytes) == (32, 35, 145)
    run = simulate(ThresholdCkks(100, 100, threshold=67), lambda participant: np.zeros(100, dtype=np.int64))
    assert max(run.bytes_sent.values()) <= paper.ciphertexts.granule_bytes + (24 << 10)


def test_derived_packing_hides_from_as_many_holders_as_its_bytes_allow():
    for participants, threshold in [(33, 17), (100, 67), (240, 160), (1000, 501), (1000, 667), (3000, 2000)]:
        scheme = ThresholdCkks(participants, 10, threshold=threshold)
        harmless = max(1, participants // 3)
        assert scheme.sharing.privacy >= harmless
        least = ThresholdCkks(participants, 10, threshold=threshold, packing=threshold - harmless)
        assert scheme.share_bytes == least.share_bytes
        fewer = max(1, scheme.packing - 1)  # and one secret less to a polynomial would cost more
        assert (
            fewer == 1
            or ThresholdCkks(participants, 10, threshold=threshold, packing=fewer).share_bytes > scheme.share_bytes
        )
    assert ThresholdCkks(1000, 10, threshold=667).sharing.privacy == 539
    assert ThresholdCkks(100, 10, threshold=67, colluders=40).sharing.privacy >= 40


@pytest.mark.parametrize("packing", [1, 2, 3, 4])
def test_every_packing_gives_the_same_sum_and_shares_that_are_so_many_times_smaller(packing):
    scheme = ThresholdCkks(6, 40, threshold=5, packing=packing)
    inputs = vectors(scheme)
    assert is_exact(simulate(scheme, inputs, drop={3: "Opening"}), inputs)
    assert DEGREE / packing <= scheme.share_elements < DEGREE / packing + 16
    assert scheme.share_bytes == scheme.share_elements // 16 * 34 + 9
    assert scheme.sharing.privacy == 5 - packing


def test_the_modulus_is_no_wider_than_the_values_and_the_noise_need():
    for participants, bits in product((2, 10, 100, 1000), (1, 8, 16, 24, 32)):
        scheme = ThresholdCkks(participants, 1000, value_bits=bits)
        plaintext, modulus = scheme.plaintext, scheme.plaintext.modulus
        assert modulus.bit_length() <= MAX_LOG_Q[scheme.degree]
        assert participants * modulus < 1 << 64
        assert 1 << scheme.shift > 2 * scheme.error_bound
        largest = participants * ((1 << plaintext.domain.value_bits) - 1)
        packed = sum(largest << lane * plaintext.lanes.bits for lane in range(plaintext.lanes.per_word))
        assert (packed + 1) << scheme.shift <= modulus < max((packed + 1) << (scheme.shift + 2), 1 << MIN_LOG_Q)


# --- noise


def encrypted_sum(scheme, seed):
    """Return (Σ sᵢ, the first block of Σ cᵢ, that of Σ mᵢ) of honest participants, without any protocol around."""
    total = np.zeros(DEGREE, dtype=np.int64)
    words = np.zeros(scheme.ciphertexts.words, dtype=np.uint64)
    plain = np.zeros(scheme.ciphertexts.words, dtype=np.uint64)
    for participant, vector in enumerate(vectors(scheme, seed), start=1):
        own = bytes([seed, participant]) * 16
        total += steps.one_time_key(scheme, SESSION, participant, own)
        encryption = steps.Encryption.of(scheme, SESSION, participant, own)
        ((block, residues),) = steps.encrypt_blocks(encryption, vector)
        assert block == 0
        assert residues.max() < scheme.plaintext.modulus
        words += residues
        plain[: scheme.plaintext.lanes.words] += scheme.plaintext.lanes.pack(vector)
    return total, words, plain


@pytest.mark.parametrize("participants", [2, 3, 10, 33, 100])
def test_errors_never_pass_their_bound_and_have_their_width(participants):
    scheme = ThresholdCkks(participants, 4000)
    for seed in range(3):
        total, words, plain = encrypted_sum(scheme, seed)
        found, errors = steps.decrypt(scheme, SESSION, total, 0, words)
        assert (found == plain).all()
        assert errors.largest <= scheme.error_bound
        assert errors.count == scheme.ciphertexts.words
        width = participants * float(SIGMA) ** 2
        assert 0.8 * width < errors.squares / errors.count < 1.2 * width
        assert errors.largest > 2 * width**0.5  # the bound is nine deviations; thousands of errors reach three
        assert steps.is_noise(scheme, participants, [errors])


@pytest.mark.parametrize(("participants", "value_bits"), [(2, 16), (10, 16), (10, 1), (100, 24), (1000, 32)])
def test_sums_at_both_ends_are_exact_up_to_the_very_bound_of_the_errors(participants, value_bits):
    """C = a·S + E + Δ·M, made up: E at ±B, M nothing and the most there can be. One more than Δ/2 is another sum."""
    scheme = ThresholdCkks(participants, 4000, value_bits=value_bits)
    modulus, lanes = scheme.plaintext.modulus, scheme.plaintext.lanes
    largest = participants * ((1 << scheme.plaintext.domain.value_bits) - 1)
    most = sum(largest << lane * lanes.bits for lane in range(lanes.per_word))
    size = scheme.ciphertexts.words
    plain = np.resize(np.array([0, 0, most, most, most // 2], dtype=np.int64), size)
    error = np.resize(np.array([1, -1]) * scheme.error_bound, size)
    total = np.random.default_rng(1).integers(-900, 900, DEGREE)
    a = steps.reference(scheme, SESSION, 0, size // DEGREE)
    product_ = scheme.rings[0].times_then_inverse(a, scheme.rings[0].forward(total[None])[0]).reshape(-1)
    residues = (product_ + (error + (plain << scheme.shift)) % modulus) % modulus
    found, errors = steps.decrypt(scheme, SESSION, total, 0, residues.astype(np.uint64))
    assert (found.astype(np.int64) == plain).all()
    assert errors.largest == scheme.error_bound
    beyond = (residues + (1 << scheme.shift)) % modulus
    found, errors = steps.decrypt(scheme, SESSION, total, 0, beyond.astype(np.uint64))
    assert (found.astype(np.int64)[:2] == 1).all()


def test_the_key_sum_of_the_largest_cohort_stays_within_its_field():
    widest = float(SIGMA) * 65535**0.5
    assert 28 * widest < 65537 // 2


# --- keys and randomness


def test_keys_and_errors_are_of_one_session_one_participant_and_one_block():
    scheme = ThresholdCkks(3, 5000, value_bits=32)
    seed, other = bytes(32), b"\x01" * 32
    keys = [
        steps.one_time_key(scheme, *of).tobytes()
        for of in [(SESSION, 1, seed), (SESSION, 2, seed), (other, 1, seed), (SESSION, 1, other)]
    ]
    assert len(set(keys)) == 4
    zeros = np.zeros(2 * DEGREE, dtype=np.uint64)
    made = [
        steps.Encryption.of(scheme, *of).block(block, zeros).tobytes()
        for of in [(SESSION, 1, seed), (SESSION, 2, seed), (other, 1, seed), (SESSION, 1, other)]
        for block in (0, 1)
    ]
    assert len(set(made)) == 8
    assert steps.Encryption.of(scheme, SESSION, 1, seed).block(0, zeros).tobytes() == made[0]


def test_the_reference_is_uniform_below_the_modulus_and_another_for_every_session_and_block():
    scheme = ThresholdCkks(3, 5000)
    a = steps.reference(scheme, SESSION, 0, 40)
    assert a.min() >= 0
    assert a.max() < scheme.plaintext.modulus
    counts = np.bincount((a // (scheme.plaintext.modulus // 16 + 1)).reshape(-1), minlength=16)
    assert counts.size == 16
    assert abs(counts - a.size / 16).max() < 6 * (a.size / 16) ** 0.5
    assert (a[0] != steps.reference(scheme, SESSION, 1, 1)[0]).any()
    assert (a[0] != steps.reference(scheme, b"\x01" * 32, 0, 1)[0]).any()


def test_secrets_are_forgotten_as_soon_as_they_have_served_and_never_shown():
    scheme = ThresholdCkks(3, 40)
    seen = []

    def look(machine, envelopes):
        if envelopes and envelopes[0].kind == "ShareKeys":
            own = machine._memory.own
            seen.append((own.seed, repr(own), repr(machine)))
        if envelopes and envelopes[0].kind == "Encrypt":
            assert machine._memory.own is None
            assert seen[0][0] not in machine.snapshot()
        return envelopes

    attempt = Simulation(scheme, vectors(scheme), misbehave={1: look})
    attempt.run()
    ((ring_seed, *shown),) = seen
    for text in shown:
        assert ring_seed.hex() not in text
        assert repr(ring_seed) not in text
    assert "redacted" in repr(steps.Encryption.of(scheme, SESSION, 1, ring_seed))
    for machine in attempt.clients.values():
        assert machine._memory.own is None
        assert not machine._memory.shares
        assert ring_seed not in machine.snapshot()


# --- workers


@pytest.mark.parametrize("workers", [1, 2])
def test_worker_processes_give_the_same_bytes(workers, process_pool):
    scheme = ThresholdCkks(3, 200_000, value_bits=32)
    assert scheme.ciphertexts.words > scheme.block_words
    inputs, seed = vectors(scheme), InsecureDeterministicRandomness(5)
    alone = simulate(scheme, inputs, randomness=seed)
    pool = process_pool(workers)
    helped = simulate(scheme, inputs, randomness=InsecureDeterministicRandomness(5), executor=pool, parts=workers)
    assert (alone.total == helped.total).all()
    assert alone.bytes_sent == helped.bytes_sent
    assert (alone.total == np.sum(inputs, axis=0)).all()


def test_a_lost_worker_costs_no_round():
    pool = ProcessPoolExecutor(1)
    pool.shutdown()
    scheme = ThresholdCkks(3, 200_000, value_bits=32)
    inputs = vectors(scheme)
    attempt = Simulation(scheme, inputs, executor=pool, parts=1)
    with pytest.raises(WorkerLost):
        attempt.run()
    attempt.server.workers = Workers()
    attempt.server.advance()
    assert (attempt.server.output.total == np.sum(inputs, axis=0)).all()


# --- parameters


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"packing": 0}, ["packing=0", "between 1 and 5", "lower it"]),
        ({"packing": 6, "threshold": 6}, ["packing=6", "between 1 and 5", "threshold=6"]),
        (
            {"packing": 3, "colluders": 4, "threshold": 6},
            ["packing=3", "between 1 and 2", "colluders=4"],
        ),
        ({"packing": 1.5}, ["packing=1.5", "integer"]),
        ({"threshold": 11}, ["threshold=11", "10"]),
        ({"threshold": 3, "colluders": 3}, ["threshold=3", "4"]),
        ({"threshold": 5, "adversary": "active"}, ["threshold=5", "6", "active"]),
        ({"colluders": 9}, ["colluders=9", "8", "honest"]),
        ({"participants": 1}, ["participants=1", "2"]),
        ({"length": 0}, ["length"]),
        ({"value_bits": 0}, ["value_bits"]),
        ({"value_bits": 64}, ["value_bits"]),
        ({"adversary": "lazy"}, ["adversary"]),
        ({"ciphersuite": "rot13"}, ["rot13"]),
    ],
    ids=str,
)
def test_each_refusal_names_the_value_and_the_bound(parameters, words):
    with pytest.raises(ParameterError) as caught:
        ThresholdCkks(**{"participants": 10, "length": 10, **parameters})
    for word in words:
        assert word in str(caught.value)


def test_a_noise_that_leaves_no_room_for_the_values_is_refused_with_its_size(monkeypatch):
    monkeypatch.setattr("secagg_he.threshold.params.error_bound", lambda participants, coefficients: 1 << 80)
    with pytest.raises(ParameterError, match=r"82 bits of noise in a modulus of 93 bits.*lower"):
        ThresholdCkks(10, 10)


def test_every_number_of_participants_and_width_has_parameters_or_is_refused_by_name():
    for participants, bits in product((2, 3, 100, 40_000), range(1, 64)):
        try:
            scheme = ThresholdCkks(participants, 10, value_bits=bits)
        except ParameterError as refusal:
            assert "bits" in str(refusal)
            assert participants * ((1 << bits) - 1) >= 1 << 60
        else:
            largest = participants * ((1 << bits) - 1)
            assert (largest + 1) << scheme.shift <= scheme.plaintext.modulus
            assert participants * max(scheme.plaintext.primes) < 1 << 64
            assert (scheme.degree == DEGREE) == (len(scheme.plaintext.primes) == 1)


def test_colluders_beyond_what_the_shares_hide_are_refused_by_a_participants_policy():
    scheme = ThresholdCkks(10, 5, threshold=7, packing=4)
    scheme.check_policy(Policy(colluders=3))
    with pytest.raises(ParameterError, match="raise the threshold"):
        scheme.check_policy(Policy(colluders=4))
    assert (
        "more of every key with each holder above t − ℓ = 3"
        in dict(scheme.leakage)["a server and participants beyond that number"]
    )


def test_the_id_names_every_parameter():
    base = {"participants": 10, "length": 5, "threshold": 8, "packing": 2}
    changed = [
        {},
        {"length": 6},
        {"value_bits": 8},
        {"threshold": 9},
        {"packing": 3},
        {"colluders": 1},
        {"adversary": "active"},
        {"ciphersuite": "p256"},
    ]
    ids = {ThresholdCkks(**{**base, **change}).id for change in changed}
    assert len(ids) == len(changed)
    assert ThresholdCkks(10, 5).id == ThresholdCkks(10, 5, threshold=6, packing=1).id
