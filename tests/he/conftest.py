"""A driver for one round of Ckks or Bfv that stops where a test wants to look, cheat or drop somebody."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from secagg_he import Bfv, Ckks, GroupKey, seal
from secagg_he.single_key.params import SingleKey
from secagg_protocols import Aggregator, Envelope, Participant, Policy, RoundContext
from secagg_protocols.errors import MissingExtra

CONTEXT = RoundContext("he", 1, bytes(range(32)))


class SingleKeyRound:
    """One round. The group key is shared; `uploads` and `heard` keep what was sent, in order.

    participant, server: what clients and the server are made with besides.
    """

    def __init__(
        self,
        scheme: SingleKey,
        vectors: dict[int, np.ndarray] | None = None,
        *,
        key: GroupKey | None = None,
        context: RoundContext = CONTEXT,
        policy: Policy | None = None,
        participant: dict[str, object] | None = None,
        **server: object,
    ) -> None:
        self.scheme, self.vectors = scheme, vectors or random_vectors(scheme)
        self.key = key if key is not None else scheme.make_group_key()[0]
        self.server = scheme.server(context, Aggregator(standing=self.key.handle, **server))
        held = {"policy": policy or Policy(minimum_cohort=2), "standing": self.key, **(participant or {})}
        self.clients = {
            who: scheme.client(who, context, Participant(**held)) for who in range(1, scheme.participants + 1)
        }
        self.uploads: dict[int, list[Envelope]] = {}
        self.heard: dict[int, list[Envelope]] = {}
        self.server.start()
        for client in self.clients.values():
            client.start()

    def parse(self, envelope: Envelope) -> Envelope:
        """Return the envelope as it comes out of bytes."""
        return Envelope.from_bytes(envelope.to_bytes(), self.scheme.envelope_limit)

    def encrypt(self, without: tuple[int, ...] = ()) -> SingleKeyRound:
        """Let participants encrypt, and the server take and add."""
        for who, client in self.clients.items():
            if who not in without:
                self.uploads[who] = [self.parse(envelope) for envelope in client.contribute(self.vectors[who])]
                for envelope in self.uploads[who]:
                    self.server.receive(envelope)
        return self

    def request(self) -> SingleKeyRound:
        """Let the server ask for the release; what each participant is sent is in `heard`."""
        for envelope in self.server.advance():
            self.heard.setdefault(envelope.recipient, []).append(self.parse(envelope))
        return self

    def release(self, without: tuple[int, ...] = ()) -> SingleKeyRound:
        """Let participants answer, and the server finish."""
        for who, envelopes in self.heard.items():
            for envelope in envelopes if who not in without else ():
                for answer in self.clients[who].receive(envelope):
                    self.server.receive(self.parse(answer))
        self.server.advance()
        return self

    def run(self, without: tuple[int, ...] = ()) -> SingleKeyRound:
        """The whole round."""
        return self.encrypt(without).request().release()

    @property
    def errors(self) -> np.ndarray:
        """Differences from the plain sum over the survivors."""
        output = self.server.output
        assert output is not None
        plain = np.sum([self.vectors[who] for who in output.survivors], axis=0, dtype=np.int64)
        return output.total.astype(np.int64) - plain


def random_vectors(scheme: SingleKey) -> dict[int, np.ndarray]:
    generator = np.random.default_rng(1)
    return {
        who: generator.integers(0, 1 << scheme.value_bits, scheme.length, dtype=np.int64)
        for who in range(1, scheme.participants + 1)
    }


@pytest.fixture
def context() -> RoundContext:
    """The context of every round, unless a test gives another."""
    return CONTEXT


@pytest.fixture
def backend() -> None:
    """Skip without SEAL."""
    try:
        seal.require()
    except MissingExtra as missing:
        pytest.skip(str(missing))


@pytest.fixture(params=[Bfv, Ckks], ids=["bfv", "ckks"])
def make(request: pytest.FixtureRequest) -> Callable[..., SingleKey]:
    """Both schemes."""
    return request.param


@pytest.fixture
def make_round(backend: None) -> type[SingleKeyRound]:
    """The driver."""
    return SingleKeyRound
