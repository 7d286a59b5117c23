"""The group key: one secret that every participant holds and the server never sees, and the part the server may hold.

One participant makes it (`scheme.make_group_key()`), the others get it through `delivery`. Rotation is a new key with a
new id: ciphertexts under the old one are refused by that id.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from secagg_protocols.core.storage import read_own, write_new
from secagg_protocols.errors import InputError, ParameterError
from secagg_protocols.primitives.randomness import Randomness

from .envelope import KEY_ID_BYTES
from .flooding import FLOODING_KEY_BYTES
from .parameters import Need, Parameters, derive
from .releases import FileReleases, MemoryReleases, Releases

T = TypeVar("T")

WIRE_KEY_BYTES = 32

_POWERS_OF_3 = np.array([1, 3, 9, 27, 81], dtype=np.uint8)
_TRITS = 5
"""Ternary coefficients in one byte: 3⁵ = 243."""


@dataclass(frozen=True)
class GroupKeyHandle:
    """What the server may hold of a group key: it tells ciphertexts of the group from others, and opens none.

    key_id, parameter_hash, need, wire_key: the group key's own.
    """

    key_id: bytes
    parameter_hash: bytes
    need: Need
    wire_key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _check_sizes(self, {"key_id": KEY_ID_BYTES, "parameter_hash": 32, "wire_key": WIRE_KEY_BYTES})

    def to_json(self) -> str:
        """Return the handle as text. It opens nothing, but who has it can forge ciphertexts: keep it to the server."""
        return _to_json(_HANDLE, self, _HANDLE_FIELDS)

    @classmethod
    def from_json(cls, text: str) -> GroupKeyHandle:
        """Read what `to_json` wrote. Raises `InputError`."""
        return _from_json(_HANDLE, text, _HANDLE_FIELDS, cls)

    def save(self, path: Path | str) -> None:
        """Write the handle's file, readable by its owner alone. Raises `InputError` if the file exists."""
        write_new(Path(path), self.to_json())

    @classmethod
    def load(cls, path: Path | str) -> GroupKeyHandle:
        """Read a handle's file. Raises `InputError`."""
        return _from_file(path, cls.from_json)


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

    key_id: 16 bytes. need: what it is for: so many holders and values at most. parameter_hash: of the parameters that
    follow from it. secret: the ternary polynomial, five coefficients to a byte. flooding_key: from which flooding noise
    is derived. wire_key: authenticates envelopes. releases: where this participant counts what it released; not part of
    the key.
    """

    key_id: bytes
    parameter_hash: bytes
    need: Need
    secret: bytes = field(repr=False)
    flooding_key: bytes = field(repr=False)
    wire_key: bytes = field(repr=False)
    releases: Releases = field(default_factory=MemoryReleases, repr=False, compare=False)

    def __post_init__(self) -> None:
        sizes = {"key_id": KEY_ID_BYTES, "parameter_hash": 32, "flooding_key": FLOODING_KEY_BYTES}
        _check_sizes(self, {**sizes, "wire_key": WIRE_KEY_BYTES})
        if max(self.secret, default=255) >= 3**_TRITS:
            raise ValueError("the secret is no ternary polynomial")

    @property
    def handle(self) -> GroupKeyHandle:
        """What the server may hold."""
        return GroupKeyHandle(self.key_id, self.parameter_hash, self.need, self.wire_key)

    @property
    def budget(self) -> int:
        """Sums that each holder may release under it."""
        return self.need.releases

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
        return _to_json(_KEY, self, _KEY_FIELDS)

    @classmethod
    def from_json(cls, text: str, releases: Releases | None = None) -> GroupKey:
        """Read what `to_json` wrote. Raises `InputError`."""
        return _from_json(_KEY, text, _KEY_FIELDS, partial(cls, releases=releases or MemoryReleases()))

    def save(self, path: Path | str) -> None:
        """Begin this user's count of releases, unless it is there, and write the secret key file for its owner alone.

        The file appears whole or not at all. Raises `InputError` if it exists, or cannot be written.
        """
        FileReleases.of_this_user().begin(self.key_id)
        write_new(Path(path), self.to_json())

    @classmethod
    def load(cls, path: Path | str) -> GroupKey:
        """Read a key file. Releases are counted on disk, by this user and the key's id (see `releases`).

        Raises `InputError` for a file that others may read, and for a key whose releases nobody has counted.
        """
        releases = FileReleases.of_this_user()
        key = _from_file(path, partial(cls.from_json, releases=releases))
        releases.count(key.key_id)
        return key


def make_group_key(need: Need, randomness: Randomness) -> GroupKey:
    """Make a fresh key: a uniform ternary secret and three independent values."""
    parameters = derive(need)
    return GroupKey(
        key_id=randomness.bytes(KEY_ID_BYTES),
        parameter_hash=parameters.hash,
        need=need,
        secret=_ternary(parameters.degree, randomness),
        flooding_key=randomness.bytes(FLOODING_KEY_BYTES),
        wire_key=randomness.bytes(WIRE_KEY_BYTES),
    )


def check_group_key(held: object | None, kind: type[GroupKey] | type[GroupKeyHandle], need: Need) -> Parameters:
    """Return the parameters. Raises `ParameterError` unless a machine was given the key, or the handle, for them."""
    give = "key" if kind is GroupKey else "key.handle"
    if not isinstance(held, kind):
        found = "no group key" if held is None else f"a {type(held).__name__}"
        raise ParameterError(
            f"{found} was given: one participant makes key, handle = scheme.make_group_key() (`secagg group-key new`) "
            f"and delivers the key to the others; this machine needs standing={give}"
        )
    if held.need != need:
        raise ParameterError(
            f"the group key was made for {held.need.described}; this round needs one for {need.described}: make one "
            "with make_group_key() of this scheme, or give the scheme the key's max_participants and max_length"
        )
    parameters = derive(need)
    if held.parameter_hash != parameters.hash:
        raise ParameterError(
            "the group key has other parameters than this version derives for the same need: rotate it, by "
            "make_group_key() of the version that all parties run"
        )
    if isinstance(held, GroupKey) and len(held.secret) != -(-parameters.degree // _TRITS):
        raise ParameterError("the group key's secret has the wrong length: its file is damaged")
    return parameters


# --- as text

_KEY = "group key"
_HANDLE = "group key handle"
_HANDLE_FIELDS = ("key_id", "parameter_hash", "wire_key")
_KEY_FIELDS = (*_HANDLE_FIELDS, "secret", "flooding_key")


def _check_sizes(thing: object, sizes: Mapping[str, int]) -> None:
    for name, size in sizes.items():
        if len(getattr(thing, name)) != size:
            raise ValueError(f"{name} has {len(getattr(thing, name))} bytes, not {size}")


def _to_json(what: str, thing: GroupKey | GroupKeyHandle, names: tuple[str, ...]) -> str:
    values = {name: getattr(thing, name).hex() for name in names}
    return json.dumps({"secagg": what, "need": asdict(thing.need), **values})


def _from_json(what: str, text: str, names: tuple[str, ...], make: Callable[..., T]) -> T:
    """Make the value whose fields are in a text of this kind. Raises `InputError`."""
    try:
        content = json.loads(text)
        if content.pop("secagg") != what:
            raise ValueError("it is something else")
        need = _need(content.pop("need"))
        if content.keys() != set(names):
            raise ValueError("it has other fields")
        return make(need=need, **{name: bytes.fromhex(value) for name, value in content.items()})
    except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise InputError(f"not a {what}: {type(error).__name__}") from None  # the text may hold secrets


def _from_file(path: Path | str, read: Callable[[str], T]) -> T:
    text = read_own(Path(path))
    try:
        return read(text)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _need(content: Mapping[str, Any]) -> Need:
    need = Need(**content)
    numbers = [getattr(need, item.name) for item in fields(need) if item.name != "kind"]
    if need.kind not in ("bfv", "ckks") or any(type(number) is not int or number < 0 for number in numbers):
        raise ValueError("nothing that a key may be for")
    return need


def _ternary(degree: int, randomness: Randomness) -> bytes:
    """Return uniform trits, five to a byte: bytes of 243 and more are drawn again."""
    count = -(-degree // _TRITS)
    drawn = b""
    while len(drawn) < count:
        drawn += bytes(byte for byte in randomness.bytes(count + 64) if byte < 3**_TRITS)
    return drawn[:count]
