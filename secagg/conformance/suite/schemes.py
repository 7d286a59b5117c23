"""A scheme is a value: equal ones have equal ids, different ones different ids; nothing secret has a repr."""

import pickle
import re

import pytest

from secagg import registry
from secagg_protocols import ParameterError, Participant, Policy, RoundContext, SecAggError

from ..capability import DEALS_SHARES, PROTECTS
from .messages import payload_at

CONTEXT = RoundContext("job", 1, bytes(32))


def test_equal_schemes_are_equal_and_have_equal_ids(case):
    first = case.make(5, 7)
    second = case.make(5, 7)
    assert first == second
    assert hash(first) == hash(second)
    assert first.id == second.id
    assert len(first.id) == 32
    assert pickle.loads(pickle.dumps(first)).id == first.id


def test_every_public_parameter_is_in_the_id(case):
    first = case.make(7, 7)
    others = [case.make(8, 7), case.make(7, 8), case.make(7, 7, value_bits=17)]
    changes = {"colluders": 2, "threshold": 6, "packing": 3}
    for name, value in {**changes, "releases": 999, "flooding_bits": 31, "raw_precision": 5}.items():
        if hasattr(first, name):
            assert getattr(first, name) != value
            try:
                others.append(case.make(7, 7, **{name: value}))
            except (TypeError, ParameterError):
                continue  # the case fixes this parameter itself, or the scheme derives it
    ids = {first.id, *(other.id for other in others)}
    assert len(ids) == 1 + len(others)


def test_a_scheme_cannot_be_changed(case):
    scheme = case.make(3, 5)
    with pytest.raises(AttributeError):
        scheme.length = 6


@pytest.mark.parametrize(
    "parameters",
    [
        {"participants": 0},
        {"participants": -1},
        {"participants": 65536},
        {"length": 0},
        {"length": -1},
        {"length": (1 << 40) + 1},
        {"value_bits": 0},
        {"value_bits": 64},
        {"value_bits": 63},
        {"ciphersuite": "rot13"},
        {"adversary": "friendly"},
    ],
    ids=str,
)
def test_unusable_public_parameters_are_refused_with_the_value(case, parameters):
    (value,) = parameters.values()
    arguments = {"participants": 3, "length": 5, **parameters}
    make = getattr(case.make, "func", case.make)
    with pytest.raises(ParameterError, match=re.escape(str(value))):
        make(**arguments)


@pytest.mark.parametrize("participant", [0, -1, 4, 65536])
def test_a_participant_outside_the_scheme_has_no_machine(small, make_round, participant):
    running = make_round(small)
    with pytest.raises(ParameterError):
        small.client(
            participant,
            CONTEXT,
            Participant(identity=running.identities.get(1), roster=running.roster, ledger=running.ledgers[1]),
        )


def test_leakage_names_the_server_and_the_others(case):
    rows = case.make(5, 5).leakage
    assert all(len(row) == 2 and all(row) for row in rows)
    assert any("server" in who for who, _ in rows)
    assert any("other participants" in who for who, _ in rows)


def test_what_it_says_of_itself_is_whole_and_without_contradiction(case):
    """As it is checked where it is registered: what a round opens is declared, what is promised can be held."""
    registry.check(type(case.sample))


def test_steps_and_quorum_are_stated(case):
    scheme = case.make(5, 5)
    assert len(set(scheme.steps)) == len(scheme.steps) >= 1
    assert 1 <= scheme.quorum <= scheme.participants


def secrets_of(case, finished):
    """Return the group key's secrets, and every byte string that snapshots hold and public messages do not."""
    found = set(case.group_secrets(finished.group_key)) if finished.group_key is not None else set()
    for history in finished.snapshots.values():
        for _, snapshot in history:
            found |= set(re.findall(rb"\xc4\x20(.{32})", snapshot, re.DOTALL))
    public = b"".join((*finished.sent.values(), *finished.heard.values()))
    return {secret for secret in found if secret not in public and secret != finished.clients[1].context.context_digest}


def shown(value, ours, depth=0):
    """Return repr and str of a value and of everything of ours that it is made of."""
    texts = [repr(value), str(value)]
    if depth < 4:
        parts = list(vars(value).values()) if hasattr(value, "__dict__") and not isinstance(value, type) else []
        for part in parts:
            if type(part).__module__.startswith(ours):
                texts += shown(part, ours, depth + 1)
    return texts


def test_no_secret_is_in_the_repr_of_a_machine_its_memory_an_identity_or_an_envelope(case, small, make_round):
    running = make_round(small)
    recorded = make_round(small).finish()
    secrets = secrets_of(case, recorded) | {own.signing_key for own in running.identities.values()}
    assert secrets or not PROTECTS.held(case, small)
    assert len(secrets) >= 7 or not DEALS_SHARES.held(case, small)
    texts = [repr(running.group_key)]
    for moment in running.moments():
        for machine in (moment.server, *moment.clients.values(), *moment.identities.values()):
            texts += shown(machine, ("secagg", type(small).__module__.partition(".")[0]))
        texts += [repr(moment.parse(data)) for queue in moment.uplink.values() for data in queue]
    everything = "\n".join(texts)
    assert "Memory" in everything or len(small.steps) == 1
    for secret in secrets:
        for form in (secret.hex(), repr(secret)[2:-1], str(list(secret))[1:-1]):
            assert form not in everything


def test_no_secret_is_in_an_error(case, small, make_round):
    """Every refusal of a full round of damaged messages, as text."""
    recorded = make_round(small).finish()
    secrets = secrets_of(case, recorded)
    texts = []
    running = make_round(small)
    for moment in running.moments():
        for queue in moment.uplink.values():
            for data in queue[:1]:
                for position in {min(place, len(data) - 1) for place in (0, 5, 10, 60, 110, len(data))}:
                    damaged = bytearray(data)
                    damaged[position] ^= 0xFF
                    if not small.active and position >= payload_at(data):
                        continue
                    try:
                        moment.server.receive(moment.parse(bytes(damaged)))
                    except SecAggError as error:
                        texts.append(f"{error!r} {error}")
    assert texts
    for secret in secrets:
        for form in (secret.hex(), repr(secret)[2:-1]):
            assert all(form not in text for text in texts)


def test_policy_of_more_participants_than_the_scheme_has_is_refused(small):
    with pytest.raises(ParameterError, match=r"7|asks for"):
        small.check_policy(Policy(minimum_cohort=7))


def test_a_policy_for_an_active_server_refuses_a_semi_honest_scheme(case):
    scheme = case.make(3, 5)
    if scheme.active:
        scheme.check_policy(Policy(minimum_cohort=2, adversary="active"))
        return
    with pytest.raises(ParameterError, match="active"):
        scheme.check_policy(Policy(minimum_cohort=2, adversary="active"))


def test_against_an_active_server_a_participant_without_a_ledger_is_refused(active_case, make_round):
    """Nobody would remember that a context was answered: the next machine answers it again."""
    scheme = active_case.make(3, 5)
    running = make_round(scheme)
    held = {"identity": running.identities[1], "roster": running.roster, "policy": running.policy}
    context = running.server.context
    with pytest.raises(ParameterError, match=re.escape("ledger=SnapshotStore(folder)")):
        scheme.client(1, context, Participant(**held))
    scheme.client(1, context, Participant(ledger=running.ledgers[1], **held))
