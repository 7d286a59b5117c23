"""Makes the test vectors: `python tests/vectors/generate.py` writes the JSON files beside it.

Positive vectors hold everything a second implementation needs to recompute a round: parameters, every participant's
secrets, every envelope in order, the sum. Negative vectors hold a participant's snapshot, the bytes that reach it, and
the outcome that must follow. Randomness is a seed, so the files are the same on every machine.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from secagg import Simulation
from secagg_protocols import Bonawitz, Envelope, InsecureDeterministicRandomness, Randomness, RoundContext
from secagg_protocols.bonawitz.messages import UnmaskRequest
from secagg_protocols.core.noise import Noise

HERE = Path(__file__).parent
CONTEXT = RoundContext("vectors", 3, bytes(range(32)))
CASES: dict[str, tuple[Bonawitz, dict[int, str]]] = {
    "semi-honest-x25519": (Bonawitz(4, 7), {2: "MaskedInput"}),
    "semi-honest-p256": (Bonawitz(5, 5, value_bits=32, ciphersuite="p256"), {3: "MaskedInput", 1: "Unmasking"}),
    "active-x25519": (Bonawitz(5, 9, value_bits=20, adversary="active"), {4: "MaskedInput", 1: "ShareKeys"}),
    "active-p256": (Bonawitz(4, 3, value_bits=1, adversary="active", ciphersuite="p256"), {2: "Unmasking"}),
    "everyone-stays": (Bonawitz(3, 1, value_bits=62, threshold=1), {}),
    "colluders": (Bonawitz(5, 4, adversary="active", colluders=1), {5: "MaskedInput"}),
    "early-keys": (Bonawitz(4, 6, adversary="active", early_keys=True), {1: "MaskedInput"}),
}
NOISY_CASES: dict[str, tuple[Bonawitz, dict[int, str]]] = {
    "noise-nobody-vanishes": (Bonawitz(4, 40, value_bits=16, noise=Noise("123456.75", 1)), {}),
    "noise-one-of-two-layers-stays": (Bonawitz(6, 40, value_bits=8, noise=Noise("120.5", 2)), {2: "MaskedInput"}),
    "noise-all-layers-stay": (
        Bonawitz(6, 40, value_bits=8, noise=Noise("120.5", 2)),
        {2: "MaskedInput", 5: "ShareKeys"},
    ),
    "noise-active": (
        Bonawitz(5, 40, value_bits=8, adversary="active", colluders=1, noise=Noise("48.25", 1, 1, rounded=True)),
        {2: "MaskedInput"},
    ),
    "noise-active-p256": (
        Bonawitz(6, 40, value_bits=9, adversary="active", ciphersuite="p256", noise=Noise("120.5", 1)),
        {6: "Unmasking"},
    ),
}
"""The first has noise so wide that 16 bits leave some values of it undecided."""


class Kept:
    """Randomness, and what was drawn of it."""

    def __init__(self, source: Randomness) -> None:
        self.source = source
        self.drawn: list[bytes] = []

    def bytes(self, count: int) -> bytes:
        self.drawn.append(self.source.bytes(count))
        return self.drawn[-1]


def vectors_of(scheme: Bonawitz) -> list[list[int]]:
    """Return fixed inputs that reach both ends of the range."""
    top = scheme.domain.largest
    rows = np.random.default_rng(scheme.participants).integers(
        0, top, (scheme.participants, scheme.length), dtype=np.uint64
    )
    rows[0, 0], rows[-1, -1] = top, 0
    return [[int(value) for value in row] for row in rows]


class Recording:
    """A round, with everything that was sent and every state a participant was in."""

    def __init__(self, scheme: Bonawitz, drop: dict[int, str]) -> None:
        self.scheme, self.drop, self.vectors = scheme, drop, vectors_of(scheme)
        self.envelopes: list[Envelope] = []
        self.own: dict[int, Any] = {}
        self.before: dict[tuple[int, str], bytes] = {}
        self.kept: dict[int, Kept] = {}
        self.simulation = Simulation(
            scheme,
            self._vector,
            drop=drop,
            context=CONTEXT,
            randomness=InsecureDeterministicRandomness(2026),
            misbehave=dict.fromkeys(range(scheme.participants + 1), self._record),
        )
        self.run = self.simulation.run()

    def _vector(self, participant: int) -> np.ndarray:
        client = self.simulation.clients[participant]
        self.kept[participant] = client._randomness = Kept(client._randomness)
        return np.array(self.vectors[participant - 1], dtype=np.uint64)

    def _record(self, machine: Any, envelopes: list[Envelope]) -> list[Envelope]:
        self.envelopes += envelopes
        if machine.me and machine.me not in self.own:
            self.own[machine.me] = machine._memory.own
        for envelope in envelopes:
            if envelope.recipient:
                self.before[envelope.recipient, envelope.kind] = self.simulation.clients[envelope.recipient].snapshot()
        return envelopes


def positive(name: str, recording: Recording) -> dict[str, Any]:
    """Return one round as JSON values; bytes are hexadecimal."""
    scheme = recording.scheme
    roster = recording.simulation.server._roster
    return {
        "name": name,
        "parameters": {
            "participants": scheme.participants,
            "length": scheme.length,
            "value_bits": scheme.value_bits,
            "adversary": str(scheme.adversary),
            "ciphersuite": scheme.ciphersuite,
            "early_keys": scheme.early_keys,
            "colluders": scheme.colluders,
            "threshold": scheme.quorum,
        },
        "context": {"job": CONTEXT.job, "round": CONTEXT.round, "context_digest": CONTEXT.context_digest.hex()},
        "roster": [[entry.id, entry.name, entry.public_key.hex()] for entry in roster.entries] if roster else [],
        "vectors": recording.vectors,
        "vanishes_before": {str(participant): step for participant, step in recording.drop.items()},
        "secrets": {
            str(participant): {
                "channel_secret": own.channel_secret.hex(),
                "mask_secret": own.mask_secret.hex(),
                "seeds": [seed.hex() for seed in own.seeds],
            }
            for participant, own in recording.own.items()
        },
        "scheme_id": scheme.id.hex(),
        "envelopes": [envelope.to_bytes().hex() for envelope in recording.envelopes],
        "survivors": list(recording.run.survivors),
        "total": [int(value) for value in recording.run.total],
    }


class Cut(msgspec.Struct, frozen=True):
    """An envelope's bytes, field by field, as they are laid out: to be put together with one of them wrong."""

    version: bytes
    suite: bytes
    sender: bytes
    recipient: bytes
    binding: bytes
    kind_length: bytes
    signature_length: bytes
    kind: bytes
    signature: bytes
    payload: bytes

    @classmethod
    def of(cls, data: bytes) -> Cut:
        parts, start = [], 0
        for size in (1, 1, 4, 4, 32, 1, 2, data[42], int.from_bytes(data[43:45], "big")):
            parts.append(data[start : start + size])
            start += size
        return cls(*parts, data[start:])

    def with_(self, **wrong: bytes) -> bytes:
        return b"".join(msgspec.structs.astuple(msgspec.structs.replace(self, **wrong)))

    def signed(self, signature: bytes) -> bytes:
        return self.with_(signature_length=len(signature).to_bytes(2, "big"), signature=signature)


