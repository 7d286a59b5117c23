"""Bad public keys from one participant: low order, not canonical, off the curve, or somebody's twice.

That participant is dropped and the round goes on. Without the check its key would end the round for all.
"""

import msgspec
import numpy as np
import pytest

from secagg import Bonawitz, MemoryLedger, ProtocolViolation, RoundContext, RoundFailed, Simulation, simulate
from secagg.conformance.weak_servers import UNCLAIMED_KEYS
from secagg.conformance.weakened import Weakness, weakened, without
from secagg.conformance.weaknesses import KEY_FORM
from secagg_protocols import Aggregator, Participant
from secagg_protocols.bonawitz.messages import AdvertiseKeys, KeyEntry, KeyList
from secagg_protocols.core.machine import Terminal
from secagg_protocols.core.wire import encode
from secagg_protocols.dealing.server import DealingServer

P25519 = 2**255 - 19


def little(value):
    """Encode a u-coordinate."""
    return value.to_bytes(32, "little")


LOW_ORDER = {
    "zero": little(0),
    "one": little(1),
    "minus one": little(P25519 - 1),
    "order 8": little(325606250916557431795983626356110631294008115727848805560023387167927233504),
    "order 8, twin": little(39382357235489614581723060781553021112529911719440698176882885853963445705823),
}
NOT_CANONICAL = {
    "zero again": little(P25519),
    "nine again": little(P25519 + 9),
    "high bit": little(1 << 255 | 9),
    "all ones": b"\xff" * 32,
    "short": bytes(31),
    "long": b"\x09" + bytes(32),
}
NOT_ON_P256 = {
    "off the curve": b"\x04" + bytes(63) + b"\x01",
    "infinity": bytes(65),
    "compressed": b"\x02" + bytes.fromhex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
    "a bare x": bytes(65)[:32],
}
CASES = [("x25519", key) for key in (*LOW_ORDER.values(), *NOT_CANONICAL.values())]
CASES += [("p256", key) for key in NOT_ON_P256.values()]
NAMES = [*LOW_ORDER, *NOT_CANONICAL, *NOT_ON_P256]


def advertises(**keys):
    """Make a participant put other keys into its (properly signed) advertisement."""

    def change(machine, envelopes):
        if not envelopes or envelopes[0].kind != "AdvertiseKeys":
            return envelopes
        honest = msgspec.msgpack.decode(envelopes[0].payload, type=AdvertiseKeys)
        values = {name: key(honest) if callable(key) else key for name, key in keys.items()}
        message = msgspec.structs.replace(honest, **values)
        return [machine.seal("AdvertiseKeys", 0, message)]

    return change


def inputs_of(scheme):
    """Make one vector per participant."""
    return [np.full(scheme.length, 10**who) for who in range(scheme.participants)]


@pytest.mark.parametrize("field", ["channel_key", "mask_key"])
@pytest.mark.parametrize(("suite", "key"), CASES, ids=NAMES)
def test_a_participant_with_a_bad_key_is_dropped_and_the_round_goes_on(adversary, suite, key, field):
    scheme = Bonawitz(5, 10, value_bits=20, adversary=adversary, threshold=3, ciphersuite=suite)
    run = simulate(scheme, inputs_of(scheme), misbehave={3: advertises(**{field: key})})
    assert set(run.dropped) == {3}
    np.testing.assert_array_equal(run.total, 11011)
    (refusal,) = run.refusals
    assert isinstance(refusal.error, ProtocolViolation)


def test_a_participant_with_one_key_for_both_uses_is_dropped(adversary):
    scheme = Bonawitz(5, 10, value_bits=20, adversary=adversary, threshold=3)
    doubled = advertises(mask_key=lambda honest: honest.channel_key)
    run = simulate(scheme, inputs_of(scheme), misbehave={3: doubled})
    assert set(run.dropped) == {3}
    np.testing.assert_array_equal(run.total, 11011)


def copying(field):
    """Make participant 3 advertise the key that participant 1 advertised before it."""
    seen = {}

    def watch(machine, envelopes):
        if envelopes and envelopes[0].kind == "AdvertiseKeys":
            seen[1] = msgspec.msgpack.decode(envelopes[0].payload, type=AdvertiseKeys)
        return envelopes

    return {1: watch, 3: advertises(**{field: lambda honest: getattr(seen[1], field)})}


@pytest.mark.parametrize("field", ["channel_key", "mask_key"])
def test_whoever_copies_a_key_is_dropped_with_its_owner(adversary, field):
    scheme = Bonawitz(5, 10, value_bits=20, adversary=adversary, threshold=3)
    run = simulate(scheme, inputs_of(scheme), misbehave=copying(field))
    assert set(run.dropped) == {1, 3}
    np.testing.assert_array_equal(run.total, 11010)
    (refusal,) = run.refusals
    assert refusal.error.culprits == {1, 3}


def the_copyist_comes_first(scheme, field, parties, leaves=False):
    """Return the server once participant 3 has advertised participant 1's key, and then 1 its own."""
    identities, roster = parties(scheme)
    context = RoundContext("job", 1, bytes(32))
    server = scheme.server(context, Aggregator(identity=identities.get(0), roster=roster))
    server.start()
    owner, cheat = (
        scheme.client(who, context, Participant(identity=identities.get(who), roster=roster, ledger=MemoryLedger()))
        for who in (1, 3)
    )
    own = owner.start()
    copied = getattr(msgspec.msgpack.decode(own[0].payload, type=AdvertiseKeys), field)
    server.receive(*advertises(**{field: copied})(cheat, cheat.start()))
    if leaves:
        server.receive(*cheat.abort())
    with pytest.raises(ProtocolViolation) as caught:
        server.receive(*own)
    return server, caught.value


