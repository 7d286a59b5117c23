"""The vectors, checked by an implementation that shares no line with ours, and the faults with their outcomes."""

import ast
import copy
import json
from pathlib import Path

import pytest

import secagg_protocols
from secagg_protocols import (
    Envelope,
    Identity,
    InsecureDeterministicRandomness,
    MemoryLedger,
    Participant,
    Policy,
    Roster,
    SecAggError,
)

HERE = Path(__file__).parent
ROUNDS = json.loads((HERE / "bonawitz.json").read_text())
NOISY = json.loads((HERE / "bonawitz_noise.json").read_text())
NEGATIVE = json.loads((HERE / "bonawitz_negative.json").read_text())


@pytest.mark.parametrize("vector", [*ROUNDS, *NOISY], ids=lambda vector: vector["name"])
def test_an_independent_implementation_recomputes_every_byte_of_the_round(reference, vector):
    reference.Check(vector).everything()


def test_the_reference_imports_nothing_of_this_project():
    tree = ast.parse((HERE / "reference.py").read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not any(name.startswith("secagg") for name in names)


def test_the_reference_s_primitives_have_their_standards_known_answers(reference):
    """FIPS 197 C.1 and C.3; RFC 7748 §5.2; RFC 5869 A.3; the double of P-256's base point."""
    block = bytes.fromhex("00112233445566778899aabbccddeeff")
    for key, expected in (
        (bytes(range(16)), "69c4e0d86a7b0430d8cdb78070b4c55a"),
        (bytes(range(32)), "8ea2b7ca516745bfeafc49904b496089"),
    ):
        assert reference.aes_block(reference.aes_round_keys(key), block).hex() == expected
    scalar = bytes.fromhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
    u = bytes.fromhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
    assert reference.x25519(scalar, u).hex() == "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
    assert reference.hkdf(b"\x0b" * 22, 42, b"").hex().startswith("8da4e775a563c18f715f802a063c5a31")
    x, _ = reference.p256_multiply(2, reference.P256_BASE)
    assert f"{x:064x}" == "7cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978"


def test_the_reference_notices_a_changed_byte_anywhere(reference):
    """The check can fail: every third envelope of one round, and so each kind, is changed in turn, each elsewhere, and
    every stated value."""
    vector = next(vector for vector in ROUNDS if vector["name"] == "active-p256")
    for index in range(0, len(vector["envelopes"]), 3):
        changed = copy.deepcopy(vector)
        data = bytearray.fromhex(changed["envelopes"][index])
        data[index * 97 % len(data)] ^= 1
        changed["envelopes"][index] = data.hex()
        with pytest.raises(Exception):  # noqa: B017  (an assertion, a bad tag or a bad signature)
            reference.Check(changed).everything()
    for name in ("total", "survivors", "scheme_id"):
        changed = copy.deepcopy(vector)
        changed[name] = changed[name][::-1] if name == "scheme_id" else [changed[name][0] + 1, *changed[name][1:]]
        with pytest.raises(Exception):  # noqa: B017
            reference.Check(changed).everything()


def test_the_reference_notices_other_noise(reference):
    """One bit of a fresh key, of a seed or of the total, or another variance: each is seen."""
    vector = next(vector for vector in NOISY if vector["name"] == "noise-one-of-two-layers-stays")
    secrets = vector["secrets"]["1"]
    key, seed = secrets["noise_key"], secrets["seeds"][-1]
    for before, after in (
        (key, key[:-1] + format(int(key[-1], 16) ^ 1, "x")),
        (seed, seed[:-1] + format(int(seed[-1], 16) ^ 1, "x")),
        ("variance=120.5", "variance=120.6"),
    ):
        text = json.dumps(vector)
        assert before in text
        with pytest.raises(AssertionError):
            reference.Check(json.loads(text.replace(before, after))).everything()
    changed = copy.deepcopy(vector)
    changed["total"][-1] -= 1
    with pytest.raises(AssertionError):
        reference.Check(changed).everything()


def test_some_noise_takes_more_than_16_bits(reference):
    check = reference.Check(NOISY[0])
    check.everything()
    assert check.undecided > 0


def test_the_files_are_what_the_generator_makes(generate):
    for name, content in generate.make().items():
        assert (HERE / name).read_text() == content, f"{name} is stale: run tests/vectors/generate.py"


@pytest.mark.parametrize(
    "fault", NEGATIVE["faults"], ids=lambda fault: f"{fault['case']}: {fault['receives']}, {fault['fault']}"
)
def test_every_fault_has_the_stated_outcome(generate, fault):
    scheme, _ = generate.CASES[fault["case"]]
    identities, roster = {}, None
    if scheme.active:
        stream = InsecureDeterministicRandomness(2026).fork("identities")
        identities = {
            party: Identity.generate(f"party {party}", scheme.ciphersuite, stream)
            for party in range(scheme.participants + 1)
        }
        roster = Roster.of(scheme.ciphersuite, [own.public(party) for party, own in identities.items()])
    snapshot = bytes.fromhex(NEGATIVE["snapshots"][fault["case"]][fault["receives"]])
    client = scheme.restore(
        snapshot, Participant(identity=identities.get(3), roster=roster, policy=Policy(), ledger=MemoryLedger())
    )
    before = client.state
    assert f"waiting for {fault['receives']}" == str(before)
    with pytest.raises(SecAggError) as caught:
        client.receive(Envelope.from_bytes(bytes.fromhex(fault["bytes"]), scheme.envelope_limit))
    assert type(caught.value) is getattr(secagg_protocols, fault["expected"]["error"])
    assert (str(client.state) == "Aborted") == fault["expected"]["aborted"]
    if not fault["expected"]["aborted"]:
        assert client.snapshot() == snapshot
