"""Li and Micciancio (EUROCRYPT 2021): a decrypted approximate sum, beside its ciphertext, gives away the whole key.

m̂ = c₀ + c₁ · s holds exactly for the decrypted polynomial m̂, noise included. Whoever sees m̂ and (c₀, c₁) solves for s.
The attack is run against what Ckks itself sends and releases: with its flooding switched off, so that it is known to be
alive, and as it is.
"""

import numpy as np
import pytest

from secagg_he import Ckks
from secagg_he import parameters as parameters_module
from secagg_he.ring import centred, ring
from secagg_he.single_key import steps


def recover(running):
    """Return the attack's guess at the secret: shape (N,), from the server's view alone."""
    scheme, parameters = running.scheme, running.scheme.parameters
    prime, arithmetic = parameters.primes[0], ring(parameters.degree, parameters.primes[0])
    aggregate = running.clients[1].open(running.heard[1][1])
    body = running.server._sealer.open(2, 0, 0, aggregate.words)
    half = len(body) // 2
    first = steps.unpack_polynomials(parameters, body[:half])[:, 0].astype(np.int64)
    second = steps.unpack_polynomials(parameters, body[half:])[:, 0].astype(np.int64)
    words = scheme.packing.lanes.pack(running.server.output.total)
    residues = [(int(word) << parameters.scale_bits) % prime for word in words.reshape(-1)]
    released = np.array(residues, dtype=np.int64).reshape(first.shape)
    difference = (arithmetic.forward(released) - first) % prime
    inverses = np.array([[pow(int(value), -1, prime) if value else 0 for value in row] for row in second])
    return centred(arithmetic.inverse(arithmetic.multiply(difference, inverses)), prime)[0]


def full_round(make_round, **options):
    """Return a round in which every coefficient holds a value far from both ends, so that nothing is cut off."""
    scheme = Ckks(3, 1, **options)
    while True:
        room = scheme.parameters.ciphertexts * scheme.parameters.degree * scheme.parameters.per_word
        if scheme.length == room:
            break
        scheme = Ckks(3, room, **options)
    middle = np.full(scheme.length, 1 << scheme.value_bits - 1)
    return make_round(scheme, dict.fromkeys((1, 2, 3), middle)).run()


@pytest.fixture
def unflooded(monkeypatch):
    """Switch flooding off, where its width is derived: everything else is the backend's own."""
    monkeypatch.setattr(parameters_module, "flooding_deviation", lambda *_: 0)
    parameters_module.derive.cache_clear()
    yield
    parameters_module.derive.cache_clear()


def test_the_whole_key_comes_out_of_an_unflooded_release(make_round, unflooded):
    running = full_round(make_round, precision=1000)
    assert running.scheme.parameters.deviation == 0
    assert np.abs(running.errors).max() > 0
    assert (recover(running) == running.key.polynomial(running.scheme.parameters.degree)).all()


def test_the_attack_fails_against_what_is_released_at_the_same_scale(make_round):
    """Nothing is rounded away here (Δ = 1): only flooding stands between the server and the key."""
    running = full_round(make_round, precision=1 << 40, value_bits=44)
    parameters = running.scheme.parameters
    assert parameters.scale_bits == 0
    guess = recover(running)
    assert np.abs(guess).max() > 1 << 20
    assert (guess == running.key.polynomial(parameters.degree)).mean() < 0.01


def test_the_attack_fails_against_what_is_released_by_default(make_round):
    running = full_round(make_round)
    guess = recover(running)
    assert np.abs(guess).max() > 1 << 20
    assert (guess == running.key.polynomial(running.scheme.parameters.degree)).mean() < 0.01
