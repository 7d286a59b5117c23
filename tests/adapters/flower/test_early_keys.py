"""Keys for the next round ride with the last message of this one: a round trip less, and nothing else is different."""

import msgspec
import pytest

flwr = pytest.importorskip("flwr", reason="Flower is not installed: pip install -c constraints.txt -e '.[flower]'")

from flwr.serverapp.strategy import FedAvg  # noqa: E402

from secagg.adapters.flower import SecAgg  # noqa: E402
from secagg.codec import Layout, MeanCodec  # noqa: E402
from secagg.round import Request, SiteStore  # noqa: E402
from secagg_protocols import Envelope, Identity, Roster, StateError  # noqa: E402
from secagg_protocols.bonawitz.messages import AdvertiseKeys  # noqa: E402
from secagg_protocols.core import ledger  # noqa: E402
from secagg_protocols.core.wire import decode, encode  # noqa: E402

CODEC = {"clip": 8.0, "weight_max": 10_000}

EVERY_NODE = range(101, 106)


def fedavg() -> FedAvg:
    return FedAvg(min_train_nodes=1, min_available_nodes=1, fraction_evaluate=0.0)


@pytest.fixture
def checked_round(bench):
    """(strategy, grid, number, arrays, survivors) → the arrays that came out, which are plain FedAvg's."""

    def run(strategy, grid, number, arrays, survivors=EVERY_NODE):
        result, _ = bench.one_round(strategy, grid, number, arrays)
        assert result is not None, strategy.stopped
        expected, _ = bench.plain_average(fedavg(), survivors, number, arrays)
        own = strategy.settings.codec
        codec = MeanCodec(
            Layout.of(bench.model()), clip=own.clip, value_bits=own.value_bits, weight_max=own.weight_max or None
        )
        weight = sum(map(bench.weight_of, survivors))
        bench.assert_close(result, expected, codec.error_bound(len(survivors), weight))
        return result

    return run


class Watched:
    """Which envelopes nodes were asked with since `begin`; `lost`: nodes whose reply to a message with this kind of
    envelope does not arrive."""

    def __init__(self, grid, asked):
        self.asked: list[tuple[int, str]] = []
        self.lost: set[tuple[int, str]] = set()
        self.grid, deliver = grid, grid.deliver

        def watched(message):
            node = message.metadata.dst_node_id
            envelopes = asked(message.content).envelopes
            kind = Envelope.from_bytes(envelopes[0], 1 << 24).kind if envelopes else "nothing"
            self.asked.append((node, kind))
            reply = deliver(message)
            if (node, kind) in self.lost:
                raise ReplyLost
            return reply

        grid.deliver, carry = watched, grid._carry

        def carried(message):
            try:
                return carry(message)
            except ReplyLost:
                return None

        grid._carry = carried

    def begin(self):
        self.asked = []
        self.grid.begin()
        self.grid.round_trips = 0

    def asked_for_keys(self) -> set[int]:
        return {node for node, kind in self.asked if kind == "nothing"}


class ReplyLost(Exception):
    """A reply that went missing on its way."""


def sessions(node) -> list[str]:
    """Return the sessions that a node's state remembers."""
    return [key for key in node.context().state["secagg"] if len(key) == 64]


@pytest.mark.parametrize("scheme", ["bonawitz", "lightsecagg", "threshold-ckks"])
def test_every_round_but_the_first_takes_one_round_trip_less(federation, bench, checked_round, scheme):
    strategy, grid = SecAgg(fedavg(), scheme, **CODEC), federation(5)
    watched, arrays = Watched(grid, bench.asked), bench.record(bench.model())
    for number, trips in ((1, 4), (2, 3), (3, 3)):
        watched.begin()
        arrays = checked_round(strategy, grid, number, arrays)
        assert grid.round_trips == trips
        assert watched.asked_for_keys() == (set(EVERY_NODE) if number == 1 else set())
        assert all(len(sessions(node)) == 2 for node in grid.nodes.values()), "this round's and the next one's"


