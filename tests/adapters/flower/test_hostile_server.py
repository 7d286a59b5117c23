"""A ServerApp that departs from the protocol: what it tries is refused on the participant's side, by name.

The attacker here holds everything the server holds: it makes the messages itself, or changes honest ones on their way.
"""

import numpy as np
import pytest

flwr = pytest.importorskip("flwr", reason="Flower is not installed: pip install -c constraints.txt -e '.[flower]'")

import msgspec  # noqa: E402
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict  # noqa: E402
from flwr.common.constant import ErrorCode  # noqa: E402
from flwr.serverapp.strategy import FedAvg  # noqa: E402

from secagg.adapters.flower import SecAgg, secagg_mod  # noqa: E402
from secagg.adapters.flower.records import LARGE, SMALL, read, write  # noqa: E402
from secagg.round import CodecTerms, Proposal, Request  # noqa: E402
from secagg_protocols import Envelope, Identity, Roster  # noqa: E402
from secagg_protocols.bonawitz.messages import UnmaskRequest  # noqa: E402
from secagg_protocols.core.wire import decode, encode  # noqa: E402

CODEC = {"clip": 8.0, "weight_max": 10_000}

LIMIT = 1 << 20


def fedavg():
    return FedAvg(min_train_nodes=1, min_available_nodes=1, fraction_evaluate=0.0)


def refusal(reply) -> str:
    """The reason of an error reply of the mod's own; fails when anything else came."""
    assert reply.has_error(), f"the node answered: {list(reply.content)}"
    assert reply.error.code == ErrorCode.MOD_FAILED_PRECONDITION
    return reply.error.reason


def train_message(bench, node=101, kind="train", content=None):
    content = RecordDict() if content is None else content
    content["arrays"] = bench.record(bench.model())
    content["config"] = ConfigRecord({"server-round": 1})
    return Message(content, node, kind)


class Intercept:
    """A LoopGrid whose messages an attacker may change: change(message) → message or None, seen: all of them."""

    def __init__(self, grid, change=lambda message: message):
        self.grid, self.change, self.seen, self.sent = grid, change, [], grid.send_and_receive
        grid.send_and_receive = self

    def __call__(self, messages, *, timeout=None):
        messages = [changed for message in messages if (changed := self.change(message)) is not None]
        self.seen += messages
        return self.sent(messages, timeout=timeout)


def request_of(message) -> Request:
    return Request.from_bytes(read(message.content))


def with_request(message, request: Request, **records):
    content = RecordDict({name: held for name, held in message.content.items() if name not in (SMALL, LARGE)})
    return Message(
        write(request.to_bytes(), RecordDict({**content, **records})),
        message.metadata.dst_node_id,
        message.metadata.message_type,
    )


@pytest.mark.parametrize("kind", ["train", "train.default", "train.other"])
def test_an_update_without_the_protocol_is_refused(federation, bench, kind):
    grid = federation(1)
    reply = grid.deliver(train_message(bench, kind=kind))
    assert refusal(reply).startswith("ProtocolViolation: a train message without a step of the protocol")
    assert not grid.nodes[101].has_trained


@pytest.mark.parametrize("fill", [{}, {"proposal": b"\x00", "participant": 1}, {"proposal": b"", "participant": "1"}])
def test_an_empty_or_malformed_step_is_refused(federation, bench, fill):
    grid = federation(1)
    reply = grid.deliver(train_message(bench, content=RecordDict({SMALL: ConfigRecord(fill)})))
    assert refusal(reply).startswith(("ProtocolViolation", "WireError"))
    assert not grid.nodes[101].has_trained


def proposal_for(bench, **changes) -> Proposal:
    """An honest proposal for five nodes, changed."""
    seen = {}

    class Catch(SecAgg):
        def _prepare(self, *arguments):
            pending = super()._prepare(*arguments)
            seen["proposal"] = pending.grid.round.proposal
            return pending

    class Nobody:
        nodes = range(101, 106)

        def get_node_ids(self):
            return list(self.nodes)

        def send_and_receive(self, messages, *, timeout=None):
            return []

    bench.one_round(Catch(fedavg(), **CODEC), Nobody())
    return msgspec.structs.replace(seen["proposal"], **changes)


