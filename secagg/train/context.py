"""What one round is about, as 32 bytes: every participant must have been sent the same, or the round dies early."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from functools import cache
from importlib.resources import files

from secagg.round import bound_digest, received_digest
from secagg_protocols.primitives.domain import frame

from .fedavg import LocalTraining
from .model import Params


@cache
def code_digest() -> bytes:
    """Return SHA-256 over the source of this trainer, file by file."""
    sources = sorted((f for f in files(__package__).iterdir() if f.name.endswith(".py")), key=lambda f: f.name)
    return hashlib.sha256(frame(*(part for f in sources for part in (f.name, f.read_bytes())))).digest()


def received(params: Params, how: LocalTraining) -> bytes:
    """Digest what a site was sent: the model, the training settings and the code.

    The round's number is not in it: after a failed round the model is unchanged, and a site must notice that it is
    asked about the same model again, with perhaps one site fewer.
    """
    return received_digest(params, "fedavg", {"how": asdict(how), "code": code_digest()})


def context_digest(params: Params, how: LocalTraining, codec_digest: bytes) -> bytes:
    """Return the context of a round: what was sent, and the codec, on which all have agreed."""
    return bound_digest(received(params, how), codec_digest)