class Unchecked(msgspec.Struct, frozen=True, array_like=True):
    """An UnmaskRequest as somebody encodes it who does not check it."""

    survivors: tuple[int, ...]
    vanished: tuple[int, ...]
    signers: tuple[int, ...]
    signatures: tuple[bytes, ...]


def envelope_faults(cut: Cut, unauthenticated: str, count: int) -> list[tuple[str, bytes, str]]:
    """Return (fault, bytes, error) for one envelope of the server to participant 3. None of them aborts."""
    payload, signature = cut.payload, cut.signature
    longer = b"\xdc" + count.to_bytes(2, "big") + payload[1:]
    return [
        ("version 0", cut.with_(version=b"\0"), "WireError"),
        ("version 2", cut.with_(version=b"\x02"), "WireError"),
        ("other ciphersuite", cut.with_(suite=bytes([3 - cut.suite[0]])), "WireError"),
        ("unknown ciphersuite", cut.with_(suite=b"\xff"), "WireError"),
        ("sender is a participant", cut.with_(sender=b"\0\0\0\1"), "WireError"),
        ("sender is the server in its low 16 bits", cut.with_(sender=b"\0\1\0\0"), "WireError"),
        ("for another participant", cut.with_(recipient=b"\0\0\0\1"), "WireError"),
        ("for this participant in its low 16 bits", cut.with_(recipient=b"\0\1\0\3"), "WireError"),
        ("bound to another session", cut.with_(binding=bytes(32)), "WireError"),
        ("unknown kind", cut.with_(kind=b"x" + cut.kind[1:]), "WireError"),
        ("kind ends behind the envelope", cut.with_(kind_length=b"\xff", payload=b""), "WireError"),
        ("signature ends behind the envelope", cut.with_(payload=b"", **UNFINISHED), "WireError"),
        ("signature of one byte more than any", cut.signed(b"\1" * 65), "WireError"),
        ("signature of 65535 bytes that are not there", cut.with_(signature_length=b"\xff\xff"), "WireError"),
        ("forged signature", cut.signed(b"\1" * 64), unauthenticated),
        ("signature of zeros", cut.signed(bytes(64)), unauthenticated),
        ("signature without its last byte", cut.signed((signature or bytes(64))[:-1]), unauthenticated),
        ("signature stripped, and a trailing byte", cut.with_(payload=payload + b"\0", **STRIPPED), unauthenticated),
        ("trailing byte", cut.with_(payload=payload + b"\0"), unauthenticated),
        ("truncated payload", cut.with_(payload=payload[:-1]), unauthenticated),
        ("no payload", cut.with_(payload=b""), unauthenticated),
        ("claims 4 GiB", cut.with_(payload=b"\xdd\xff\xff\xff\xff"), unauthenticated),
        ("not the shortest encoding", cut.with_(payload=longer), unauthenticated),
    ]