@pytest.mark.parametrize(
    ("changes", "config", "reason"),
    [
        ({"participants": 1}, {}, "a secure sum needs at least 2"),
        ({"participants": 2, "parameters": {"threshold": 2}}, {}, "asks for 3 participants in a sum; the scheme has 2"),
        ({}, {"secagg-minimum-cohort": 6}, "asks for 6 participants in a sum; the scheme has 5"),
        ({}, {"secagg-colluders": 3}, "threshold=3 is below 4"),
        ({"scheme": "plain", "parameters": {}}, {}, "the server proposes 'plain'"),
        ({"scheme": "nonsense"}, {}, "the server proposes 'nonsense'"),
        ({}, {"secagg-schemes": "lightsecagg"}, "takes part in lightsecagg"),
        ({"parameters": {"value_bits": 24}}, {"secagg-maximum-bits": 16}, "above secagg-maximum-bits=16"),
        ({"length": 1 << 39}, {}, "above secagg-maximum-length"),
        ({"parameters": {"backdoor": 1}}, {}, "do not fit"),
        (
            {"scheme": "secagg-plus", "participants": 100, "parameters": {"sigma": 20}},
            {},
            "sigma=20 is below 40",
        ),
    ],
)
def test_a_proposal_below_the_nodes_own_floor_is_refused_before_anything_is_made(
    federation, bench, changes, config, reason
):
    grid = federation(1, config)
    request = Request(proposal_for(bench, **changes), 1, ())
    reply = grid.deliver(Message(bench.asking(request), 101, "train"))
    assert refusal(reply).startswith("ParameterError: ")
    assert reason in reply.error.reason


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"secagg-adversary": "active"}, "active needs secagg-roster in this node's node_config"),
        ({"secagg-minimum-cohorts": 30}, "secagg-minimum-cohorts in node_config is unknown"),
        ({"secagg-minimum-cohort": "30"}, "no integer"),
        ({"secagg-minimum-cohort": 1}, "give 2 or more"),
        ({"secagg-schemes": "bonawits"}, "'bonawits' is unknown"),
        ({"secagg-roster": "/nowhere/roster.json"}, "does not exist"),
    ],
)
def test_a_node_whose_own_configuration_cannot_hold_refuses_from_the_first_message(federation, bench, config, reason):
    grid = federation(1, config)
    reply = grid.deliver(Message(bench.asking(Request(proposal_for(bench), 1, ())), 101, "train"))
    assert reason in refusal(reply)


def node_that_asks_for_active(tmp_path) -> dict[str, str]:
    identities = [Identity.generate(f"party {own}") for own in range(4)]
    Roster.of("x25519", [identity.public(own) for own, identity in enumerate(identities)]).save(tmp_path / "roster")
    identities[2].save(tmp_path / "identity")
    config = {"secagg-adversary": "active", "secagg-store": str(tmp_path / "store")}
    return config | {f"secagg-{name}": str(tmp_path / name) for name in ("roster", "identity")}


def test_a_semi_honest_proposal_to_a_node_that_asks_for_active_is_refused(federation, bench, tmp_path):
    grid = federation(1, node_that_asks_for_active(tmp_path))
    reply = grid.deliver(Message(bench.asking(Request(proposal_for(bench), 1, ())), 101, "train"))
    assert "policy asks for an active adversary" in refusal(reply)


def test_a_cohort_of_one_by_declaring_the_others_gone_is_refused(federation, bench):
    """The server cuts everyone but the victim and one more out of the list of dealers' shares."""
    grid = federation(5)
    grid.begin(lambda node, count: node > 102 and count == 1)  # two are left: below the threshold of three
    result, _ = bench.one_round(SecAgg(fedavg(), **CODEC), grid)
    assert result is None
    assert not grid.nodes[101].has_trained


