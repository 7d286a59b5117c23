"""The group key: kept, shown and delivered so that only participants hold it."""

import json
import pickle
import stat

import msgspec
import numpy as np
import pytest

from secagg_he import Bfv, GroupKey
from secagg_he.delivery import Party, open_sealed, request, seal_for
from secagg_protocols import (
    AuthenticationError,
    Identity,
    InputError,
    InsecureDeterministicRandomness,
    ParameterError,
    Participant,
    ProtocolViolation,
    Roster,
    SecAggError,
    WireError,
)
from secagg_protocols.primitives.suites import suite_named

SECRETS = ("secret", "flooding_key", "wire_key")


@pytest.fixture
def key():
    """A key for three participants."""
    return Bfv(3, 5).make_group_key()[0]


def test_the_secret_is_uniform_and_ternary():
    made, _ = Bfv(100, 1_000_000).make_group_key()
    polynomial = made.polynomial(4096)
    values, counts = np.unique(polynomial, return_counts=True)
    assert values.tolist() == [-1, 0, 1]
    assert (np.abs(counts - 4096 / 3) < 6 * np.sqrt(4096 * 2 / 9)).all()


def test_every_key_is_another_and_its_randomness_comes_by_the_one_door():
    scheme = Bfv(3, 5)
    first, second = scheme.make_group_key()[0], scheme.make_group_key()[0]
    for name in ("key_id", *SECRETS):
        assert getattr(first, name) != getattr(second, name)
    seeded = [scheme.make_group_key(InsecureDeterministicRandomness(5))[0] for _ in range(2)]
    assert seeded[0] == seeded[1]


def test_no_secret_is_in_a_repr_and_the_handle_holds_no_decryption_key(make, make_round):
    running = make_round(make(3, 5)).run()
    key, handle = running.key, running.key.handle
    client = running.clients[1]
    shown = "".join(map(repr, (key, handle, client._holder, client._memory, vars(client), vars(running.server))))
    for name in SECRETS:
        value = getattr(key, name)
        assert value.hex() not in shown
        assert repr(value)[2:-1] not in shown
    held = pickle.dumps(handle)
    assert key.secret not in held
    assert key.flooding_key not in held
    for client in running.clients.values():
        snapshot = client.snapshot()
        assert all(getattr(key, name) not in snapshot for name in SECRETS)


def test_a_key_file_is_readable_by_its_owner_alone_and_never_overwritten(key, tmp_path):
    path = tmp_path / "group.key"
    key.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert GroupKey.load(path) == key
    with pytest.raises(InputError, match="never overwritten"):
        key.save(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"secagg": "identity"}',
        '{"secagg": "group key", "need": {}}',
        '{"secagg": "group key", "need": {"kind": "bfv", "participants": Infinity}}',
        "[" * 100_000,
        '{"secagg": "group key", "need": "x", "key_id": "00"}',
    ],
)
def test_what_is_no_key_file_is_refused(tmp_path, text):
    path = tmp_path / "group.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(InputError, match="not a group key"):
        GroupKey.load(path)
    with pytest.raises(InputError, match="cannot be read"):
        GroupKey.load(tmp_path / "absent")


def test_a_damaged_key_file_is_refused_without_showing_it(key, tmp_path):
    content = json.loads(key.to_json())
    for name, value in (("secret", "ff" * 410), ("wire_key", content["wire_key"][:-2]), ("key_id", "zz")):
        path = tmp_path / name
        path.write_text(json.dumps({**content, name: value}))
        path.chmod(0o600)
        with pytest.raises(InputError, match="not a group key") as caught:
            GroupKey.load(path)
        assert value[:20] not in str(caught.value)


@pytest.mark.parametrize("name", ["releases", "polynomial"])
def test_a_key_file_cannot_name_where_releases_are_counted(key, name):
    """A delivered text could: the count would be lost with the first claim."""
    with pytest.raises(InputError, match="not a group key"):
        GroupKey.from_json(json.dumps({**json.loads(key.to_json()), name: "00"}))


def test_a_key_that_states_another_budget_than_its_parameters_is_refused(make, context):
    """Its noise is sized for the budget that its parameters follow from."""
    scheme = make(3, 5)
    content = json.loads(scheme.make_group_key()[0].to_json())
    need = {**content["need"], "releases": content["need"]["releases"] + 1}
    more = GroupKey.from_json(json.dumps({**content, "need": need}))
    with pytest.raises(ParameterError, match=r"1001 releases.*needs one for .* 1000 releases"):
        scheme.client(1, context, Participant(standing=more))
    with pytest.raises(ParameterError, match="other parameters than this version derives"):
        make(3, 5, releases=1001).client(1, context, Participant(standing=more))


def parties(ciphersuite, signed):
    """Return receiver (2), maker (1) and a third (3), with identities and a roster or without."""
    suite = suite_named(ciphersuite)
    if not signed:
        return [Party(me, suite) for me in (2, 1, 3)]
    identities = {me: Identity.generate(f"party {me}", ciphersuite) for me in range(4)}
    roster = Roster.of(ciphersuite, [own.public(me) for me, own in identities.items()])
    return [Party(me, suite, identities[me], roster) for me in (2, 1, 3)]


