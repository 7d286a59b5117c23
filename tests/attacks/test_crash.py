"""Crash: a participant is killed (SIGKILL) at any moment of any step, and never answers twice."""

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from secagg import Bonawitz, Envelope, MemoryLedger, RepeatedContext, StateError
from secagg_protocols import Participant
from secagg_protocols.bonawitz.client import BonawitzClient
from secagg_protocols.bonawitz.messages import KeyList
from secagg_protocols.core.snapshots import SnapshotStore

SCRIPT = Path(__file__).with_name("durable_participant.py")
FEDERATION = Path(__file__).with_name("durable_federation.py")
SPEC = importlib.util.spec_from_file_location("durable_participant", SCRIPT)
assert SPEC is not None
assert SPEC.loader is not None
child = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = child
SPEC.loader.exec_module(child)

VICTIM, EVERYONE, OTHERS = 1, (1, 2, 3, 4, 5), (2, 3, 4, 5)
VARIANCE = 2560
NOISE = f"variance={VARIANCE} tolerated=2"
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@pytest.fixture(scope="module")
def processes():
    """A function: calls, and where they are killed → how the process of each ended, (exit code, output)."""
    command = [sys.executable, str(SCRIPT)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT) as serving:

        def make(*calls, kill=""):
            listed = [msgspec.structs.replace(call, kill=kill) for call in calls]
            serving.stdin.write(msgspec.json.encode(listed) + b"\n")
            serving.stdin.flush()
            ended = msgspec.json.decode(serving.stdout.readline(), type=list[child.Ended])
            return [(one.code, one.output) for one in ended]

        yield make
        serving.stdin.close()


class DurableParticipant:
    """Stands in for a participant's machine: each call is a process that is killed, and one that is not."""

    def __init__(self, attack, folder, processes=None, kill="", *, calls=None, job="job", who=VICTIM):
        self.processes = processes
        self.attack, self.kill, self.calls, self.job, self.who = attack, kill, calls, job, who
        self.folder, self.keys, self.killed = folder / "store", folder / f"keys of {job}", 0
        self.store = SnapshotStore(self.folder)
        if attack.scheme.active:
            self.keys.mkdir()
            attack.identities[who].save(self.keys / "identity")
            attack.roster.save(self.keys / "roster")

    def call(self, name, **fields):
        """Describe a call."""
        adversary = "active" if self.attack.scheme.active else "semi-honest"
        noise = "" if self.attack.scheme.noise is None else str(self.attack.scheme.noise)
        return child.Call(str(self.folder), str(self.keys), adversary, self.job, self.who, name, noise, **fields)

    @property
    def session(self):
        """The name of the session's record."""
        return child.client_of(self.call("start"), self.store).session

    @property
    def context(self):
        return self.attack._context(self.who)

    @property
    def awaits_vector(self):
        return child.client_of(self.call("start"), self.store).awaits_vector

    def turn(self, call, step):
        """Make one call, crash included, and check that it is answered in one way only."""
        kept = None
        if self.kill and (self.calls is None or step in self.calls):
            before = self.store.load(self.session)
            ((code, out),) = self.processes(call, kill=self.kill)
            assert (code, out) == (-signal.SIGKILL, b"")
            self.killed += 1
            kept = self.store.load(self.session)
            if self.kill == child.BEFORE_SEND:
                assert kept != before
            else:
                assert kept == before
            ((code, out),) = self.processes(call)
            if code:
                raise RepeatedContext(out.decode())
            answers = msgspec.msgpack.decode(out, type=list[bytes])
            if self.kill == child.BEFORE_SEND:
                assert tuple(answers) == kept.answers  # what would have been sent is sent, byte for byte
        else:
            answers = child.answer(call, self.store)
        assert child.answer(call, self.store) == answers  # and again, however often it is asked
        return [Envelope.from_bytes(data, self.attack.scheme.envelope_limit) for data in answers]

    def start(self):
        return self.turn(self.call("start"), "start")

    def receive(self, envelope):
        answers = self.turn(self.call("receive", data=envelope.to_bytes()), envelope.kind)
        if self.who != VICTIM:
            return answers
        other = OTHER_REQUESTS[envelope.kind](self.attack, envelope)
        with pytest.raises(StateError):
            child.answer(self.call("receive", data=other.to_bytes()), self.store)
        return answers

    def contribute(self, vector):
        answers = self.turn(self.call("contribute", vector=vector.tolist()), "contribute")
        other = self.call("contribute", vector=(vector[::-1]).tolist())
        assert child.answer(other, self.store) == [envelope.to_bytes() for envelope in answers]
        return answers

    def snapshot(self):
        """Return what is on disk."""
        return self.store.load(self.session).snapshot


