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
from secagg_protocols import Bonawitz, Envelope, InsecureDeterministicRandomness, RoundContext
from secagg_protocols.bonawitz.messages import UnmaskRequest

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


def vectors_of(scheme: Bonawitz) -> list[list[int]]:
    """Return fixed inputs that reach both ends of the range."""
    top = (1 << scheme.value_bits) - 1
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
        self.simulation = Simulation(
            scheme,
            [np.array(row, dtype=np.uint64) for row in self.vectors],
            drop=drop,
            context=CONTEXT,
            randomness=InsecureDeterministicRandomness(2026),
            misbehave=dict.fromkeys(range(scheme.participants + 1), self._record),
        )
        self.run = self.simulation.run()

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


def negative(name: str, recording: Recording) -> list[dict[str, Any]]:
    """Return faults in what participant 3 receives. The outcome is stated here, not observed."""
    scheme, server = recording.scheme, recording.simulation.server
    active = scheme.active
    unauthenticated = "AuthenticationError" if active else "WireError"
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

    for kind in ("KeyList", "SealedShares", "UnmaskRequest"):
        (envelope,) = (e for e in recording.envelopes if e.kind == kind and e.recipient == 3)
        data = envelope.to_bytes()
        start = len(data) - len(envelope.payload)
        add("unknown version", kind, b"\x02" + data[1:], "WireError")
        add("other ciphersuite", kind, data[:1] + bytes([3 - data[1]]) + data[2:], "WireError")
        add("sender is a participant", kind, data[:2] + b"\x00\x01" + data[4:], "WireError")
        add("for another participant", kind, data[:4] + b"\x00\x01" + data[6:], "WireError")
        add("bound to another session", kind, data[:6] + bytes(32) + data[38:], "WireError")
        add("unknown kind", kind, data[:103] + b"x" + data[104:], "WireError")
        add("forged signature", kind, data[:38] + b"\x01" * 64 + data[102:], unauthenticated)
        add("signature stripped or none", kind, data[:38] + bytes(64) + data[102:] + b"\x00", unauthenticated)
        add("trailing byte", kind, data + b"\x00", unauthenticated)
        add("truncated payload", kind, data[:-1], unauthenticated)
        add("no payload", kind, data[:start], unauthenticated)
        add("claims 4 GiB", kind, data[:start] + b"\xdd\xff\xff\xff\xff", unauthenticated)
        fields = len(
            msgspec.structs.fields(server.messages.get(kind) or recording.simulation.clients[3].messages[kind])
        )
        longer = data[:start] + b"\xdc" + fields.to_bytes(2, "big") + data[start + 1 :]
        add("not the shortest encoding", kind, longer, unauthenticated)
    (envelope,) = (e for e in recording.envelopes if e.kind == "UnmaskRequest" and e.recipient == 3)
    honest = recording.simulation.clients[3].open(envelope)
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


def make() -> dict[str, str]:
    """Return file name → content."""
    recordings = {name: Recording(scheme, drop) for name, (scheme, drop) in CASES.items()}
    rounds = [positive(name, recording) for name, recording in recordings.items()]
    chosen = ("semi-honest-x25519", "active-x25519", "active-p256")
    faults = [fault for name in chosen for fault in negative(name, recordings[name])]
    snapshots = {
        name: {kind: data.hex() for (who, kind), data in recordings[name].before.items() if who == 3} for name in chosen
    }
    return {
        "bonawitz.json": json.dumps(rounds, indent=1) + "\n",
        "bonawitz_negative.json": json.dumps({"snapshots": snapshots, "faults": faults}, indent=1) + "\n",
    }


if __name__ == "__main__":
    for file, content in make().items():
        (HERE / file).write_text(content)