def test_two_different_models_are_refused(federation, bench):
    """One node gets another model than the one whose digest opened the round (Pasquini et al., CCS'22)."""
    grid = federation(5)

    def change(message):
        if message.metadata.dst_node_id != 103 or "arrays" not in message.content:
            return message
        other = bench.record({name: 0 * values for name, values in bench.model().items()})
        return with_request(message, request_of(message), arrays=other)

    Intercept(grid, change)
    result, _ = bench.one_round(SecAgg(fedavg(), **CODEC), grid)
    assert result is not None, "the others' round goes on"
    refused = [reply for reply in grid.replies if reply.has_error()]
    assert [reply.metadata.src_node_id for reply in refused] == [103]
    assert refusal(refused[0]).startswith("ProtocolViolation: the model and configuration are not those of the context")
    assert not grid.nodes[103].has_trained


def test_a_digest_of_its_own_for_one_node_ends_in_no_sum_for_it(federation, bench):
    """The server tells one node another digest from the start, so that its model fits: its keys are then of another
    context, and neither side accepts the other's."""
    grid = federation(5)
    zeros = {name: 0 * values for name, values in bench.model().items()}
    other = SecAgg(fedavg(), **CODEC)._prepare(
        1, list(fedavg().configure_train(1, bench.record(zeros), ConfigRecord(), grid)), grid
    )
    proposal = other.grid.round.proposal

    def change(message):
        if message.metadata.dst_node_id != 103:
            return message
        request = request_of(message)
        records = {"arrays": bench.record(zeros)} if "arrays" in message.content else {}
        return with_request(message, Request(proposal, request.participant, request.envelopes), **records)

    Intercept(grid, change)
    bench.one_round(SecAgg(fedavg(), **CODEC), grid)
    assert not grid.nodes[103].has_trained


@pytest.mark.parametrize("field", ["lr", "server-round"])
def test_another_configuration_is_refused(federation, bench, field):
    grid = federation(5)

    def change(message):
        if message.metadata.dst_node_id != 103 or "config" not in message.content:
            return message
        config = ConfigRecord({**message.content["config"], field: 99})
        return with_request(message, request_of(message), config=config)

    Intercept(grid, change)
    bench.one_round(SecAgg(fedavg(), **CODEC), grid)
    assert not grid.nodes[103].has_trained


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("stored", [False, True])
def test_a_repeat_with_one_site_fewer_is_refused_by_all_who_answered(federation, bench, tmp_path, number, stored):
    """The difference of the two sums would be the missing site's update. The repeat is a round of its own strategy
    object, under the same or the next number; with a store it may even be another run."""
    config = (lambda own: {"secagg-store": str(tmp_path / str(own))}) if stored else None
    grid = federation(5, config)
    result, _ = bench.one_round(SecAgg(fedavg(), **CODEC), grid, 1)
    assert result is not None
    if stored:
        for node in grid.nodes.values():
            node.state = b""  # another run: Flower gives it an empty state
    before = len(grid.replies)
    del grid.nodes[105]
    result, _ = bench.one_round(SecAgg(fedavg(), **CODEC), grid, number)
    assert result is None
    reasons = [reply.error.reason for reply in grid.replies[before:] if reply.has_error()]
    assert len(reasons) == 4
    expected = ("RepeatedContext", "StateError") if number == 1 else ("RepeatedContext",)
    assert all(reason.startswith(expected) for reason in reasons), reasons


def test_without_a_store_a_second_run_is_answered(federation, bench):
    """Why deployments need secagg-store. A second process that starts from the same state is the same case."""
    grid = federation(5)
    bench.one_round(SecAgg(fedavg(), **CODEC), grid, 1)
    for node in grid.nodes.values():
        node.state = b""
    del grid.nodes[105]
    result, _ = bench.one_round(SecAgg(fedavg(), **CODEC), grid, 1)
    assert result is not None


def test_both_shares_of_one_node_are_not_opened(federation, bench):
    """After an honest round the server asks everyone again, with node 105 declared gone: its mask keys, too, would
    open its masked input."""
    grid = federation(5)
    tap = Intercept(grid)
    bench.one_round(SecAgg(fedavg(), **CODEC), grid)
    for message in [message for message in tap.seen if message.metadata.dst_node_id != 105][-4:]:
        request = request_of(message)
        envelope = Envelope.from_bytes(request.envelopes[0], LIMIT)
        asked = decode(UnmaskRequest, envelope.payload, LIMIT)
        lie = msgspec.structs.replace(asked, survivors=tuple(own for own in asked.survivors if own != 5))
        forged = msgspec.structs.replace(envelope, payload=encode(lie))
        again = with_request(message, Request(request.proposal, request.participant, (forged.to_bytes(),)))
        assert refusal(grid.deliver(again)).startswith("StateError: ")


