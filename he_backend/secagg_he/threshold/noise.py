"""How wide the Gaussians are, how far their sums reach, and which ring is hard enough.

Width. The server learns the sum of the survivors' keys and of their errors. For discrete Gaussians that is harmless by
an exact argument: given x₁ + x₂ = T, x₁ is again a discrete Gaussian, centred at T/2 and narrower by √2. So two honest
participants still hide each other behind RLWE of width σ/√2 (the rest is a hybrid argument over the participants; this
is the easy case of hint-RLWE, Kim, Lee, Seo and Song, CRYPTO'23). σ/√2 is what the table below was made for: 8/√(2π).

Ring. Largest log₂ q for 128-bit security against classical attacks, ternary secret (the strictest of the three columns,
the Gaussian one allows two bits more), error of width 8/√(2π): Homomorphic Encryption Standard (Albrecht et al., 2018),
table 1. N = 2048 is used wherever a value fits: its q is one prime, and its keys are short. N = 4096 is for sums that
leave no room beside the noise in 54 bits; the table allows it 109 bits, and the widest sums need 80.
"""

from __future__ import annotations

import math

DEGREE = 2048
WIDE_DEGREE = 4096
MAX_LOG_Q = {DEGREE: 54, WIDE_DEGREE: 93}
"""Ring degree N → largest log₂ q. (At 93 bits the larger ring has 149 bits of security by estimates of 2026.)"""

MIN_LOG_Q = 32
"""Below 2¹⁶, whoever opens a wrong sum of shares could choose it such that very short vectors shift unseen."""

SIGMA = "4.513516668382048"
"""σ = √2 · 8/√(2π) = 8/√π, of keys and of errors."""

_TAIL_BITS = 40


def error_bound(participants: int, coefficients: int) -> int:
    """Return B such that no coefficient of the sum of all errors passes ±B, but for a chance of 2⁻⁴⁰ in all.

    A discrete Gaussian is σ-subgaussian, and so is a sum of n of width σ√n (Canonne, Kamath and Steinke, NeurIPS'20):
    P(|E| ≥ B) ≤ 2 exp(−B²/2nσ²), times the number of coefficients.
    """
    exponent = math.log(2 * coefficients) + _TAIL_BITS * math.log(2)
    return math.ceil(float(SIGMA) * math.sqrt(2 * participants * exponent))