def test_secagg_plus_too(federation, bench, checked_round):
    strategy, grid = SecAgg(fedavg(), "secagg-plus", **CODEC), federation(60)
    watched, arrays = Watched(grid, bench.asked), bench.record(bench.model())
    for number, trips in ((1, 4), (2, 3)):
        watched.begin()
        arrays = checked_round(strategy, grid, number, arrays, range(101, 161))
        assert grid.round_trips == trips


@pytest.mark.parametrize("scheme", ["bonawitz", "threshold-ckks"])
def test_against_an_active_server_with_stores(federation, bench, checked_round, tmp_path, scheme):
    identities = [Identity.generate(f"party {own}") for own in range(6)]
    roster = Roster.of("x25519", [identity.public(own) for own, identity in enumerate(identities)])
    roster.save(tmp_path / "roster.json")
    for own, identity in enumerate(identities):
        identity.save(tmp_path / f"identity-{own}.json")
    grid = federation(
        5,
        lambda own: {
            "secagg-adversary": "active",
            "secagg-roster": str(tmp_path / "roster.json"),
            "secagg-identity": str(tmp_path / f"identity-{own}.json"),
            "secagg-store": str(tmp_path / f"store-{own}"),
        },
    )
    knobs = {"adversary": "active", "identity": tmp_path / "identity-0.json", "roster": tmp_path / "roster.json"}
    strategy, watched, arrays = (
        SecAgg(fedavg(), scheme, **{**CODEC, **knobs}),
        Watched(grid, bench.asked),
        bench.record(bench.model()),
    )
    for number, trips in ((1, 5), (2, 4)):
        watched.begin()
        arrays = checked_round(strategy, grid, number, arrays)
        assert grid.round_trips == trips
    watched.lost = {(103, "UnmaskRequest")}
    watched.begin()
    arrays = checked_round(strategy, grid, 3, arrays)
    watched.begin()
    checked_round(strategy, grid, 4, arrays)
    assert (grid.round_trips, watched.asked_for_keys()) == (5, {103})
    for own in range(1, 6):
        assert len(list((tmp_path / f"store-{own}").glob("?" * 64))) == 2


def test_a_node_that_missed_the_last_message_is_asked_for_keys_and_nobody_else_is(federation, bench, checked_round):
    strategy, grid = SecAgg(fedavg(), **CODEC), federation(5)
    watched = Watched(grid, bench.asked)
    grid.begin(lambda node, count: node == 104 and count == 3)
    arrays = checked_round(strategy, grid, 1, bench.record(bench.model()))
    watched.begin()
    arrays = checked_round(strategy, grid, 2, arrays)
    assert (grid.round_trips, watched.asked_for_keys()) == (4, {104})
    watched.begin()
    checked_round(strategy, grid, 3, arrays)
    assert (grid.round_trips, watched.asked_for_keys()) == (3, set())


def test_keys_that_got_lost_are_sent_again(federation, bench, checked_round):
    strategy, grid = SecAgg(fedavg(), **CODEC), federation(5)
    watched = Watched(grid, bench.asked)
    watched.lost = {(102, "UnmaskRequest")}
    arrays = checked_round(strategy, grid, 1, bench.record(bench.model()))
    made = set(sessions(grid.nodes[102]))
    watched.lost = set()
    watched.begin()
    checked_round(strategy, grid, 2, arrays)
    assert watched.asked_for_keys() == {102}
    assert set(sessions(grid.nodes[102])) & made, "the session that it had begun went on"


def test_with_other_nodes_than_before_all_are_asked_and_old_keys_are_deleted(federation, bench, checked_round):
    strategy, grid = SecAgg(fedavg(), **CODEC), federation(5)
    watched = Watched(grid, bench.asked)
    arrays = checked_round(strategy, grid, 1, bench.record(bench.model()))
    before = {node: sessions(grid.nodes[node]) for node in EVERY_NODE}
    del grid.nodes[105]
    watched.begin()
    checked_round(strategy, grid, 2, arrays, range(101, 105))
    assert (grid.round_trips, watched.asked_for_keys()) == (4, {101, 102, 103, 104})
    for node in range(101, 105):
        assert not set(before[node]) & set(sessions(grid.nodes[node]))


