"""What one round is about, as 32 bytes: every participant must have been sent the same, or the round dies early."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from secagg.round import bound_digest, received_digest
from secagg_protocols.primitives.domain import frame

from .fedavg import LocalTraining
from .model import Params


@cache
def code_digest() -> bytes:
    """Return SHA-256 over the source of this trainer, file by file."""
    return hashlib.sha256(frame(*(part for named in sources(files(__package__)) for part in named))).digest()


def sources(folder: Traversable, within: str = "") -> Iterator[tuple[str, bytes]]:
    """Yield the name and the text of every module in a package, in the order of their names."""
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        name = f"{within}{item.name}"
        if item.is_dir():
            yield from sources(item, f"{name}/")
        elif name.endswith(".py"):
            yield name, item.read_bytes()


def received(params: Params, how: LocalTraining) -> bytes:
    """Digest what a site was sent: the model, the training settings and the code.

    The round's number is not in it: after a failed round the model is unchanged, and a site must notice that it is
    asked about the same model again, with perhaps one site fewer.
    """
    return received_digest(params, "fedavg", {"how": asdict(how), "code": code_digest()})


def context_digest(params: Params, how: LocalTraining, codec_digest: bytes) -> bytes:
    """Return the context of a round: what was sent, and the codec, on which all have agreed."""
    return bound_digest(received(params, how), codec_digest)
