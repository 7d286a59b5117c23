"""What one round is about, as 32 bytes: every participant must have been sent the same, or the round dies early."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from secagg_protocols.primitives.domain import Use, digest, frame

from .fedavg import LocalTraining
from .model import Params


@cache
def code_digest() -> bytes:
    """Return SHA-256 over the source of this trainer, file by file."""
    sources = sorted((f for f in files(__package__).iterdir() if f.name.endswith(".py")), key=lambda f: f.name)
    return hashlib.sha256(frame(*(part for f in sources for part in (f.name, f.read_bytes())))).digest()


def context_digest(params: Params, how: LocalTraining, codec_digest: bytes) -> bytes:
    """Digest the model (names, shapes, dtypes, bytes), the training settings, the codec and the code.

    The round's number is not in it: after a failed round the model is unchanged, and a site must notice that it is
    asked about the same model again, with perhaps one site fewer.
    """
    arrays: list[bytes | str | int] = []
    for name, array in params.items():
        arrays += [name, array.dtype.str, repr(array.shape), array.tobytes()]
    return digest(Use.CONTEXT, frame(*arrays), repr(how), codec_digest, code_digest())
