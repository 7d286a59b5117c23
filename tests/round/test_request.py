"""Requests and answers as bytes: one encoding, views instead of copies, nothing that either side trips on."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secagg.round import Answers, Proposal, Request
from secagg.round.request import MAX_ENVELOPES, one_line
from secagg_protocols import Bonawitz, ParameterError, RoundContext, WireError

CONTEXT = RoundContext("job", 3, bytes(range(32)))
SCHEME = Bonawitz(5, 100)
LIMIT = 1 << 20

proposals = st.builds(
    Proposal,
    scheme=st.text(min_size=1, max_size=20),
    participants=st.integers(1, 65535),
    length=st.integers(1, 1 << 40),
    parameters=st.dictionaries(
        st.text(min_size=1, max_size=10),
        st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    ).map(lambda given: dict(sorted(given.items()))),
    job=st.text(min_size=1, max_size=20),
    round=st.integers(0, 2**63 - 1),
    context_digest=st.binary(min_size=32, max_size=32),
    terms=st.binary(max_size=100),
    bound=st.sets(st.text(min_size=1, max_size=5), max_size=3).map(lambda names: tuple(sorted(names))),
    ahead=st.booleans(),
)


@given(proposals, st.integers(0, 2**32 - 1), st.lists(st.binary(max_size=50), max_size=4))
def test_a_request_comes_back_as_it_was(proposal, participant, envelopes):
    request = Request(proposal, participant, envelopes)
    back = Request.from_bytes(request.to_bytes())
    assert (back.proposal, back.participant, [bytes(item) for item in back.envelopes]) == (
        proposal,
        participant,
        envelopes,
    )
    assert Request(back.proposal, back.participant, back.envelopes).to_bytes() == request.to_bytes()


@given(st.lists(st.binary(max_size=50), max_size=4), st.text(max_size=50))
def test_answers_come_back_as_they_were_but_for_what_a_log_cannot_hold(envelopes, refusal):
    back = Answers.from_bytes(Answers(envelopes, refusal).to_bytes(), LIMIT)
    assert [bytes(item) for item in back.envelopes] == envelopes
    assert back.refusal == one_line(refusal)


@given(st.binary(max_size=200), st.booleans())
def test_whatever_comes_is_read_or_refused(data, headed):
    for head, read in (
        (b"secagg?\x01", Request.from_bytes),
        (b"secagg!\x01", lambda got: Answers.from_bytes(got, LIMIT)),
    ):
        try:
            read(head + data if headed else data)
        except WireError as refused:
            assert "\n" not in str(refused)


@given(proposals, st.data())
def test_a_request_has_one_encoding(proposal, data):
    """A changed byte is refused, or it says something else."""
    encoded = bytearray(Request(proposal, 1, [b"an envelope"]).to_bytes())
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        other = Request.from_bytes(bytes(encoded))
    except WireError:
        return
    assert other.to_bytes() == bytes(encoded)


def test_lengths_that_lie_allocate_nothing():
    """Eight bytes that claim a terabyte, or a billion parts."""
    for count, length in ((1, 1 << 40), (1 << 30, 1), (MAX_ENVELOPES + 2, 0), (2, 1 << 63)):
        data = b"secagg!\x01" + count.to_bytes(8, "big") + length.to_bytes(8, "big") * min(count, 2)
        tracemalloc.start()
        with pytest.raises(WireError):
            Answers.from_bytes(data, LIMIT)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1 << 16


def test_parts_are_views_of_bytes_and_copies_of_what_may_change():
    data = Answers([b"x" * 1000]).to_bytes()
    assert Answers.from_bytes(data, LIMIT).envelopes[0].obj is data
    buffer = bytearray(data)
    held = Answers.from_bytes(memoryview(buffer), LIMIT)
    buffer[-1] = 0
    assert bytes(held.envelopes[0]) == b"x" * 1000


def test_a_scheme_and_its_proposal_are_equal_again():
    proposal = Proposal.of(SCHEME, CONTEXT, bound=["run-config", "code"])
    again = Bonawitz(proposal.participants, proposal.length, **proposal.parameters)
    assert again.id == SCHEME.id
    assert proposal.context == CONTEXT
    assert proposal.bound == ("code", "run-config")


@pytest.mark.parametrize(
    "fault",
    [
        {"scheme": ""},
        {"scheme": "x" * 65},
        {"participants": 0},
        {"participants": 65536},
        {"length": 0},
        {"parameters": {"b": 1, "a": 1}},
        {"parameters": {str(1000 + count): 1 for count in range(65)}},
        {"parameters": {"clip": float("nan")}},
        {"parameters": {"clip": float("inf")}},
        {"parameters": {"suite": "x" * 257}},
        {"job": ""},
        {"round": -1},
        {"context_digest": b""},
        {"context_digest": bytes(31)},
        {"bound": ("b", "a")},
        {"bound": ("a", "a")},
    ],
    ids=str,
)
def test_a_proposal_that_cannot_be_is_refused_when_it_is_made_and_when_it_is_read(fault):
    said = {name: getattr(Proposal.of(SCHEME, CONTEXT), name) for name in Proposal.__struct_fields__}
    with pytest.raises(ParameterError):
        Proposal(**{**said, **fault})
    request = Request(_unchecked(**{**said, **fault}), 1, ()).to_bytes()
    with pytest.raises(WireError):
        Request.from_bytes(request)


def _unchecked(**values):
    """A proposal as somebody encodes it who does not check it."""

    class Anything(Proposal, frozen=True):
        def __post_init__(self):
            pass

    return Anything(**values)
