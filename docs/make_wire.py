"""Writes docs/wire.md from the messages and labels themselves: `python docs/make_wire.py`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from secagg_he import Bfv, ThresholdCkks, delivery
from secagg_protocols import Bonawitz, LightSecAgg, Plain, Scheme, SecAggPlus
from secagg_protocols.core.aborts import Abort
from secagg_protocols.core.fields import as_markdown, fields_of
from secagg_protocols.primitives.domain import Use
from secagg_protocols.primitives.suites import SUITES

PAGE = Path(__file__).parent / "wire.md"

SCHEMES: dict[str, type[Scheme]] = {
    "Bonawitz": Bonawitz,
    "SecAggPlus": SecAggPlus,
    "LightSecAgg": LightSecAgg,
    "ThresholdCkks": ThresholdCkks,
    "Bfv and Ckks": Bfv,
    "Plain": Plain,
}
Message = type[msgspec.Struct]

INTRODUCTION = """# Wire, version 1

Written from the messages in the code by `docs/make_wire.py`; a test holds that they agree.

## Envelope

| field | bytes | what |
|---|---|---|
| version | 1 | 1. The first byte of every envelope of every version; another one is refused, and the error names both |
| suite | 1 | ciphersuite |
| sender, recipient | 4 each | participant ids, from 1; 0 is the server |
| binding | 32 | the round's address; from ShareKeys on, the session |
| length of kind | 1 | 1 … 32 |
| length of signature | 2 | 0 where nothing is signed; above what the suite allows is refused before a copy |
| kind | as said | the message's name, ASCII |
| signature | as said | over suite, binding, kind, sender, recipient and the payload's SHA-256 |
| payload | the rest | the message |

Integers are big-endian. A message is a msgpack array of its fields in the order below, each in its shortest encoding:
what is not exactly that is refused, so a message has one encoding. Its last field, where it is bulk, is not copied.

Ids of participants have 32 bits: in lists, rosters and envelopes, and as 4 bytes in whatever is hashed, signed or
derived from. A round has at most 65535 participants, because shares are values at points of GF(65537); nothing in the
encoding says so.

An upload of several blocks, in any order, is checked block by block as they come and added when it is whole: of one
that does not end, or ends in garbage, nothing is in the sum ([test](../tests/attacks/test_uploads_under_way.py)).

## Fields

Names in `code` are properties of the scheme, from which `payload_limit` follows: no message is read that is longer.
What has a size in bytes alone is checked when a message is made and when it is decoded, the rest by the machine that
receives it. Messages that an earlier scheme has as well are not listed again.

`ShareKeys.sealed` holds, for each holder, the ciphertexts that answer its public keys, one for each, and the sealed
share behind them; `SealedShares.sealed` hands these on. Today's ciphersuites have none:
[decision 13](decisions/0013-wire-version-1-has-room.md) says what they are for.
"""


LABELS = """## Labels

What is hashed, signed or derived from begins with `secagg v1 ` and its label. The label and the fields behind it have
their lengths before them (4 bytes); a few uses go on with fields of fixed sizes. Each label is given at one place of
the code, so it has one layout of fields and one meaning ([test](../tests/unit/test_labels.py)):
"""


def sizes() -> str:
    """Return the table of sizes that ciphersuites say."""
    named = ("agreement.public_key_bytes", "agreement.ciphertext_bytes", "signatures.signature_bytes")
    lines = [f"| ciphersuite | {' | '.join(f'`suite.{name}`' for name in named)} |", "|---|---|---|---|"]
    for suite in SUITES.values():
        kem, signed = suite.agreement, suite.signatures
        values = kem.public_key_bytes, kem.ciphertext_bytes, signed.signature_bytes
        lines.append(f"| {suite.id}: {suite.name} | {' | '.join(map(str, values))} |")
    return "\n".join(lines)


def labels() -> str:
    """Return the list of labels."""
    return ", ".join(f"`{use.value.decode()}`" for use in Use)


def with_parts(messages: Iterable[Message]) -> Iterator[Message]:
    """Yield messages, each before the structs that its lists hold."""
    for message in messages:
        yield message
        for field in fields_of(message):
            if field.inner is not None and issubclass(field.inner.kind, msgspec.Struct):
                yield field.inner.kind


def page() -> str:
    """Return the page."""
    parts = [INTRODUCTION, sizes() + "\n"]
    seen: set[Message] = set()

    def add(title: str, before: str, messages: Iterable[Message]) -> None:
        new = [message for message in dict.fromkeys(with_parts(messages)) if message not in seen]
        seen.update(new)
        parts.append(f"### {title}\n\n{before}{as_markdown(new)}\n")

    add("Every scheme, in both directions", "", [Abort])
    for title, scheme in SCHEMES.items():
        exchange = scheme.exchange
        add(title, f"{exchange.as_markdown()}\n\n", exchange.messages)
    add("Delivery of a group key, in no envelope", "", [delivery.KeyRequest, delivery.SealedKey])
    parts.append(f"{LABELS}\n{labels()}.\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
