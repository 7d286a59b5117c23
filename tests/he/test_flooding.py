"""Flooding noise: as wide as derived, one for one aggregate, and on top of errors that stay within their bounds."""

import math

import numpy as np
import pytest

from secagg_he import Bfv, Ckks
from secagg_he.flooding import flooding_noise
from secagg_he.ring import centred, ring
from secagg_he.single_key import steps

KEY, NAME = b"f" * 32, b"n" * 32


def test_noise_is_gaussian_of_the_given_deviation():
    noise = flooding_noise(KEY, NAME, 1 << 35, 50, 4096) / 2**35
    count = noise.size
    assert abs(noise.mean()) < 5 / math.sqrt(count)
    assert abs(noise.std() - 1) < 5 / math.sqrt(2 * count)
    for at in (0.5, 1.0, 2.0, 3.0):
        expected = math.erfc(at / math.sqrt(2))
        assert abs((np.abs(noise) > at).mean() - expected) < 5 * math.sqrt(expected / count)
    assert abs(np.corrcoef(noise.reshape(2, -1))[0, 1]) < 5 / math.sqrt(count / 2)


def test_one_aggregate_has_one_noise_and_another_an_independent_one():
    first = flooding_noise(KEY, NAME, 1 << 30, 2, 1024)
    assert (flooding_noise(KEY, NAME, 1 << 30, 2, 1024) == first).all()
    for other in (flooding_noise(KEY, b"m" * 32, 1 << 30, 2, 1024), flooding_noise(b"g" * 32, NAME, 1 << 30, 2, 1024)):
        assert abs(np.corrcoef(first.reshape(-1), other.reshape(-1))[0, 1]) < 0.12


@pytest.mark.parametrize("participants", [2, 40])
def test_what_is_decrypted_carries_the_flooding_and_never_more_than_the_bound(make_round, participants, monkeypatch):
    """The noise of a released sum, seen by decrypting with and without it."""
    scheme = Ckks(participants, 20_000)
    running = make_round(scheme).encrypt().request()
    parameters = scheme.parameters
    seen = []
    original = steps.seal.decrypt

    def watch(*arguments):
        seen.append(original(*arguments))
        return seen[-1]

    monkeypatch.setattr(steps.seal, "decrypt", watch)
    body = running.server._sealer.open(2, 0, 0, running.clients[1].open(running.heard[1][1]).words)
    key = running.key.for_release(parameters.degree)
    summed = steps.SummedBlock(b"s" * 32, 0, body, limit=1)
    steps.release(parameters, key, summed)
    monkeypatch.setattr(steps, "flood", lambda *_: None)
    steps.release(parameters, key, summed)
    prime = parameters.primes[0]
    flooded, bare = (ring(parameters.degree, prime).inverse(plain[:, 0].astype(np.int64)) for plain in seen)
    added = centred((flooded - bare) % prime, prime)
    assert abs(added.std() / parameters.deviation - 1) < 0.05
    words = scheme.packing.words_of(np.sum(list(running.vectors.values()), axis=0)).reshape(flooded.shape)
    scaled = np.array([int(word) << parameters.scale_bits for word in words.reshape(-1)], dtype=object)
    errors = centred(((bare.reshape(-1) - scaled) % prime).astype(np.int64), prime)
    assert abs(errors.std() / math.sqrt(10.5 * participants) - 1) < 0.05
    assert np.abs(errors).max() + np.abs(added).max() < parameters.noise_bound
    largest = max(np.linalg.norm(row.astype(float)) for row in errors.reshape(flooded.shape))
    least = math.sqrt(12 * parameters.ciphertexts * scheme.releases * scheme.participants) * 2**15 * largest
    assert least <= parameters.deviation <= 2 * least


def test_bfv_keeps_most_of_its_noise_budget_for_flooding(backend):
    parameters = Bfv(5, 1_000_000).parameters
    assert parameters.modulus // (2 * parameters.plain_moduli[0]) < 8 * parameters.noise_bound