def test_any_message_sent_twice_is_refused(federation, bench):
    grid = federation(5)
    tap = Intercept(grid)
    bench.one_round(SecAgg(fedavg(), **CODEC), grid)
    for message in tap.seen:
        assert refusal(grid.deliver(message)).startswith("StateError: ")


def test_with_a_store_a_message_sent_twice_gets_the_same_bytes_or_a_refusal(federation, bench, tmp_path):
    grid = federation(5, lambda own: {"secagg-store": str(tmp_path / str(own))})
    tap = Intercept(grid)
    bench.one_round(SecAgg(fedavg(), **CODEC), grid)
    last = tap.seen[-5:]
    for message, first in zip(last, grid.replies[-5:], strict=True):
        again = grid.deliver(message)
        assert again.content[SMALL]["envelopes"] == first.content[SMALL]["envelopes"]


def test_a_step_of_another_round_is_refused(federation, bench):
    """The unmasking request of one round, under the proposal of the next."""
    grid = federation(5)
    tap = Intercept(grid)
    result, _ = bench.one_round(SecAgg(fedavg(), **CODEC), grid)
    old = tap.seen[-5]
    node = old.metadata.dst_node_id
    bench.one_round(SecAgg(fedavg(), **CODEC), grid, 2, result)
    assert refusal(grid.deliver(old)).startswith("StateError: ")
    current = request_of(next(message for message in reversed(tap.seen) if message.metadata.dst_node_id == node))
    mixed = Request(current.proposal, current.participant, request_of(old).envelopes)
    assert refusal(grid.deliver(with_request(old, mixed))).startswith(("StateError: ", "WireError: "))


def test_a_model_where_no_vector_is_due_is_refused_and_not_trained_on(federation, bench):
    grid = federation(5)

    def change(message):
        request = request_of(message)
        return message if request.envelopes else with_request(message, request, arrays=bench.record(bench.model()))

    Intercept(grid, change)
    bench.one_round(SecAgg(fedavg(), **CODEC), grid)
    assert {refusal(reply).partition(":")[0] for reply in grid.replies} <= {"StateError", "ProtocolViolation"}
    assert not any(node.has_trained for node in grid.nodes.values())


def test_an_array_of_pickles_is_refused(federation, bench):
    from flwr.app import Array

    grid = federation(5)
    evil = Array("object", (1,), "numpy.ndarray", b"\x80\x04cos\nsystem\n.")

    def change(message):
        if "arrays" not in message.content:
            return message
        return with_request(message, request_of(message), arrays=ArrayRecord({"weight": evil}))

    Intercept(grid, change)
    bench.one_round(SecAgg(fedavg(), **CODEC), grid)
    assert (
        sum("InputError: array 'weight' is no numpy array" in r.error.reason for r in grid.replies if r.has_error())
        == 5
    )


def test_what_the_server_gets_from_one_node_says_nothing_of_its_update(federation, bench):
    """Two federations that differ in one node's training give it bytes that cannot be told apart: masked, uniform."""
    grid = federation(5)
    tap = []
    sent = grid.deliver

    def deliver(message):
        reply = sent(message)
        tap.append(reply)
        return reply

    grid.deliver = deliver
    arrays = {"weight": np.zeros(100_000, dtype=np.float32)}
    bench.one_round(SecAgg(fedavg(), value_bits=16, **CODEC), grid, 1, bench.record(arrays))
    upload = next(reply for reply in tap if LARGE in reply.content)
    data = np.concatenate([array.numpy() for array in upload.content[LARGE].values()])
    counts = np.bincount(data[256:-256], minlength=256)
    assert counts.max() < 1.5 * counts.mean(), "an update of zeros must look like noise"


