"""What one hostile proposal can make a node derive, compute and hold. Nothing is timed: work and memory are counted."""

import tracemalloc
from itertools import product

import pytest

from secagg_protocols import Participant

flwr = pytest.importorskip("flwr", reason="Flower is not installed: pip install -c constraints.txt -e '.[flower]'")

from flwr.app import Message  # noqa: E402

from secagg.codec import MeanTerms  # noqa: E402
from secagg.round import CodecTerms, Proposal, Request, SitePolicy  # noqa: E402
from secagg.round.limits import Limits  # noqa: E402
from secagg.schemes import SCHEMES  # noqa: E402
from secagg_protocols import ParameterError, RoundContext, SecAggPlus  # noqa: E402
from secagg_protocols.dealing import Dealing  # noqa: E402

CONTEXT = RoundContext("job", 1, bytes(32))
MIB = 1 << 20


def proposal(scheme="bonawitz", participants=5, length=10, **parameters) -> Proposal:
    terms = CodecTerms.of(MeanTerms(1.0, 16, 100, {}), "num-examples").to_bytes()
    parameters = dict(sorted(parameters.items()))
    return Proposal(scheme, participants, length, parameters, "flower run 7", 1, bytes(32), terms, (), True)


@pytest.mark.parametrize(
    ("asked", "config", "named"),
    [
        (proposal(participants=10_001), {}, "participants=10001 is above secagg-maximum-participants=10000"),
        (proposal(participants=60), {"secagg-maximum-participants": 50}, "maximum-participants=50"),
        (proposal("secagg-plus", 65_535, 4, corrupt_rate=0.5, dropout_rate=0.45), {}, "maximum-participants=10000"),
        (proposal(length=(1 << 28) + 1), {}, "secagg-maximum-length=268435456"),
        (proposal(participants=10_000, length=1 << 23), {}, "work=83886080000 is above secagg-maximum-work"),
        (proposal("threshold-ckks", 10_000, 4, packing=1), {}, "secagg-maximum-work"),
        (proposal("lightsecagg", 100, 4 * 10**6, threshold=90, colluders=87), {}, "secagg-maximum-dealt=268435456"),
    ],
)
def test_a_proposal_that_costs_too_much_is_refused_by_the_knob_that_would_allow_it(
    federation, bench, asked, config, named
):
    grid = federation(1, config)
    reply = grid.deliver(Message(bench.asking(Request(asked, 1, ())), 101, "train"))
    assert reply.has_error()
    assert named in reply.error.reason
    assert reply.error.reason.endswith("raise it in its node_config")


@pytest.mark.parametrize("scheme", sorted(SCHEMES.keys() - {"plain"}))
def test_its_numbers_are_checked_before_its_scheme_is_made(scheme):
    """These parameters fit no scheme: whoever complains of them has begun to make one."""
    for asked in (proposal(scheme, 10_001, nonsense=1), proposal(scheme, 5, 1 << 40, nonsense=1)):
        with pytest.raises(ParameterError, match="secagg-maximum-"):
            SitePolicy.read({}).accept(asked)
    with pytest.raises(ParameterError, match="nonsense"):
        SitePolicy.read({}).accept(proposal(scheme, 5, nonsense=1))


def grid_of(scheme: str):
    """Numbers from the smallest to the largest that a node lets pass, in every way to make them expensive."""
    extremes = {
        "bonawitz": [{}, {"threshold": 1}],
        "secagg-plus": [
            {},
            {"corrupt_rate": 0.5, "dropout_rate": 0.45},
            {"corrupt_rate": 0.0001, "dropout_rate": 0.9998, "sigma": 128, "eta": 128},
            {"neighbours": 598, "threshold": 300, "corrupt_rate": 0.4, "dropout_rate": 0.4},
        ],
        "lightsecagg": [{}, {"threshold": 2}, {"colluders": 4, "threshold": 5}],
        "threshold-ckks": [{}, {"packing": 1}, {"value_bits": 32}],
        "bfv": [{}, {"releases": 1 << 32, "flooding_bits": 128}],
        "ckks": [{}, {"releases": 1 << 32, "flooding_bits": 128, "raw_precision": 1}],
    }
    yield from (
        proposal(scheme, participants, length, **parameters)
        for participants, length, parameters in product((3, 10, 599, 600), (1, 1 << 20), extremes[scheme])
    )


@pytest.mark.parametrize("scheme", sorted(SCHEMES.keys() - {"plain"}))
def test_whatever_a_node_accepts_costs_it_no_more_memory_than_its_own_knobs_say(scheme):
    """Small knobs, so that all of the grid can be run up to them: the bound is in the knobs' own terms."""
    limits = {"participants": 600, "length": 1 << 20, "dealt": 8 * MIB, "work": 1 << 30}
    node = SitePolicy.read({f"secagg-maximum-{name}": value for name, value in limits.items()})
    accepted = 0
    for asked in grid_of(scheme):
        tracemalloc.start()
        try:
            made = node.accept(asked)
        except ParameterError:
            pass
        else:
            accepted += 1
            if isinstance(made, Dealing):
                start_and_deal(made, node)
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        # A share in the making: 8 bytes for 2 on the wire, and a few of these; a table of powers is 8 bytes an entry.
        assert peak < 8 * limits["dealt"] + 8 * limits["participants"] ** 2 + 32 * MIB, (asked, peak)
    assert accepted > 3


def start_and_deal(scheme, node) -> None:
    """What a participant does before it is sent any model: the server needs no more than to answer its keys."""
    client = scheme.client(1, CONTEXT, Participant(policy=node.floor))
    client.start()
    client._memory.session = bytes(32)
    circle = scheme.degree + 1 if isinstance(scheme, SecAggPlus) else scheme.participants
    dealt, limits = client._deal(range(1, circle + 1))[1], node.limits
    assert sum(map(len, dealt.values())) <= limits.dealt


def test_the_defaults_let_documented_sizes_pass():
    node = SitePolicy.read({})
    assert node.limits == Limits()
    node.accept(proposal("bonawitz", 1000, 10_000_000))
    node.accept(proposal("bonawitz", 100, 100_000_000))
    node.accept(proposal("secagg-plus", 10_000, 1_000_000))
    node.accept(proposal("lightsecagg", 100, 10_000_000, colluders=33))
    node.accept(proposal("threshold-ckks", 1000, 1_000_000))