def test_another_node_in_the_place_of_one_shifts_the_ids_and_only_fitting_keys_are_used(
    federation, bench, checked_round
):
    strategy, grid, spare = SecAgg(fedavg(), **CODEC), federation(5), federation(6).nodes[106]
    watched = Watched(grid, bench.asked)
    arrays = checked_round(strategy, grid, 1, bench.record(bench.model()))
    del grid.nodes[103]  # 104 and 105 move up
    grid.nodes[106] = spare
    watched.begin()
    checked_round(strategy, grid, 2, arrays, (101, 102, 104, 105, 106))
    assert (grid.round_trips, watched.asked_for_keys()) == (4, {104, 105, 106})


def test_keys_for_a_round_that_is_passed_are_deleted_and_not_used(federation, bench, checked_round):
    strategy, grid = SecAgg(fedavg(), **CODEC), federation(5)
    watched = Watched(grid, bench.asked)
    arrays = checked_round(strategy, grid, 1, bench.record(bench.model()))
    before = sessions(grid.nodes[101])
    watched.begin()
    checked_round(strategy, grid, 3, arrays)
    assert (grid.round_trips, watched.asked_for_keys()) == (4, set(EVERY_NODE))
    assert not set(before) & set(sessions(grid.nodes[101]))


def undecodable(keys: Envelope) -> Envelope:
    return msgspec.structs.replace(keys, payload=bytes(60))


def with_a_context(keys: Envelope) -> Envelope:
    said = msgspec.structs.replace(decode(AdvertiseKeys, keys.payload, 1 << 16), context_digest=bytes(32))
    return msgspec.structs.replace(keys, payload=encode(said))


@pytest.mark.parametrize(
    ("spoil", "asked", "survivors"),
    [(undecodable, {103}, EVERY_NODE), (with_a_context, set(), (101, 102, 104, 105))],
)
def test_rubbish_in_the_place_of_keys_costs_nobody_but_its_sender(
    federation, bench, checked_round, spoil, asked, survivors
):
    """What cannot be read is asked for again; who says what must not be said is left out, as with keys of any round."""
    strategy, grid = SecAgg(fedavg(), **CODEC), federation(5)
    deliver = grid.deliver

    def hostile(message):
        reply = deliver(message)
        if message.metadata.dst_node_id == 103 and not reply.has_error():
            sent = [Envelope.from_bytes(data, 1 << 24) for data in bench.answers(reply.content)]
            if [envelope.kind for envelope in sent] == ["Unmasking", "AdvertiseKeys"]:
                reply.content = bench.answering([sent[0].to_bytes(), spoil(sent[1]).to_bytes()])
        return reply

    grid.deliver = hostile
    arrays = checked_round(strategy, grid, 1, bench.record(bench.model()))
    watched = Watched(grid, bench.asked)
    checked_round(strategy, grid, 2, arrays, survivors)
    assert watched.asked_for_keys() == asked


def test_the_last_round_asks_for_no_keys_of_a_next_one(federation, bench):
    grid = federation(5)
    SecAgg(fedavg(), **CODEC).start(grid=grid, initial_arrays=bench.record(bench.model()), num_rounds=2)
    assert grid.round_trips == 4 + 3
    assert all(len(sessions(node)) == 1 for node in grid.nodes.values())


def test_a_node_may_do_without_early_keys_and_is_asked_for_keys_in_every_round(federation, bench, checked_round):
    strategy = SecAgg(fedavg(), **CODEC)
    grid = federation(5, lambda own: {"secagg-early-keys": False} if own == 2 else {})
    watched, arrays = Watched(grid, bench.asked), bench.record(bench.model())
    for number in (1, 2):
        watched.begin()
        arrays = checked_round(strategy, grid, number, arrays)
    assert (grid.round_trips, watched.asked_for_keys()) == (4, {102})
    assert len(sessions(grid.nodes[102])) == 1


