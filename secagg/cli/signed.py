"""Files of signed, hash-chained records, as commands are given them: by whom they must be signed, and checked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from secagg.chained import AuditError, ChainError, Form, verified
from secagg.round.audit import Log
from secagg_protocols import InputError, Roster

Keys = Sequence[tuple[bytes, int | None]]
"""Public key → whose it is in the roster, where one is given."""


@dataclass(frozen=True, kw_only=True)
class Signed:
    """By whom a log must be signed, and what it must hold."""

    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="KEY", help="A writer's public key; as often as there are writers."),
    ] = None
    roster: Annotated[Path | None, typer.Option("--roster", help="Or the roster that lists the writers' keys.")] = None
    ciphersuite: Annotated[
        Literal["x25519", "p256"],
        typer.Option(help="The writers' named set of algorithms, where no roster says it."),
    ] = "x25519"
    head: Annotated[
        str | None,
        typer.Option(
            metavar="HASH",
            help="The last hash that a peer holds: shows whether the end was cut off.",
        ),
    ] = None

    def checked(self, form: Form, path: Path, *others: Path) -> list[Log]:
        """Return the verified logs, each by whichever key signed its first line. Raises `AuditError` for the first bad
        line, `InputError` when the first log has another head."""
        keys, suite = self._keys()
        logs = [_checked(form, one, keys, suite) for one in (path, *others)]
        if self.head is not None and self.head not in (line.hash for line in logs[0].lines):
            raise InputError(
                f"{path} holds no record {self.head}; records at its end were removed, or it is another log"
            )
        return logs

    def _keys(self) -> tuple[Keys, str]:
        """Return the keys that may have signed, and their ciphersuite."""
        keys = [(key, None) for key in self._given()]
        if self.roster is None:
            return keys, self.ciphersuite
        listed = Roster.load(self.roster)
        from_roster = [(entry.public_key, entry.id) for entry in listed.entries]
        return [*keys, *from_roster], listed.suite.name

    def _given(self) -> Iterator[bytes]:
        if not self.key and self.roster is None:
            raise typer.BadParameter("give the writer's public key, or the --roster that lists it", param_hint="--key")
        for text in self.key or ():
            try:
                yield bytes.fromhex(text)
            except ValueError:
                raise typer.BadParameter(f"{text!r} is not hexadecimal", param_hint="--key") from None


def whose(log: Log) -> str:
    """Return who signed a log, in words."""
    return "this key" if log.signer is None else f"party {log.signer} of the roster"


def _checked(form: Form, path: Path, keys: Keys, ciphersuite: str) -> Log:
    key, signer = keys[0] if len(keys) == 1 else _writer(form, path, keys, ciphersuite)
    return Log(path, list(verified(path, form, key, ciphersuite)), signer)


def _writer(form: Form, path: Path, keys: Keys, ciphersuite: str) -> tuple[bytes, int | None]:
    """Return the key that signed a log's first line. Raises AuditError when none did."""
    empty = True
    for key, signer in keys:
        try:
            for _ in verified(path, form, key, ciphersuite):
                return key, signer
        except ChainError:  # by this key it is signed; `verified` says what is missing before it
            return key, signer
        except AuditError:
            empty = False
            continue
    if empty:
        return keys[0][0], None
    raise AuditError(
        f"{path} line 1: changed, or signed by none of the {len(keys)} keys given; give its writer's with --key"
    )
