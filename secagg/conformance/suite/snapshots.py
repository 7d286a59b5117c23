"""A participant may be restored from its snapshot between any two messages, and nothing is different."""

import re
from dataclasses import replace

import numpy as np
import pytest

from secagg_protocols import (
    InputError,
    ParameterError,
    Participant,
    Policy,
    ProtocolViolation,
    RepeatedContext,
    SecAggError,
    Step,
)
from secagg_protocols.core.machine import CONTRIBUTE

from ..capability import ADVERTISES_KEYS, GROUP_KEY, RECOVERS_DROPOUTS, ROUND_SECRETS, SIGNS, SPOILS, needs
from ..driver import spared
from ..spoilt import about_to_abort


def shape(finished):
    """Return who sent and heard what, how long it was, and the states that each participant went through."""
    messages = [{key: len(data) for key, data in some.items()} for some in (finished.sent, finished.heard)]
    states = {participant: [state for state, _ in history] for participant, history in finished.snapshots.items()}
    return messages, states, finished.server.output.survivors


def test_a_round_of_participants_restored_before_every_call_is_the_same_byte_for_byte(case, make_round):
    scheme = case.make(4, 5)
    drop = spared(scheme, {2: scheme.steps[-1]})
    straight = make_round(scheme, drop=drop).finish()
    reborn = make_round(scheme, drop=drop, reborn=True).finish()
    reborn.check()
    assert shape(reborn) == shape(straight)
    if case.repeatable:
        assert (reborn.sent, reborn.heard) == (straight.sent, straight.heard)
        assert reborn.snapshots == straight.snapshots


def test_a_snapshot_of_a_restored_participant_is_the_snapshot(small, make_round):
    finished = make_round(small).finish()
    for participant, history in finished.snapshots.items():
        for state, snapshot in history:
            client = finished.restore(participant, snapshot)
            assert client.state is state
            assert client.participant == participant
            assert client.snapshot() == snapshot


def test_a_snapshot_of_another_scheme_or_other_parameters_is_refused(case, make_round):
    make = case.make
    finished = make_round(make(3, 5)).finish()
    strangers = [make(4, 5), make(3, 6), make(3, 5, value_bits=15)]
    for stranger in strangers:
        running = make_round(stranger)
        for _, snapshot in finished.snapshots[1]:
            with pytest.raises(InputError):
                stranger.restore(
                    snapshot,
                    Participant(
                        ledger=running.ledgers[1],
                        identity=running.identities.get(1),
                        roster=running.roster,
                        policy=running.policy,
                    ),
                )


def test_every_truncated_or_extended_snapshot_is_refused(small, make_round):
    finished = make_round(small).finish()
    for _, snapshot in finished.snapshots[1]:
        for cut in {*range(min(len(snapshot), 200)), *range(0, len(snapshot), 37), len(snapshot) - 1}:
            with pytest.raises(InputError):
                finished.restore(1, snapshot[:cut])
        with pytest.raises(InputError):
            finished.restore(1, snapshot + b"\x00")


def test_a_damaged_snapshot_never_makes_another_error_than_ours(small, make_round):
    """Whatever byte is damaged: refused as a whole, or the machine is made; nothing else may escape."""
    finished = make_round(small).finish()
    generator = np.random.default_rng(5)
    for _, snapshot in finished.snapshots[1]:
        positions = {*range(min(len(snapshot), 160)), *generator.integers(0, len(snapshot), 60).tolist()}
        for position in positions:
            for flip in (0x01, 0x80, 0xFF):
                damaged = bytearray(snapshot)
                damaged[position] ^= flip
                try:
                    client = finished.restore(1, bytes(damaged))
                except SecAggError:
                    continue
                assert 1 <= client.participant <= 3


@needs(SIGNS)
def test_a_snapshot_is_not_restored_by_somebody_else(small, make_round):
    """Against an active server the snapshot's participant must be the identity's roster entry."""
    finished = make_round(small).finish()
    for _, snapshot in finished.snapshots[1]:
        with pytest.raises(ParameterError):
            finished.restore(1, snapshot, identity=finished.identities[2])
        with pytest.raises(ParameterError):
            finished.restore(1, snapshot, identity=None)


def test_a_stale_snapshot_cannot_be_used_to_answer_twice(small, make_round):
    """The ledger is not in the snapshot: going back in time does not give a second masked input."""
    finished = make_round(small).finish()
    stale = [s for _, s in finished.snapshots[1] if finished.restore(1, s).awaits_vector]
    assert len(stale) == 1
    client = finished.restore(1, stale[0])
    with pytest.raises(RepeatedContext):
        client.contribute(finished.vectors[1])


def asked_for_shares(make_round, scheme, drop=None):
    """Run a round until everyone's keys are in the list; return it, and the list as participant 1 is sent it."""
    running = make_round(scheme, drop=drop)
    running.open()
    running.take()
    running.advance()
    return running, running.parse(running.downlink[1][0])


@needs(ADVERTISES_KEYS)
def test_restored_twice_it_seals_the_same_shares_under_the_same_keys(case, make_round):
    """A channel's key and nonce seal one message: two deals under one would open both."""
    running, listed = asked_for_shares(make_round, case.make(4, 5))
    snapshot = running.clients[1].snapshot()
    dealt = [running.restore(1, snapshot).receive(listed)[0].to_bytes() for _ in range(3)]
    assert len(set(dealt)) == 1