def nothing_is_asked(msg, context):
    raise AssertionError("the ClientApp was asked")


@pytest.mark.parametrize("kind", ["get_parameters", "reconnect"])
def test_any_other_message_type_reaches_nothing(kind):
    """The legacy API's get_parameters asks a client for its own model."""
    message = Message(RecordDict(), 101, "query")
    message.metadata.__dict__["_message_type"] = kind
    reply = secagg_mod(message, Context(7, 101, {}, RecordDict(), {}), nothing_is_asked)
    assert "neither train, evaluate nor query" in refusal(reply)


@pytest.mark.parametrize("kind", ["evaluate", "evaluate.other", "query"])
def test_a_node_that_does_not_trust_the_server_tells_nothing_of_a_model_of_its_choice(tmp_path, kind):
    """From the losses of many models follows a gradient. A node that trusts the server answers."""
    message = Message(RecordDict(), 101, kind)
    asks_for_active = Context(7, 101, node_that_asks_for_active(tmp_path), RecordDict(), {})
    assert "takes the server for one that may cheat" in refusal(secagg_mod(message, asks_for_active, nothing_is_asked))
    trusts = Context(7, 101, {}, RecordDict(), {})
    assert secagg_mod(message, trusts, lambda msg, context: "its loss") == "its loss"


def another_weight(message):
    request = request_of(message)
    terms = msgspec.structs.replace(CodecTerms.from_bytes(request.proposal.terms), weight_key="secret")
    proposal = msgspec.structs.replace(request.proposal, terms=terms.to_bytes())
    return with_request(message, Request(proposal, request.participant, request.envelopes))


def another_order(message):
    arrays = message.content["arrays"]
    turned = ArrayRecord({name: arrays[name] for name in reversed(list(arrays))})
    return with_request(message, request_of(message), arrays=turned)


def another_function(message):
    return Message(message.content, message.metadata.dst_node_id, "train.other")


def no_round_number(message):
    rest = {key: value for key, value in message.content["config"].items() if key != "server-round"}
    return with_request(message, request_of(message), config=ConfigRecord(rest))


def a_round_number_of_another_type(message):
    config = ConfigRecord({**message.content["config"], "server-round": 1.0})
    return with_request(message, request_of(message), config=config)


def a_number_beside_it(message):
    return with_request(message, request_of(message), extra=MetricRecord({"server-round": 99}))


@pytest.mark.parametrize(
    "other",
    [
        another_weight,
        another_order,
        another_function,
        no_round_number,
        a_round_number_of_another_type,
        a_number_beside_it,
    ],
)
def test_what_only_one_node_is_told_is_refused_there(federation, bench, other):
    """A weight from another metric would let one site outweigh all others in the sum; another order, function or
    configuration is another training."""
    grid = federation(5)

    def change(message):
        chosen = message.metadata.dst_node_id == 103 and "arrays" in message.content
        return other(message) if chosen else message

    Intercept(grid, change)
    result, _ = bench.one_round(SecAgg(fedavg(), **CODEC), grid)
    assert result is not None, "the others' round goes on"
    refused = [reply for reply in grid.replies if reply.has_error()]
    assert [reply.metadata.src_node_id for reply in refused] == [103]
    assert refusal(refused[0]).startswith(("ProtocolViolation", "InputError: 'config' says server-round"))
    assert not grid.nodes[103].has_trained


@pytest.mark.parametrize("bound", [True, False], ids=["bound", "not bound"])
def test_a_node_with_another_run_configuration_trains_by_none_of_it(federation, bench, bound):
    """A SuperLink that hands one node other epochs than the rest could make the sum that node's update."""
    seen = []

    def watching(msg, context, call_next):
        seen.append(dict(context.run_config))
        return call_next(msg, context)

    grid = federation(5, app=bench.train_app([secagg_mod, watching]))
    for number, node in enumerate(grid.nodes.values()):
        node.run_config = {"local-epochs": 0 if number else 7}
    common = {"local-epochs": 0}
    bench.one_round(SecAgg(fedavg(), run_config=common if bound else None, **CODEC), grid)
    assert seen == ([common] * 4 if bound else [{}] * 5)