@pytest.fixture(params=["x25519", "p256"])
def ciphersuite(request):
    """Both suites."""
    return request.param


@pytest.mark.parametrize("signed", [False, True], ids=["plain", "roster"])
def test_a_key_is_delivered_sealed(key, ciphersuite, signed):
    receiver, maker, _ = parties(ciphersuite, signed)
    asked, secret = request(receiver)
    sealed = seal_for(key, asked, maker)
    assert open_sealed(sealed, secret, receiver) == key
    for name in SECRETS:
        assert getattr(key, name) not in sealed
        assert getattr(key, name).hex().encode() not in sealed


@pytest.mark.parametrize("signed", [False, True], ids=["plain", "roster"])
def test_a_sealed_key_opens_for_its_own_request_and_receiver_only(key, ciphersuite, signed):
    receiver, maker, third = parties(ciphersuite, signed)
    asked, secret = request(receiver)
    _, other_secret = request(receiver)
    sealed = seal_for(key, asked, maker)
    with pytest.raises(AuthenticationError):
        open_sealed(sealed, other_secret, receiver)
    with pytest.raises(AuthenticationError):
        open_sealed(sealed, secret, third)


@pytest.mark.parametrize("signed", [False, True], ids=["plain", "roster"])
def test_any_changed_byte_of_a_delivery_is_refused(key, signed):
    receiver, maker, _ = parties("x25519", signed)
    asked, secret = request(receiver)
    sealed = seal_for(key, asked, maker)
    for position in [*range(120), *range(120, len(sealed), 97), len(sealed) - 1]:
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(SecAggError):
            open_sealed(bytes(changed), secret, receiver)
    if signed:
        for position in range(len(asked)):
            changed = bytearray(asked)
            changed[position] ^= 1
            with pytest.raises((WireError, AuthenticationError)):
                seal_for(key, bytes(changed), maker)


def test_a_stranger_s_request_is_not_answered_and_a_stranger_s_key_not_taken(key):
    receiver, maker, third = parties("x25519", True)
    stranger = Party(2, receiver.suite, Identity.generate("stranger"), receiver.roster)
    asked, _ = request(stranger)
    with pytest.raises(AuthenticationError):
        seal_for(key, asked, maker)
    asked, secret = request(receiver)
    impostor = Party(1, maker.suite, third.identity, maker.roster)
    with pytest.raises(AuthenticationError):
        open_sealed(seal_for(key, asked, impostor), secret, receiver)


def test_signed_and_unsigned_deliveries_do_not_mix(key):
    receiver, maker, _ = parties("x25519", True)
    bare_receiver, bare_maker, _ = parties("x25519", False)
    asked, _ = request(receiver)
    with pytest.raises(AuthenticationError, match="roster"):
        seal_for(key, asked, bare_maker)
    asked, _ = request(bare_receiver)
    with pytest.raises(AuthenticationError):
        seal_for(key, asked, maker)


def test_the_server_neither_gets_a_key_nor_makes_one(key):
    """The roster lists it, so its signatures verify."""
    receiver, maker, _ = parties("x25519", True)
    identity = Identity.generate("server")
    listed = [party.identity.public(party.me) for party in (receiver, maker)]
    roster = Roster.of("x25519", [identity.public(0), *listed])
    server, receiver, maker = (
        Party(me, receiver.suite, own, roster)
        for me, own in ((0, identity), (2, receiver.identity), (1, maker.identity))
    )
    asked, _ = request(server)
    with pytest.raises(AuthenticationError, match="0 is no participant"):
        seal_for(key, asked, maker)
    asked, secret = request(receiver)
    with pytest.raises(AuthenticationError, match="0 is no participant"):
        open_sealed(seal_for(key, asked, server), secret, receiver)


@pytest.mark.parametrize("signed", [False, True], ids=["plain", "roster"])
@pytest.mark.parametrize(
    ("who", "error", "words"),
    [
        (0, AuthenticationError, "is no participant"),
        (-1, WireError, ">= 0"),
        (1 << 32, WireError, "<= 4294967295"),
        (1 << 63, WireError, "<= 4294967295"),
    ],
)
def test_a_request_of_nobody_is_refused(key, signed, who, error, words):
    from secagg_he.delivery import KeyRequest
    from secagg_protocols.core.wire import encode

    _, maker, _ = parties("x25519", signed)
    nobody = msgspec.structs.replace(KeyRequest(1, b"k" * 32, b""), receiver=who)
    with pytest.raises(error, match=words):
        seal_for(key, encode(nobody), maker)


def test_a_degenerate_public_key_is_refused(key):
    from secagg_he.delivery import KeyRequest
    from secagg_protocols.core.wire import encode

    _, maker, _ = parties("x25519", False)
    with pytest.raises(ProtocolViolation, match="low order"):
        seal_for(key, encode(KeyRequest(2, bytes(32), b"")), maker)


def test_a_party_needs_identity_and_roster_together():
    with pytest.raises(ParameterError, match="both"):
        Party(1, suite_named("x25519"), Identity.generate("x"))
