"""Identities and the roster: who may take part, pinned by each participant and never supplied by the server.

An identity is a signing key; a roster lists the verification keys of all participants and of the server, each with the
time in which it is valid. A roster is trusted because its file is pinned locally, or because a consortium key signed
it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import SERVER, AuthenticationError, InputError, ParameterError
from ..primitives.domain import MAX_ID, Use, digest, separated
from ..primitives.randomness import SYSTEM, Randomness
from ..primitives.suites import Ciphersuite, suite_named
from . import strict_json


@dataclass(frozen=True, slots=True)
class PublicIdentity:
    """One roster entry. `id`: 1…n, 0 for the server. Times are UTC ISO 8601, or None for no limit."""

    id: int
    name: str
    public_key: bytes
    not_before: str | None = None
    not_after: str | None = None

    def __post_init__(self) -> None:
        if type(self.id) is not int:
            raise ParameterError(f"id {self.id!r} of a roster entry is no integer")
        _check_name(self.name)
        if not isinstance(self.public_key, bytes):
            raise ParameterError(f"the public key of {self.name!r} is no bytes")
        for limit in (self.not_before, self.not_after):
            try:
                aware = limit is None or datetime.fromisoformat(limit).tzinfo is not None
            except (TypeError, ValueError):
                aware = False
            if not aware:
                raise ParameterError(f"{limit!r} is no ISO 8601 time with a zone; write e.g. 2027-01-31T00:00:00+00:00")

    def check_valid_at(self, now: datetime) -> None:
        """Raise `ParameterError` unless the identity is valid at `now` (timezone-aware)."""
        if now.tzinfo is None:
            raise ParameterError(f"now={now} has no time zone; give an aware datetime")
        if self.not_before is not None and now < datetime.fromisoformat(self.not_before):
            raise ParameterError(f"identity {self.id} ({self.name}) is not valid before {self.not_before}")
        if self.not_after is not None and now > datetime.fromisoformat(self.not_after):
            raise ParameterError(f"identity {self.id} ({self.name}) is not valid after {self.not_after}; renew it")


@dataclass(frozen=True)
class Identity:
    """A party's own signing key. Secret: its repr shows none of it."""

    name: str
    suite: Ciphersuite
    signing_key: bytes

    @classmethod
    def generate(cls, name: str, ciphersuite: str = "x25519", randomness: Randomness = SYSTEM) -> Identity:
        """Make a fresh identity."""
        suite = suite_named(ciphersuite)
        return cls(name, suite, suite.signatures.generate(randomness))

    def __reduce__(self) -> tuple[type[Identity], tuple[str, Ciphersuite, bytes]]:
        return Identity, (self.name, self.suite, self.signing_key)

    @cached_property
    def _loaded(self) -> Any:
        return self.suite.signatures.load(self.signing_key)

    @cached_property
    def public_key(self) -> bytes:
        """The encoded verification key."""
        return self.suite.signatures.public_of(self._loaded)

    def sign(self, message: bytes) -> bytes:
        """Return a signature."""
        return self.suite.signatures.sign(self._loaded, message)

    def public(self, participant: int, not_before: str | None = None, not_after: str | None = None) -> PublicIdentity:
        """Return the roster entry for this identity as `participant` (0: the server)."""
        return PublicIdentity(participant, self.name, self.public_key, not_before, not_after)

    def save(self, path: Path | str) -> None:
        """Write the secret identity file, readable by its owner alone. Raises `InputError` if the file exists."""
        text = json.dumps(
            {"secagg": "identity", "name": self.name, "suite": self.suite.name, "signing_key": self.signing_key.hex()}
        )
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise InputError(f"{path} exists; an identity is never overwritten, choose another file") from None
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text + "\n")

    @classmethod
    def load(cls, path: Path | str) -> Identity:
        """Read an identity file. Raises `InputError` when it is not one."""
        path = Path(path).expanduser()
        content = _read(path, "identity")
        try:
            _check_name(content["name"])
            identity = cls(content["name"], suite_named(content["suite"]), bytes.fromhex(content["signing_key"]))
            if len(identity.signing_key) != 32:
                raise ValueError(f"the signing key has {len(identity.signing_key)} bytes, not 32")
            identity.suite.signatures.load(identity.signing_key)
            return identity
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} is not an identity file: {error}") from None

    def __repr__(self) -> str:
        return f"Identity({self.name!r}, {self.suite.name}, signing_key=<redacted>)"