@pytest.mark.parametrize("failure", [OSError("no space left on device"), StateError("moved on")])
def test_an_answer_leaves_whatever_becomes_of_the_keys_for_the_next_round(
    federation, bench, checked_round, monkeypatch, caplog, failure
):
    def fails(store, job, session):
        raise failure

    monkeypatch.setattr(SiteStore, "keep_ahead", fails)
    strategy, grid = SecAgg(fedavg(), **CODEC), federation(5)
    arrays = checked_round(strategy, grid, 1, bench.record(bench.model()))
    assert f"no keys for the next round: {failure}" in caplog.text
    checked_round(strategy, grid, 2, arrays)
    assert grid.round_trips == 8


def test_a_round_number_without_a_next_one_costs_no_answer(federation, bench, checked_round, monkeypatch):
    monkeypatch.setattr(ledger, "LARGEST_JUMP", 1 << 63)  # as if all rounds before it had been answered
    checked_round(SecAgg(fedavg(), **CODEC), federation(5), (1 << 63) - 1, bench.record(bench.model()))


def test_keys_for_the_next_round_stand_beside_the_opening_and_nowhere_else(federation, bench, checked_round):
    strategy, grid = SecAgg(fedavg(), **CODEC), federation(5)
    checked_round(strategy, grid, 1, bench.record(bench.model()))
    kinds = [
        [Envelope.from_bytes(data, 1 << 24).kind for data in bench.answers(reply.content)] for reply in grid.replies
    ]
    beside = [["Unmasking", "AdvertiseKeys"]]
    assert [answer for answer in kinds if "AdvertiseKeys" in answer] == 5 * [["AdvertiseKeys"]] + 5 * beside


def test_the_last_message_twice_is_answered_once(federation, bench, checked_round):
    """Without a folder of its own a participant keeps no answers, and so gives none again."""
    strategy, grid = SecAgg(fedavg(), **CODEC), federation(5)
    deliver, again = grid.deliver, []

    def twice(message):
        reply = deliver(message)
        envelopes = bench.asked(message.content).envelopes
        if envelopes and Envelope.from_bytes(envelopes[0], 1 << 24).kind == "UnmaskRequest":
            again.append(deliver(message))
        return reply

    grid.deliver = twice
    arrays = checked_round(strategy, grid, 1, bench.record(bench.model()))
    assert [reply.has_error() for reply in again] == 5 * [True]
    grid.begin()
    grid.round_trips = 0
    checked_round(strategy, grid, 2, arrays)
    assert grid.round_trips == 3, "the early keys are still there"


def test_a_message_that_is_refused_ends_no_session(federation, bench, checked_round):
    """A server's rubbish about another round: this round's secrets and the next one's keys stay."""
    strategy, grid = SecAgg(fedavg(), **CODEC), federation(5)
    asked = []
    deliver = grid.deliver
    grid.deliver = lambda message: (asked.append(message), deliver(message))[1]
    arrays = checked_round(strategy, grid, 1, bench.record(bench.model()))
    before = sessions(grid.nodes[101])
    (last,) = [message for message in asked[-5:] if message.metadata.dst_node_id == 101]
    request = bench.asked(last.content)
    other = msgspec.structs.replace(request.proposal, round=99)
    for envelopes in ((b"junk",), request.envelopes):
        content = bench.asking(Request(other, request.participant, envelopes))
        assert deliver(flwr.app.Message(content, metadata=last.metadata)).has_error()
        assert sessions(grid.nodes[101]) == before
    grid.begin()
    grid.round_trips = 0
    checked_round(strategy, grid, 2, arrays)
    assert grid.round_trips == 3