UNFINISHED = {"signature_length": b"\0\x40", "signature": bytes(63)}
STRIPPED = {"signature_length": b"\0\0", "signature": b""}


def negative(name: str, recording: Recording) -> list[dict[str, Any]]:
    """Return faults in what participant 3 receives. The outcome is stated here, not observed."""
    scheme, server = recording.scheme, recording.simulation.server
    unauthenticated = "AuthenticationError" if scheme.active else "WireError"
    found = []

    def add(fault: str, kind: str, data: bytes, error: str, aborted: bool = False) -> None:
        found.append(
            {
                "case": name,
                "fault": fault,
                "receives": kind,
                "bytes": data.hex(),
                "expected": {"error": error, "aborted": aborted},
            }
        )

    client = recording.simulation.clients[3]
    for kind in ("KeyList", "SealedShares", "UnmaskRequest"):
        (envelope,) = (e for e in recording.envelopes if e.kind == kind and e.recipient == 3)
        count = len(msgspec.structs.fields(client.messages[kind]))
        for fault, data, error in envelope_faults(Cut.of(envelope.to_bytes()), unauthenticated, count):
            add(fault, kind, data, error)
    (envelope,) = (e for e in recording.envelopes if e.kind == "UnmaskRequest" and e.recipient == 3)
    honest = client.open(envelope)
    for fault, survivors, signers, signatures in (
        ("an id of 33 bits", (*honest.survivors, 2**32), honest.signers, honest.signatures),
        ("the id 0", (0, *honest.survivors), honest.signers, honest.signatures),
        ("ids that descend", honest.survivors[::-1], honest.signers, honest.signatures),
        ("a signer without a signature", honest.survivors, honest.survivors, honest.signatures[1:]),
        ("a signature without a signer", honest.survivors, honest.signers, (*honest.signatures, bytes(64))),
    ):
        raw = Unchecked(survivors, honest.vanished, signers, signatures)
        add(fault, "UnmaskRequest", server.seal("UnmaskRequest", 3, raw).to_bytes(), "WireError")
    for fault, survivors, vanished in (
        ("a participant as survivor and as vanished", honest.survivors, (*honest.vanished, honest.survivors[-1])),
        (
            "a dealer left out",
            honest.survivors[:-1] if honest.survivors[-1] != 3 else honest.survivors[1:],
            honest.vanished,
        ),
        (
            "the recipient is no survivor",
            tuple(p for p in honest.survivors if p != 3),
            tuple(sorted({*honest.vanished, 3})),
        ),
    ):
        request = UnmaskRequest(survivors, tuple(sorted(set(vanished))), honest.signers, honest.signatures)
        add(
            fault,
            "UnmaskRequest",
            server.seal("UnmaskRequest", 3, request).to_bytes(),
            "ProtocolViolation",
            aborted=True,
        )
    return found


def noisy(name: str, recording: Recording) -> dict[str, Any]:
    """Return a round with noise: the key of what each drew fresh for it is among its secrets."""
    round_ = positive(name, recording)
    round_["parameters"]["noise"] = str(recording.scheme.noise)
    for participant, kept in recording.kept.items():
        round_["secrets"][str(participant)]["noise_key"] = kept.drawn[0].hex()
    return round_


def make() -> dict[str, str]:
    """Return file name → content."""
    recordings = {name: Recording(scheme, drop) for name, (scheme, drop) in CASES.items()}
    rounds = [positive(name, recording) for name, recording in recordings.items()]
    chosen = ("semi-honest-x25519", "active-x25519", "active-p256")
    faults = [fault for name in chosen for fault in negative(name, recordings[name])]
    snapshots = {
        name: {kind: data.hex() for (who, kind), data in recordings[name].before.items() if who == 3} for name in chosen
    }
    with_noise = [noisy(name, Recording(scheme, drop)) for name, (scheme, drop) in NOISY_CASES.items()]
    return {
        "bonawitz.json": json.dumps(rounds, indent=1) + "\n",
        "bonawitz_noise.json": json.dumps(with_noise, indent=1) + "\n",
        "bonawitz_negative.json": json.dumps({"snapshots": snapshots, "faults": faults}, indent=1) + "\n",
    }


if __name__ == "__main__":
    for file, content in make().items():
        (HERE / file).write_text(content)
