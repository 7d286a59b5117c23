"""Rounds of FLARE's own homomorphic encryption, and the key that a server finds in two of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tenseal
import tenseal.sealapi
from numpy.typing import NDArray
from nvflare.apis.dxo import from_shareable
from nvflare.fuel.utils import fobs
from nvflare.private.fed.utils.fed_utils import fobs_initialize

from ...peers.flare import decrypted, download_for, provision, upload_of
from ...peers.task import NAME, CpuClock, Task
from ..released import Floats

Residues = NDArray[Any]
"""Python's integers: FLARE's first prime has 60 bits, so that products have 120."""


@dataclass(frozen=True)
class Equation:
    """first · s + second · s′ = right, modulo the ciphertexts' prime; s′ is s with its values in reverse."""

    first: Residues
    second: Residues
    right: Residues


def opened_by_another(task: Task, victim: int, other: int) -> Floats:
    """Return a site's update, as FLARE's own filter of another site opens what the first one sends."""
    fobs_initialize()
    provision()
    values: Floats = decrypted(upload_of(task, victim, CpuClock()), f"site-{other}", CpuClock())
    return values / task.weight(victim)


def key_from(rounds: tuple[Task, Task], published: type = np.float64) -> tuple[Residues, Residues]:
    """Return (the key as the server finds it, the key of all sites), both as transforms, shape (N,).

    published: what each mean is rounded to before the server sees it.
    """
    fobs_initialize()
    folder = Path(provision().name)
    server = tenseal.context_from((folder / "server_context.tenseal").read_bytes())
    one, other = (_equation(server, task, published) for task in rounds)
    prime = _prime(server)
    determinant = (one.first * other.second - one.second * other.first) % prime
    inverse = np.array([pow(int(value), -1, prime) if value else 0 for value in determinant], dtype=object)
    found = (one.right * other.second - one.second * other.right) % prime * inverse % prime
    site = tenseal.context_from((folder / "client_context.tenseal").read_bytes())
    return found, _residues(site.secret_key().data.data(), len(found))


def _equation(server: Any, task: Task, published: type) -> Equation:
    """Run a round, and return what the mean beside its ciphertext says of the key.

    A decrypted polynomial m is c₀ + c₁ · s. What is decoded of it is real, so that it is m and its mirror image m′ that
    are known, in their sum: of m(X) and m(1/X), whose transform has the same values in reverse.
    """
    clock = CpuClock()
    download = download_for(task, ((site, upload_of(task, site, clock)) for site in task.survivors), clock)
    mean = decrypted(download, "site-1", clock).astype(published)
    vector = tenseal.ckks_vector_from(server, from_shareable(fobs.loads(download)).data[NAME])
    (ciphertext,) = vector.ciphertext()
    degree = ciphertext.poly_modulus_degree()
    first, second = _residues(ciphertext, 2 * degree).reshape(2, degree)
    twice = tenseal.sealapi.Plaintext()
    encoder = tenseal.sealapi.CKKSEncoder(server.seal_context().data)
    encoder.encode(mean.tolist(), list(ciphertext.parms_id()), 2 * ciphertext.scale, twice)
    right = (_residues(twice, degree) - first - first[::-1]) % _prime(server)
    return Equation(second, second[::-1], right)


def _prime(context: Any) -> int:
    """Return the modulus of what is left of a ciphertext when a mean has been made of it."""
    primes = context.seal_context().data.key_context_data().parms().coeff_modulus()
    return int(primes[0].value())


def _residues(held: Any, count: int) -> Residues:
    return np.array([held[place] for place in range(count)], dtype=object)
