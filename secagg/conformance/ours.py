"""The schemes that come with secagg, as cases: a new one of ours joins by one line."""

from __future__ import annotations

from functools import partial
from typing import Any

from secagg_he import Bfv, Ckks, ThresholdCkks
from secagg_protocols import Bonawitz, LightSecAgg, Plain, SecAggPlus

from .case import Case
from .noise import with_noise


def neighbourly(participants: int, length: int, **parameters: Any) -> SecAggPlus:
    """Return SecAgg+ for few participants: everyone is everyone's neighbour, and nobody is assumed corrupt."""
    sparse = {"neighbours": participants - 1, "threshold": participants // 2 + 1 if participants > 2 else 1}
    return SecAggPlus(participants, length, **{**sparse, "corrupt_rate": 0.0, "dropout_rate": 0.0, **parameters})


def packed(participants: int, length: int, **parameters: Any) -> ThresholdCkks:
    """Return ThresholdCkks with two coefficients of a key to a polynomial, where there are participants enough."""
    packing = 2 if participants > 3 else 1
    return ThresholdCkks(participants, length, **{"adversary": "active", "packing": packing, **parameters})


def _key_secrets(key: Any) -> tuple[bytes, ...]:
    """Return what of SEAL's group key is secret, 32 bytes of each."""
    return key.secret[:32], key.flooding_key, key.wire_key


DRAWS: dict[str, Any] = {"server_draws": True}
"""The server draws a graph of neighbours, or a challenge."""

SINGLE_KEY: dict[str, Any] = {"repeatable": False, "package": "tenseal", "group_secrets": _key_secrets}
"""SEAL draws its own randomness, and is never seeded."""

CASES = [
    Case("plain", Plain),
    Case("bonawitz-x25519", Bonawitz),
    Case("bonawitz-p256", partial(Bonawitz, ciphersuite="p256")),
    Case("bonawitz-active-x25519", partial(Bonawitz, adversary="active")),
    Case("bonawitz-active-p256", partial(Bonawitz, adversary="active", ciphersuite="p256")),
    Case("bonawitz-early-keys", partial(Bonawitz, early_keys=True)),
    Case("bonawitz-active-early-keys", partial(Bonawitz, adversary="active", early_keys=True)),
    Case("bonawitz-colluders", partial(Bonawitz, adversary="active", colluders=1), smallest=3),
    Case("secagg-plus-x25519", neighbourly, smallest=3, **DRAWS),
    Case("secagg-plus-p256", partial(neighbourly, ciphersuite="p256"), smallest=3, **DRAWS),
    Case("lightsecagg-x25519", LightSecAgg),
    Case("lightsecagg-p256", partial(LightSecAgg, ciphersuite="p256")),
    Case("lightsecagg-early-keys", partial(LightSecAgg, early_keys=True)),
    Case("threshold-ckks-x25519", ThresholdCkks, **DRAWS),
    Case("threshold-ckks-active-p256", partial(ThresholdCkks, adversary="active", ciphersuite="p256"), **DRAWS),
    Case("bfv", Bfv, **SINGLE_KEY),
    Case("bfv-p256", partial(Bfv, ciphersuite="p256"), **SINGLE_KEY),
    Case("ckks", Ckks, **SINGLE_KEY),
    Case("bfv-to-participants", partial(Bfv, release_to="participants"), **SINGLE_KEY),
    Case("ckks-to-participants", partial(Ckks, release_to="participants"), **SINGLE_KEY),
    Case("threshold-ckks-packed", packed, **DRAWS),
    Case("threshold-ckks-early-keys", partial(ThresholdCkks, early_keys=True), **DRAWS),
]

NOISY = [
    Case("plain-noise", with_noise(Plain)),
    Case("bonawitz-noise", with_noise(Bonawitz)),
    Case("bonawitz-active-noise", with_noise(partial(Bonawitz, adversary="active"))),
    Case("secagg-plus-noise", with_noise(neighbourly), smallest=3, **DRAWS),
    Case("lightsecagg-noise", with_noise(LightSecAgg)),
    Case("threshold-ckks-noise", with_noise(ThresholdCkks), **DRAWS),
]
"""With noise under the sum: for what of the suite noise could change."""
