"""How hard the lattice problems behind the homomorphic schemes are: the primal attack, in closed form.

One secret of a ring of degree n is n unknowns of learning with errors modulo q, with as many samples as the attacker
likes. The attack embeds it as a unique shortest vector and reduces the lattice (Bai and Galbraith, ACISP 2014; Alkim,
Ducas, Pöppelmann and Schwabe, USENIX Security 2016), and succeeds with the smallest block size β for which, in some
dimension d, σ·√β ≤ δ(β)^(2β − d − 1) · V^(1/d): the basis has the shape of a geometric series (Schnorr 2003), δ is
Chen's (PhD thesis, 2013), V the embedded lattice's volume.

Its cost is in gates, as MATZOV counts them ("Report on the Security of LWE", 2022), on the figures of Albrecht,
Gheorghiu, Postlethwaite and Schanck (ASIACRYPT 2020) with dimensions for free (Ducas, EUROCRYPT 2018) and progressive
sieving: the default of malb/lattice-estimator, from which the two fitted constants are (commit 27a581b, June 2026).
Core-SVP, 0.292·β, is what stands beside it elsewhere; it leaves out everything but one sieve.

That program also tries bounded-distance decoding and dual hybrid attacks and reports the cheapest: up to `GAP` bits
less than this estimate, over the sets that both were run on (tests/he/test_lattice_estimate.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

GAP = 1.1
"""Bits by which the cheapest attack known to lattice-estimator undercuts this one, at most, where both were run."""

UNIFORM_TERNARY = math.sqrt(2 / 3)
"""Deviation of a secret that is uniform in −1, 0, 1."""

_GATES_PER_DIMENSION = 0.29613500308205365
_GATES_AT_ZERO = 20.387885985467914
"""log₂ of the gates of one sieve is a straight line: list decoding, classical."""

_CORE_SVP_PER_DIMENSION = 0.292
_LEAST_BLOCK = 50
_LARGEST_BLOCK = 4096


@dataclass(frozen=True)
class Problem:
    """Learning with errors. degree: n. log_q: log₂ q. secret, error: deviations of one coefficient."""

    degree: int
    log_q: float
    secret: float
    error: float


@dataclass(frozen=True)
class Estimate:
    """What the attack takes. block: β. dimension: d. gates: log₂. core_svp: log₂, by another and simpler count."""

    block: int
    dimension: int
    gates: float
    core_svp: float

    @property
    def bits(self) -> float:
        """Security in bits, less what other attacks are known to gain."""
        return self.gates - GAP


def estimate(problem: Problem) -> Estimate:
    """Return the cheapest primal attack."""
    low = _LEAST_BLOCK
    high = _LARGEST_BLOCK
    while low < high:
        middle = (low + high) // 2
        if _dimension(problem, middle) is None:
            low = middle + 1
        else:
            high = middle
    dimension = _dimension(problem, low)
    if dimension is None:
        raise ValueError(f"no block size up to {_LARGEST_BLOCK} solves {problem}: it is harder than anything asked for")
    return Estimate(low, dimension, _gates(low, dimension), _CORE_SVP_PER_DIMENSION * low)


def _dimension(problem: Problem, block: int) -> int | None:
    """Return the smallest dimension in which this block size suffices; None when it does in none."""
    slope = math.log(_root_hermite(block))
    q = problem.log_q * math.log(2)
    # A secret that is smaller than the errors is scaled up to their size.
    fixed = math.log(problem.error) + problem.degree * max(0.0, math.log(problem.error / problem.secret))
    wanted = math.log(problem.error * math.sqrt(block))
    for dimension in range(max(problem.degree, block) + 1, 4 * problem.degree):
        volume = fixed + (dimension - problem.degree - 1) * q
        if wanted <= slope * (2 * block - dimension - 1) + volume / dimension:
            return dimension
    return None


def _root_hermite(block: int) -> float:
    """Return δ: a basis reduced with this block size begins with a vector of length δ^d · V^(1/d)."""
    power = math.log(block / (2 * math.pi * math.e)) + math.log(math.pi * block) / block
    return math.exp(power / (2 * (block - 1)))


def _gates(block: int, dimension: int) -> float:
    """Return log₂ of the gates of reducing a basis of this dimension with this block size."""
    free: float = block * math.log(4 / 3) / math.log(block / (2 * math.pi * math.e))
    progressive: float = 1 / (1 - 2**-_GATES_PER_DIMENSION)
    sieve = progressive * math.exp2(_GATES_PER_DIMENSION * (block - free) + _GATES_AT_ZERO)
    return math.log2(dimension**3 + progressive * max(dimension - block, 1) * sieve)