@dataclass(frozen=True)
class Roster:
    """All parties of a federation: participants 1…n and the server (0)."""

    suite: Ciphersuite
    entries: tuple[PublicIdentity, ...]

    def __post_init__(self) -> None:
        ids = [entry.id for entry in self.entries]
        if ids != sorted(set(ids)) or not ids or ids[0] < SERVER or ids[-1] > MAX_ID:
            raise ParameterError(f"roster ids must be unique, ascending and between 0 (the server) and {MAX_ID}")
        owners: dict[bytes, PublicIdentity] = {}
        for entry in self.entries:
            try:
                self.suite.signatures.check_public(entry.public_key)
            except ParameterError as error:
                raise ParameterError(f"roster entry {entry.id} ({entry.name}): {error}") from None
            first = owners.setdefault(entry.public_key, entry)  # a key has one encoding, so equal keys are equal bytes
            if first is not entry:
                raise ParameterError(
                    f"roster entries {first.id} ({first.name}) and {entry.id} ({entry.name}) have the same public key; "
                    "every party needs its own"
                )

    @classmethod
    def of(cls, ciphersuite: str, entries: Iterable[PublicIdentity]) -> Roster:
        """Make a roster from entries in any order."""
        return cls(suite_named(ciphersuite), tuple(sorted(entries, key=lambda entry: entry.id)))

    @cached_property
    def participants(self) -> tuple[int, ...]:
        """Ids of the participants, without the server."""
        return tuple(entry.id for entry in self.entries if entry.id != SERVER)

    def key_of(self, party: int) -> bytes:
        """Return a party's verification key. Raises `AuthenticationError` for a stranger."""
        try:
            return self._keys[party]
        except KeyError:
            raise AuthenticationError(f"party {party} is not in the roster") from None

    @cached_property
    def _keys(self) -> dict[int, bytes]:
        return {entry.id: entry.public_key for entry in self.entries}

    @cached_property
    def digest(self) -> bytes:
        """32 bytes that name this roster; bound into every round."""
        return digest(Use.ROSTER, self._canonical())

    @property
    def _signed(self) -> bytes:
        """What a consortium signs."""
        return separated(Use.ROSTER_SIGNATURE, self._canonical())

    def _canonical(self) -> str:
        rows = [
            {
                "id": entry.id,
                "name": entry.name,
                "public_key": entry.public_key.hex(),
                "not_before": entry.not_before,
                "not_after": entry.not_after,
            }
            for entry in self.entries
        ]
        return json.dumps({"secagg": "roster", "suite": self.suite.name, "entries": rows}, sort_keys=True, indent=1)

    def check_valid_at(self, now: datetime | None) -> None:
        """Raise `ParameterError` unless every identity is valid at `now` (timezone-aware; None: it is not known).

        Machines ask this with the `now` that they are made with: they have no clock.
        """
        for entry in self._limited:
            if now is None:
                raise ParameterError(
                    f"identity {entry.id} ({entry.name}) is valid for a time only: give now=, an aware datetime"
                )
            entry.check_valid_at(now)

    @cached_property
    def _limited(self) -> tuple[PublicIdentity, ...]:
        return tuple(entry for entry in self.entries if entry.not_before is not None or entry.not_after is not None)

    def save(self, path: Path | str, consortium: Identity | None = None) -> None:
        """Write the roster file; with `consortium`, signed by that key."""
        content = json.loads(self._canonical())
        if consortium is not None:
            content["signature"] = consortium.sign(self._signed).hex()
        Path(path).write_text(json.dumps(content, sort_keys=True, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path | str, consortium_key: bytes | None = None) -> Roster:
        """Read a roster file. With `consortium_key`, its signature must verify (else `AuthenticationError`)."""
        path = Path(path).expanduser()
        content = _read(path, "roster")
        try:
            entries = [
                PublicIdentity(
                    row["id"], row["name"], bytes.fromhex(row["public_key"]), row["not_before"], row["not_after"]
                )
                for row in content["entries"]
            ]
            roster = cls.of(content["suite"], entries)
            if consortium_key is not None:
                roster.suite.signatures.check_public(consortium_key)
                signature = bytes.fromhex(content["signature"])
                roster.suite.signatures.verify(consortium_key, signature, roster._signed)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} is not a roster file: {error}") from None
        return roster


def _check_name(name: object) -> None:
    """Raise `ParameterError` unless a party's name can be shown on one line."""
    if not (isinstance(name, str) and name.isprintable()):
        raise ParameterError(f"a party's name must be text that can be printed on one line, not {ascii(name)[:40]}")


def _read(path: Path, what: str) -> dict[str, Any]:
    try:
        content = strict_json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; give the path of a secagg {what} file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a secagg {what} file: {error}") from None
    if not isinstance(content, dict) or content.get("secagg") != what:
        raise InputError(f"{path} is not a secagg {what} file")
    return content