def fewer_keys(attack, envelope):
    """Ask again with a shorter key list."""
    entries = attack.clients[2].open(envelope).entries
    return attack.server.seal("KeyList", VICTIM, KeyList(entries[:4]))


def fewer_dealers(attack, envelope):
    """Ask again with fewer dealers."""
    message = attack.clients[2].open(envelope)
    return attack.server.seal(
        "SealedShares", VICTIM, (message.dealers[:4], bytes(message.sealed[: 3 * attack.scheme.sealed_bytes]))
    )


OTHER_REQUESTS = {
    "KeyList": fewer_keys,
    "SealedShares": fewer_dealers,
    "SurvivorList": lambda attack, _: attack.server.seal("SurvivorList", VICTIM, ((1, 2, 3, 4),)),
    "UnmaskRequest": lambda attack, _: attack.server.seal("UnmaskRequest", VICTIM, ((1, 2, 3, 4), (5,), (), ())),
}


@pytest.fixture
def killed(make_attack, adversary, tmp_path, processes):
    """Return a callable that makes a round whose participant 1 is killed at `point` of `calls` (of all: None)."""

    def make(point, calls=None, noise="", **options):
        attack = make_attack(child.scheme_of(adversary, noise), **options)
        attack.clients[VICTIM] = DurableParticipant(attack, tmp_path, processes, point, calls=calls)
        return attack

    return make


CALLS = {"start", "KeyList", "SealedShares", "contribute", "SurvivorList", "UnmaskRequest"}


def test_killed_between_snapshot_and_send_at_every_step_the_stored_answer_is_sent(killed):
    attack = killed(child.BEFORE_SEND).run()
    assert attack.clients[VICTIM].killed == len(attack.scheme.steps) + 1
    assert not attack.refusals
    np.testing.assert_array_equal(attack.server.output.total, attack.total_of(*EVERYONE))


@pytest.mark.parametrize("point", [child.BEFORE_SNAPSHOT, child.WRITING_SNAPSHOT])
def test_killed_before_the_snapshot_at_every_step_the_request_is_answered_once(killed, point):
    # But for the masked input, which comes next.
    attack = killed(point, CALLS - {"contribute"}).run()
    assert attack.clients[VICTIM].killed == len(attack.scheme.steps)
    assert not attack.refusals
    np.testing.assert_array_equal(attack.server.output.total, attack.total_of(*EVERYONE))


@pytest.mark.parametrize("point", [child.BEFORE_SNAPSHOT, child.WRITING_SNAPSHOT])
def test_killed_between_the_ledger_and_the_snapshot_no_masked_input_ever_leaves(killed, point):
    attack = killed(point, {"contribute"}).run()
    (refusal,) = attack.by(VICTIM)
    assert isinstance(refusal, RepeatedContext)
    assert VICTIM not in attack.sent["MaskedInput"]
    np.testing.assert_array_equal(attack.server.output.total, attack.total_of(*OTHERS))


def test_killed_between_its_answer_and_the_send_a_vector_is_sent_with_the_noise_that_it_has(killed):
    """What always stays is drawn when the vector is given, and kept nowhere: it must not be drawn again."""
    attack = killed(child.BEFORE_SEND, {"contribute"}, noise=NOISE).run()
    assert attack.clients[VICTIM].killed == 1
    error = attack.server.output.total - attack.total_of(*EVERYONE).astype(np.int64)
    assert 0 < np.abs(error).max() < 8 * np.sqrt(VARIANCE)


def test_killed_before_the_ledger_is_written_the_vector_is_answered_once(killed):
    attack = killed(child.WRITING_LEDGER, {"contribute"}).run()
    assert attack.clients[VICTIM].killed == 1
    np.testing.assert_array_equal(attack.server.output.total, attack.total_of(*EVERYONE))


def test_killed_while_the_ledger_is_written_at_any_step_the_request_is_answered_once(killed, adversary):
    signed = {"SurvivorList"} if adversary == "active" else set()
    attack = killed(child.WRITING_LEDGER, {"KeyList", "contribute", "UnmaskRequest"} | signed).run()
    assert attack.clients[VICTIM].killed == 3 + len(signed)
    assert not attack.refusals
    np.testing.assert_array_equal(attack.server.output.total, attack.total_of(*EVERYONE))