@pytest.mark.parametrize("field", ["channel_key", "mask_key"])
def test_who_copies_a_key_and_sends_it_first_does_not_get_its_owner_dropped_and_named_alone(adversary, field, parties):
    scheme = Bonawitz(5, 10, adversary=adversary, threshold=3)
    server, violation = the_copyist_comes_first(scheme, field, parties)
    assert set(server.dropped) == {1, 3}
    assert violation.culprits == {1, 3}
    assert server.dropped[1].reason == server.dropped[3].reason
    assert "[1, 3]" in server.dropped[1].reason


@pytest.mark.parametrize("field", ["channel_key", "mask_key"])
def test_who_copies_a_key_and_leaves_is_named_with_its_owner_and_not_listed(adversary, field, parties):
    scheme = Bonawitz(5, 10, adversary=adversary, threshold=3)
    server, violation = the_copyist_comes_first(scheme, field, parties, leaves=True)
    assert violation.culprits == {1, 3}
    assert server.dropped[1].reason == server.dropped[3].reason
    assert not server._answered


class FirstCome(DealingServer):
    def _check_unclaimed(self, sender, keys):
        if not self._key_owners.keys().isdisjoint(keys):
            raise ProtocolViolation("a public key was already advertised", {sender})


FIRST_COME = Weakness("who copied a key", "who comes second is the copyist", server=FirstCome)


def test_with_first_come_first_served_the_owner_would_be_the_one_who_is_named(adversary, parties):
    server, violation = the_copyist_comes_first(
        weakened(Bonawitz, FIRST_COME)(5, 10, adversary=adversary), "mask_key", parties
    )
    assert set(server.dropped) == {1}
    assert violation.culprits == {1}


@pytest.mark.parametrize("key", LOW_ORDER.values(), ids=LOW_ORDER)
def test_without_the_check_one_low_order_key_would_end_the_round(adversary, key):
    scheme = weakened(Bonawitz, KEY_FORM)(5, 10, value_bits=20, adversary=adversary, threshold=3)
    attack = Simulation(scheme, inputs_of(scheme), misbehave={3: advertises(channel_key=key)})
    with pytest.raises(RoundFailed):
        attack.run()
    assert {refusal.party for refusal in attack.refusals} >= {1, 2, 4, 5}


def overlooks_its_own(change):
    """Make the cheat's machine take its changed advertisement for its own, or it would refuse the key list."""

    def wrapped(machine, envelopes):
        changed = change(machine, envelopes)
        if changed and changed[0].kind == "AdvertiseKeys":
            machine._memory.advertised = bytes(changed[0].payload)
        return changed

    return wrapped


def test_without_the_check_a_key_in_another_form_would_make_its_owner_unrecoverable(adversary):
    # X25519 ignores the high bit: the key works, but its secret gives another encoding.
    def high_bit(honest):
        return honest.mask_key[:31] + bytes([honest.mask_key[31] | 0x80])

    scheme = Bonawitz(5, 10, value_bits=20, adversary=adversary, threshold=3)
    misbehave = {3: overlooks_its_own(advertises(mask_key=high_bit))}
    run = simulate(scheme, inputs_of(scheme), misbehave=misbehave, drop={3: "MaskedInput"})
    np.testing.assert_array_equal(run.total, 11011)
    with pytest.raises(RoundFailed, match="participant 3 shared cannot be reconstructed"):
        simulate(without(scheme, KEY_FORM), inputs_of(scheme), misbehave=misbehave, drop={3: "MaskedInput"})


def test_without_the_check_a_copied_key_would_end_the_round(adversary):
    scheme = weakened(Bonawitz, UNCLAIMED_KEYS)(5, 10, value_bits=20, adversary=adversary, threshold=3)
    attack = Simulation(scheme, inputs_of(scheme), misbehave=copying("mask_key"))
    with pytest.raises(RoundFailed):
        attack.run()
    assert all("appears twice" in str(refusal.error) for refusal in attack.refusals if refusal.party in (1, 2, 4, 5))


@pytest.mark.parametrize(
    ("suite", "key"), [("x25519", bytes(32)), ("p256", NOT_ON_P256["infinity"])], ids=["x25519", "p256"]
)
def test_a_bad_mask_key_that_the_server_forwards_is_refused_before_anything_is_answered(launch, suite, key):
    def forward(attack, envelopes):
        entries = list(attack.clients[1].open(envelopes[0]).entries)
        bad = msgspec.structs.replace(attack.advertised(3), mask_key=key)
        entries[2] = KeyEntry(3, encode(bad), b"")
        return attack.tell("KeyList", dict.fromkeys((1, 2, 4, 5), KeyList(tuple(entries))))

    ledgers = {who: MemoryLedger() for who in range(1, 6)}
    scheme = Bonawitz(5, 10, threshold=3, ciphersuite=suite)
    attack = launch(scheme, {0: {"KeyList": forward, "SealedShares": deal_to_all}}, ledgers=ledgers)
    for who in (1, 2, 4, 5):
        violation = attack.violation(who)
        assert attack.clients[who].state is Terminal.ABORTED
        assert attack.clients[who]._memory.own is None
        ledgers[who].claim(attack.server.context, 0, b"")  # it has answered nothing
        assert 0 in violation.culprits
    assert not attack.sent["MaskedInput"]


def deal_to_all(attack, _):
    """Deliver shares under the session of those who took the forwarded keys; participant 3's cannot be opened."""
    return attack.shares_for_all()