def test_losses_that_are_seen_before_vectors_are_asked_for_end_one_round_and_not_the_training(
    federation, bench, checked_round
):
    """SecAgg+: more nodes lost their state than the graph may lose. Their early keys are in it, no shares of theirs."""
    strategy, grid = SecAgg(fedavg(), "secagg-plus", **CODEC), federation(60)
    everyone = range(101, 161)
    arrays = checked_round(strategy, grid, 1, bench.record(bench.model()), everyone)
    for node in range(101, 109):
        grid.nodes[node].state = b""
    skipped, _ = bench.one_round(strategy, grid, 2, arrays)
    assert skipped is None
    assert strategy.stopped is None
    checked_round(strategy, grid, 3, arrays, everyone)


def test_a_node_that_lost_its_state_misses_one_round(federation, bench, checked_round):
    strategy, grid = SecAgg(fedavg(), **CODEC), federation(5)
    watched = Watched(grid, bench.asked)
    arrays = checked_round(strategy, grid, 1, bench.record(bench.model()))
    grid.nodes[102].state = b""
    arrays = checked_round(strategy, grid, 2, arrays, (101, 103, 104, 105))
    watched.begin()
    checked_round(strategy, grid, 3, arrays)
    assert (grid.round_trips, watched.asked_for_keys()) == (4, {102})


def test_when_too_many_lost_their_state_the_round_is_skipped_and_the_next_one_asks_everybody(
    federation, bench, checked_round
):
    strategy, grid = SecAgg(fedavg(), **CODEC), federation(5)
    watched = Watched(grid, bench.asked)
    arrays = checked_round(strategy, grid, 1, bench.record(bench.model()))
    for node in (101, 102, 103):
        grid.nodes[node].state = b""
    skipped, _ = bench.one_round(strategy, grid, 2, arrays)
    assert skipped is None
    assert strategy.stopped is None, "nobody has answered for this model"
    watched.begin()
    checked_round(strategy, grid, 3, arrays)
    assert (grid.round_trips, watched.asked_for_keys()) == (4, set(EVERY_NODE))


def test_without_early_keys_every_round_takes_as_many_round_trips_as_the_first(federation, bench, checked_round):
    strategy, grid = SecAgg(fedavg(), early_keys=False, **CODEC), federation(5)
    watched, arrays = Watched(grid, bench.asked), bench.record(bench.model())
    for number in (1, 2):
        watched.begin()
        arrays = checked_round(strategy, grid, number, arrays)
        assert grid.round_trips == 4
        assert all(len(sessions(node)) == 1 for node in grid.nodes.values())


def test_two_models_under_early_keys_are_refused_before_the_vector(federation, bench):
    """One node is told another context than the rest: it is in another session, and its shares do not open there."""
    strategy, grid = SecAgg(fedavg(), **CODEC), federation(5)
    result, _ = bench.one_round(strategy, grid, 1)
    deliver = grid.deliver

    def lying(message):
        if message.metadata.dst_node_id == 103:
            request = bench.asked(message.content)
            proposal = msgspec.structs.replace(request.proposal, context_digest=b"\xee" * 32)
            others = {name: kept for name, kept in message.content.items() if not name.startswith("secagg")}
            content = bench.asking(
                Request(proposal, request.participant, request.envelopes), flwr.app.RecordDict(others)
            )
            message = flwr.app.Message(content, metadata=message.metadata)
        return deliver(message)

    grid.deliver = lying
    grid.begin()
    replies = len(grid.replies)
    averaged, _ = bench.one_round(strategy, grid, 2, result)
    assert averaged is not None
    expected, _ = bench.plain_average(fedavg(), (101, 102, 104, 105), 2, result)
    bench.assert_close(averaged, expected, 1e-3)
    sent = [
        Envelope.from_bytes(data, 1 << 24).kind
        for reply in grid.replies[replies:]
        if reply.metadata.src_node_id == 103 and not reply.has_error()
        for data in bench.answers(reply.content)
    ]
    assert "MaskedInput" not in sent
