"""What is asked of our own schemes and their errors alone."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from secagg.conformance.fixtures import disk as disk
from secagg.conformance.fixtures import make_round as make_round
from secagg.conformance.kept import Federation, check
from secagg.conformance.noise import with_noise
from secagg_he import Bfv, Ckks, ThresholdCkks
from secagg_protocols import (
    Bonawitz,
    LightSecAgg,
    ParameterError,
    Plain,
    RoundContext,
    RoundFailed,
    Step,
    WorkerLost,
    Workers,
)
from secagg_protocols.core.channels import ChannelKeys
from secagg_protocols.core.noise import NoiseShare
from secagg_protocols.core.party import HERE


def test_no_two_schemes_of_the_suite_share_an_id(make_round):
    made = [
        Plain(5, 7),
        Plain(5, 7, ciphersuite="p256"),
        Bonawitz(5, 7),
        Bonawitz(5, 7, ciphersuite="p256"),
        Bonawitz(5, 7, adversary="active"),
        Bonawitz(5, 7, adversary="active", ciphersuite="p256"),
        LightSecAgg(5, 7),
        ThresholdCkks(5, 7),
        ThresholdCkks(5, 7, adversary="active"),
        Bfv(5, 7),
        Bfv(5, 7, ciphersuite="p256"),
        Ckks(5, 7),
    ]
    assert len({scheme.id for scheme in made}) == len(made)


@pytest.mark.parametrize(
    "arguments",
    [
        ("", 1, bytes(32)),
        ("x" * 257, 1, bytes(32)),
        ("j", -1, bytes(32)),
        ("j", 1 << 63, bytes(32)),
        ("j", 1, bytes(31)),
    ],
    ids=["no job", "long job", "negative round", "huge round", "short digest"],
)
def test_an_unusable_context_is_refused(arguments):
    with pytest.raises(ParameterError):
        RoundContext(*arguments)


@pytest.mark.parametrize("planted", ["a layer stays", "none is kept", "a participant without noise"])
def test_the_suite_notices_noise_that_is_not_what_was_promised(make_round, monkeypatch, planted):
    scheme = with_noise(Bonawitz)(5, 20)
    share = scheme.noise_share
    wrong = {
        "a layer stays": ("take_off", lambda self, total, layers: None),
        "none is kept": ("kept", lambda self, dropouts: 0),
        "a participant without noise": (
            "add_to",
            lambda self, vector, top, base, layers: vector + np.uint64(share.bound),
        ),
    }
    running = make_round(scheme, drop={5: Step.MASKED_INPUT} if planted == "none is kept" else {})
    with monkeypatch.context() as patch:
        patch.setattr(NoiseShare, *wrong[planted])
        running.finish()
    with pytest.raises(AssertionError):
        running.check()


def test_channel_keys_are_not_in_their_repr():
    assert "the receiving key" not in repr(ChannelKeys(b"the sending key", b"the receiving key"))


def test_round_failed_says_step_have_and_need():
    error = RoundFailed("MaskedInput", 2, 5, "why", {3})
    assert (error.step, error.have, error.need, error.culprits) == ("MaskedInput", 2, 5, frozenset({3}))
    assert "2 of the 5" in str(error)
    assert "no sum" in str(error)


# --- servers that are kept on disk


def test_a_server_that_held_more_uploads_than_by_default_goes_on(make_round, tmp_path, monkeypatch, disk):
    """The refusal of an upload asks for more room; what was let in then must be let in again."""
    monkeypatch.setattr("secagg_protocols.core.server.HELD_BYTES", 1)
    monkeypatch.setattr("secagg_protocols.packing.blocks.BLOCK_BYTES", 64)
    federation = Federation(make_round(Bonawitz(3, 100, threshold=3)), tmp_path / "round", gone=None)
    server = federation.server()
    server.machine.held_bytes = 1 << 30
    outgoing = server.start()
    while server.machine.step is not Step.MASKED_INPUT:
        first = server.machine.step is Step.ADVERTISE_KEYS
        requests = [(who, None) for who in federation.running.clients] if first else []
        for who, request in requests + [(envelope.recipient, envelope) for envelope in outgoing]:
            for data in federation.answer(who, request):
                server.receive(data)
        outgoing = server.advance()
    blocks = [federation.answer(envelope.recipient, envelope) for envelope in outgoing]
    for sent in blocks:
        server.receive(sent[0])
    server.close()
    again = federation.server()
    assert again.machine.uploads_at_once == 1  # as it is made: nobody new is let in
    for sent in blocks:
        for data in sent[1:]:
            again.receive(data)
    for envelope in again.advance():
        for data in federation.answer(envelope.recipient, envelope):
            again.receive(data)
    again.advance()
    assert again.output.survivors == (1, 2, 3)


def test_a_journal_of_a_server_that_lost_a_worker_makes_that_server(make_round, tmp_path, disk):
    """What is drawn before a worker is lost is not drawn again when the call is made again."""
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    for number, scheme in enumerate((Bonawitz(4, 50, threshold=2), ThresholdCkks(4, 50, threshold=2))):
        federation = Federation(make_round(scheme), tmp_path / str(number))
        server = federation.server()
        server.machine.workers = Workers(pool)
        with pytest.raises(WorkerLost):
            federation.finish(server)
        server.machine.workers = HERE
        server.advance()
        server.close()
        check(federation, federation.server())
