"""The group key: one secret that every participant holds and the server never sees, and the part the server may hold.

One participant makes it (`scheme.make_group_key()`), the others get it through `delivery`. Rotation is a new key with a
new id: ciphertexts under the old one are refused by that id.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.errors import InputError, ParameterError
from secagg_protocols.randomness import Randomness

from .envelope import KEY_ID_BYTES
from .flooding import FLOODING_KEY_BYTES
from .parameters import Parameters
from .releases import FileReleases, MemoryReleases, Releases

WIRE_KEY_BYTES = 32

_POWERS_OF_3 = np.array([1, 3, 9, 27, 81], dtype=np.uint8)
_TRITS = 5
"""Ternary coefficients in one byte: 3⁵ = 243."""


@dataclass(frozen=True)
class GroupKeyHandle:
    """What the server may hold of a group key: it tells ciphertexts of the group from others, and opens none."""

    key_id: bytes
    parameter_hash: bytes
    wire_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReleaseKey:
    """What floods and decrypts: all that a participant's own worker is sent of the group key for a release.

    polynomial: the secret, shape (N,), in −1 … 1.
    """

    polynomial: NDArray[np.int8] = field(repr=False)
    flooding_key: bytes = field(repr=False)


@dataclass(frozen=True)
class GroupKey:
    """The participants' secret. Its repr shows the public part only.

    key_id: 16 bytes. parameter_hash: of the parameters it is for. budget: sums that may be released under it.
    secret: the ternary polynomial, five coefficients to a byte. flooding_key: from which flooding noise is derived.
    wire_key: authenticates envelopes. releases: where this participant counts what it released; not part of the key.
    """

    key_id: bytes
    parameter_hash: bytes
    budget: int
    secret: bytes = field(repr=False)
    flooding_key: bytes = field(repr=False)
    wire_key: bytes = field(repr=False)
    releases: Releases = field(default_factory=MemoryReleases, repr=False, compare=False)

    def __post_init__(self) -> None:
        sizes = {"key_id": KEY_ID_BYTES, "parameter_hash": 32, "flooding_key": FLOODING_KEY_BYTES}
        for name, size in {**sizes, "wire_key": WIRE_KEY_BYTES}.items():
            if len(getattr(self, name)) != size:
                raise ValueError(f"{name} has {len(getattr(self, name))} bytes, not {size}")
        if max(self.secret, default=255) >= 3**_TRITS:
            raise ValueError("the secret is no ternary polynomial")

    @property
    def handle(self) -> GroupKeyHandle:
        """What the server may hold."""
        return GroupKeyHandle(self.key_id, self.parameter_hash, self.wire_key)

    def polynomial(self, degree: int) -> NDArray[np.int8]:
        """Return the secret: shape (N,), in −1 … 1."""
        bytes_ = np.frombuffer(self.secret, dtype=np.uint8)
        signs: NDArray[np.int8] = (bytes_[:, None] // _POWERS_OF_3 % 3).astype(np.int8) - np.int8(1)
        return signs.reshape(-1)[:degree]

    def for_release(self, degree: int) -> ReleaseKey:
        """Return the part that floods and decrypts. It counts no releases: claim one first."""
        return ReleaseKey(self.polynomial(degree), self.flooding_key)

    def to_json(self) -> str:
        """Return the whole key as text. Secret."""
        return json.dumps(
            {
                "secagg": "group key",
                "key_id": self.key_id.hex(),
                "parameter_hash": self.parameter_hash.hex(),
                "budget": self.budget,
                "secret": self.secret.hex(),
                "flooding_key": self.flooding_key.hex(),
                "wire_key": self.wire_key.hex(),
            }
        )

    @classmethod
    def from_json(cls, text: str, releases: Releases | None = None) -> GroupKey:
        """Read what `to_json` wrote. Raises `InputError`."""
        try:
            content = json.loads(text)
            if content.pop("secagg") != "group key":
                raise ValueError("it is something else")
            budget = content.pop("budget")
            parts = {name: bytes.fromhex(value) for name, value in content.items()}
            return cls(budget=int(budget), releases=releases or MemoryReleases(), **parts)
        except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            raise InputError(f"not a group key: {type(error).__name__}") from None  # the text may hold secrets

    def save(self, path: Path) -> None:
        """Write the secret key file, readable by its owner alone. Raises `InputError` if the file exists."""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise InputError(f"{path} exists; a group key is never overwritten, choose another file") from None
        with os.fdopen(descriptor, "w") as file:
            file.write(self.to_json() + "\n")

    @classmethod
    def load(cls, path: Path) -> GroupKey:
        """Read a key file. Releases are counted in a folder beside it, `<file>.releases`, and survive a crash."""
        try:
            text = path.read_text()
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read as a group key file: {error}") from None
        return cls.from_json(text, FileReleases(path.with_name(f"{path.name}.releases")))


def make_group_key(parameters: Parameters, randomness: Randomness) -> GroupKey:
    """Make a fresh key for these parameters: a uniform ternary secret and three independent values."""
    return GroupKey(
        key_id=randomness.bytes(KEY_ID_BYTES),
        parameter_hash=parameters.hash,
        budget=parameters.releases,
        secret=_ternary(parameters.degree, randomness),
        flooding_key=randomness.bytes(FLOODING_KEY_BYTES),
        wire_key=randomness.bytes(WIRE_KEY_BYTES),
    )


def check_group_key(held: object | None, kind: type[GroupKey] | type[GroupKeyHandle], parameters: Parameters) -> None:
    """Raise `ParameterError` unless what a machine was given is the key, or the handle, for these parameters."""
    give = "key" if kind is GroupKey else "key.handle"
    if not isinstance(held, kind):
        found = "no group key" if held is None else f"a {type(held).__name__}"
        raise ParameterError(
            f"{found} was given: one participant makes key, handle = scheme.make_group_key() and delivers the key to "
            f"the others; this machine needs group_key={give}"
        )
    if held.parameter_hash != parameters.hash:
        raise ParameterError(
            "the group key was made for other parameters: make one with make_group_key() of this scheme"
        )
    if isinstance(held, GroupKey) and len(held.secret) != -(-parameters.degree // _TRITS):
        raise ParameterError("the group key's secret has the wrong length: its file is damaged")
    if isinstance(held, GroupKey) and held.budget != parameters.releases:
        raise ParameterError("the group key states another budget than its parameters: its file is damaged")


def _ternary(degree: int, randomness: Randomness) -> bytes:
    """Return uniform trits, five to a byte: bytes of 243 and more are drawn again."""
    count, drawn = -(-degree // _TRITS), b""
    while len(drawn) < count:
        drawn += bytes(byte for byte in randomness.bytes(count + 64) if byte < 3**_TRITS)
    return drawn[:count]