def test_killed_once_its_keys_are_settled_a_participant_deals_under_that_list_and_no_other(
    make_attack, adversary, tmp_path, processes
):
    attack = make_attack(child.scheme_of(adversary))
    attack.clients[VICTIM] = durable = DurableParticipant(attack, tmp_path)
    attack.run(until="KeyList")
    (listed,) = [envelope for envelope in attack.server.advance() if envelope.recipient == VICTIM]
    call = durable.call("receive", data=listed.to_bytes())
    ((code, _),) = processes(call, kill=child.BEFORE_SNAPSHOT)
    assert code == -signal.SIGKILL
    other = durable.call("receive", data=fewer_keys(attack, listed).to_bytes())
    for _ in range(2):
        with pytest.raises(RepeatedContext):
            child.answer(other, durable.store)
    (dealt,) = child.answer(call, durable.store)  # an honest server asks as before, and is answered
    attack.to_server(Envelope.from_bytes(dealt, attack.scheme.envelope_limit))
    assert not attack.refusals


@pytest.mark.parametrize("point", [5, 23, 41, 85])
def test_of_a_federation_that_is_killed_as_a_whole_the_round_goes_on(tmp_path, adversary, point):
    """Server and participants, all kept on disk and all in one process: whatever had left is sent again."""
    command = [sys.executable, str(FEDERATION), str(tmp_path), adversary, str(point)]
    run = subprocess.run(command, env=ENVIRONMENT, capture_output=True, timeout=child.TIME_LIMIT, check=False)
    assert run.returncode == 0, run.stderr
    ended = msgspec.json.decode(run.stdout)
    # One participant may have died between its ledger and its answer: that vector never leaves.
    assert len(ended["survivors"]) >= 4
    vectors = [np.arange(20) + 1000 * who for who in ended["survivors"]]
    assert ended["total"] == np.sum(vectors, axis=0).tolist()


def ask_again(attack, honest):
    """Ask for every seed, restart everyone from the snapshot before that, and ask for participant 1's mask key."""
    for who in OTHERS:
        attack.restarts[who] = attack.clients[who].snapshot()
    for envelope in honest:
        attack.deliver(envelope)
    for who in OTHERS:
        if isinstance(attack.clients[who], BonawitzClient):
            attack.clients[who] = attack.scheme.restore(attack.restarts[who], Participant(ledger=MemoryLedger()))
    return attack.tell("UnmaskRequest", dict.fromkeys(OTHERS, attack.request(OTHERS, EVERYONE)))


def test_restarted_from_an_older_snapshot_participants_would_answer_twice(make_attack):
    # Why a snapshot may be resumed once only: the bare machine cannot know that it has answered.
    attack = make_attack(Bonawitz(5, 20, threshold=3), {0: {"UnmaskRequest": ask_again}})
    attack.restarts = {}
    attack.run()
    np.testing.assert_array_equal(attack.expose(VICTIM), attack.vectors[VICTIM])


def test_restarted_from_their_stores_participants_do_not_answer_twice(make_attack, tmp_path):
    attack = make_attack(Bonawitz(5, 20, threshold=3), {0: {"UnmaskRequest": ask_again}})
    attack.restarts = {}
    for who in OTHERS:
        attack.clients[who] = DurableParticipant(attack, tmp_path / str(who), who=who)
    attack.run()
    assert all(isinstance(attack.by(who)[0], StateError) for who in OTHERS)
    assert attack.expose(VICTIM) is None
    np.testing.assert_array_equal(attack.server.output.total, attack.total_of(*EVERYONE))


def test_of_processes_that_answer_for_one_model_at_the_same_time_one_does(make_attack, tmp_path, adversary, processes):
    jobs, participants = ["a", "b", "c", "d"], []
    for job in jobs:
        attack = make_attack(child.scheme_of(adversary), context=child.context_of(job))
        attack.clients[VICTIM] = durable = DurableParticipant(attack, tmp_path, job=job)
        participants.append(durable)
        attack.run(until="SealedShares")
        (delivered,) = [envelope for envelope in attack.server.advance() if envelope.recipient == VICTIM]
        durable.receive(delivered)
    vector = list(range(20))
    outcomes = processes(*(one.call("contribute", vector=vector) for one in participants))
    assert sorted(code for code, _ in outcomes) == [0, 3, 3, 3]
    assert sum(out.startswith(b"RepeatedContext") for _, out in outcomes) == 3