@needs(ADVERTISES_KEYS, RECOVERS_DROPOUTS)
def test_restored_twice_it_deals_under_one_list_of_keys(case, make_round):
    """The secrets behind its keys would otherwise be opened in two rounds, a half in each."""
    scheme = case.make(4, 5)
    running, listed = asked_for_shares(make_round, scheme)
    _, other = asked_for_shares(make_round, scheme, drop={4: Step.ADVERTISE_KEYS})  # the same keys, but for those of 4
    assert other.to_bytes() != listed.to_bytes()
    snapshot = running.clients[1].snapshot()
    first = running.restore(1, snapshot)
    second = running.restore(1, snapshot)
    first.receive(listed)
    with pytest.raises(RepeatedContext):
        second.receive(other)
    assert second.snapshot() == snapshot  # it is as it was, and answers what it answered
    assert second.receive(listed)


def test_without_its_own_policy_a_restored_participant_keeps_the_one_it_began_with(small, make_round):
    """A floor is not lowered by a restart that forgets to state it."""
    strict = Policy(minimum_cohort=2, maximum_participants=50)
    running = make_round(small, policy=strict)
    running.open()
    snapshot = running.clients[1].snapshot()
    restored = running.restore(1, snapshot, policy=None)
    assert restored.policy == strict
    assert restored.snapshot() == snapshot
    stricter = replace(strict, maximum_participants=3)
    again = running.restore(1, snapshot, policy=stricter)
    assert running.restore(1, again.snapshot(), policy=None).policy == stricter


@pytest.mark.parametrize(
    ("began", "later"),
    [
        ({"minimum_cohort": 3}, {"minimum_cohort": 2}),
        ({"reruns": 1}, {"reruns": 2}),
        ({"maximum_participants": 10}, {"maximum_participants": 11}),
    ],
)
def test_a_policy_that_asks_for_less_than_the_snapshot_s_is_refused(case, make_round, began, later):
    running = make_round(case.make(5, 5), policy=replace(Policy(minimum_cohort=2), **began))
    with pytest.raises(ParameterError, match=f"{next(iter(later))}=.* weakens"):
        running.restore(1, running.clients[1].snapshot(), policy=replace(Policy(minimum_cohort=2), **later))


def keys_and_seeds(finished):
    """Return every 32-byte secret that participant 1 had drawn once the round had begun."""
    found = set(re.findall(rb"\xc4\x20(.{32})", finished.snapshots[1][1][1], re.DOTALL))
    said = (*finished.sent.values(), *finished.heard.values(), finished.contexts[1].context_digest)
    known = b"".join((*said, finished.snapshots[1][0][1]))
    return {value for value in found if value not in known}


@needs(GROUP_KEY)
def test_the_group_key_is_in_no_snapshot_and_no_message(case, small, make_round):
    finished = make_round(small).finish()
    snapshots = [snapshot for history in finished.snapshots.values() for _, snapshot in history]
    secrets = case.group_secrets(finished.group_key)
    assert secrets
    for secret in secrets:
        assert all(secret not in data for data in (*snapshots, *finished.sent.values(), *finished.heard.values()))


@needs(ROUND_SECRETS)
def test_a_finished_participant_s_snapshot_holds_no_share_and_no_key(case, make_round):
    finished = make_round(case.make(3, 5)).finish()
    last = finished.snapshots[1][-1][1]
    secrets = keys_and_seeds(finished)
    assert len(secrets) >= 2
    for secret in secrets:
        assert secret in finished.snapshots[1][1][1]
        assert secret not in last
    assert len(last) < 1500


@needs(ROUND_SECRETS)
def test_a_participant_s_own_keys_are_forgotten_as_soon_as_its_vector_is_masked(case, make_round):
    finished = make_round(case.make(3, 5)).finish()
    before = []
    after = []
    for _, snapshot in finished.snapshots[1][1:]:
        waited = before and finished.restore(1, before[-1]).awaits_vector
        (after if after or waited else before).append(snapshot)
    assert len(after) >= 2
    secrets = keys_and_seeds(finished)
    assert len([secret for secret in secrets if all(secret in snapshot for snapshot in before)]) >= 2
    for secret in secrets:
        assert all(secret not in snapshot for snapshot in after)


def test_the_vector_is_never_in_a_snapshot(case, make_round):
    scheme = case.make(3, 64, value_bits=16)
    marked = np.frombuffer(b"a vector that is easy to find!!!" * 4, dtype="<u2").astype(np.uint64)
    finished = make_round(scheme, vectors=dict.fromkeys((1, 2, 3), marked)).finish()
    finished.check()
    for history in finished.snapshots.values():
        for _, snapshot in history:
            assert b"easy to find" not in snapshot
            assert marked.tobytes()[:64] not in snapshot


@needs(SPOILS)
def test_a_restored_participant_still_knows_why_it_aborted(case, small, make_round):
    running, client, spoilt, _ = about_to_abort(case, make_round(small))
    with pytest.raises(ProtocolViolation):
        client.receive(spoilt)
    restored = running.restore(1, client.snapshot())
    assert str(restored.state) == "Aborted"
    assert restored.abort_reason == client.abort_reason


def test_a_rerun_never_puts_two_vectors_under_the_same_masks(case, make_round):
    """The policy may allow a second answer; the same one-time secrets for two vectors would give their difference."""
    scheme = case.make(3, 5)
    running = make_round(scheme, policy=Policy(minimum_cohort=2, reruns=1)).finish()
    asking = [
        snapshot for state, snapshot in running.snapshots[1] if (state, CONTRIBUTE) in running.clients[1].transitions
    ]
    once_more = running.restore(1, asking[0], policy=Policy(minimum_cohort=2, reruns=1))
    if not once_more._pad():
        pytest.skip("nothing is used once here")
    with pytest.raises(RepeatedContext, match="session"):
        once_more.contribute(running.vectors[2])
