"""Attacks on ThresholdCkks. The payoff is a participant's one-time key, and with it its vector; or a wrong sum.

`launch(scheme, hostile)` runs one round. `hostile`: party (0 the server) → {message kind: script}; a script takes
(attack, machine, the envelopes that the honest machine would send) and returns those that are sent instead.
"""

from collections import defaultdict

import numpy as np
import pytest

from secagg import RoundFailed, Simulation
from secagg_he.threshold import encoding, steps
from secagg_he.threshold.noise import DEGREE
from secagg_protocols import InsecureDeterministicRandomness
from secagg_protocols.dealing.steps import survivors_digest
from secagg_protocols.primitives import shamir
from secagg_protocols.primitives.field import GF65537


class Attack:
    """One round under attack. `run` never raises because the round failed: see `failure`. sent: (kind, who) → list."""

    def __init__(self, scheme, hostile=None, *, vectors=None, **options):
        self.scheme, self.hostile, self.failure = scheme, hostile or {}, None
        draw = np.random.default_rng(scheme.participants)
        self.vectors = vectors or {
            who: draw.integers(0, 1 << scheme.value_bits, scheme.length) for who in range(1, scheme.participants + 1)
        }
        self.sent, self.shares = defaultdict(list), {}
        misbehave = {party: self._script(party) for party in range(scheme.participants + 1)}
        self.round = Simulation(scheme, self.vectors, misbehave=misbehave, **options)
        self.server, self.clients = self.round.server, self.round.clients

    def _script(self, party):
        def misbehave(machine, envelopes):
            if not envelopes:
                return envelopes
            kind = envelopes[0].kind
            if party and kind == "Encrypt":
                self.shares[party] = dict(machine._memory.shares)
            script = self.hostile.get(party, {}).get(kind)
            envelopes = script(self, machine, envelopes) if script else envelopes
            for envelope in envelopes:
                self.sent[kind, envelope.sender or envelope.recipient].append(envelope)
            return envelopes

        return misbehave

    def run(self):
        try:
            self.round.run()
        except RoundFailed as failure:
            self.failure = failure
        return self

    def refused(self, party):
        """Return what a party refused."""
        return [refusal.error for refusal in self.round.refusals if refusal.party == party]

    def total_of(self, *who):
        return np.sum([self.vectors[one] for one in who], axis=0)

    def is_right(self, *who):
        """The sum came out, and is that of these participants."""
        assert self.failure is None
        assert self.server.output.survivors == who
        np.testing.assert_array_equal(self.server.output.total, self.total_of(*who))

    # --- what the server sees

    def opened(self, *holders, answer=0):
        """Return the key that follows from what these t holders opened."""
        sums = [self.server.open(self.sent["Opening", holder][answer]).share for holder in holders]
        return steps.key_sum(self.scheme, holders, np.stack([encoding.decode_share(self.scheme, one) for one in sums]))

    def key_from(self, victim, *holders):
        """Return the victim's key from shares that t holders were dealt."""
        dealt = [encoding.decode_share(self.scheme, self.shares[holder][victim]) for holder in holders]
        return steps.key_sum(self.scheme, holders, np.stack(dealt))

    def read(self, victim, key):
        """Return the victim's vector, if this is the key of its ciphertext; else None."""
        words = np.zeros(self.scheme.ciphertexts.words, dtype=np.uint64)
        (envelope,) = self.sent["Encrypt", victim]
        self.scheme.ciphertexts.add_bytes(words, self.server.open(envelope).words)
        found, errors = steps.decrypt(self.scheme, self.server._session, key, 0, words)
        if not steps.is_noise(self.scheme, 1, [errors]):
            return None
        lanes = self.scheme.plaintext.lanes
        return lanes.unpack(found[: lanes.words])

    def signatures(self, survivors):
        """Return the consistency signatures that came for exactly these survivors."""
        wanted = survivors_digest(self.server._session, survivors)
        signed = {who: self.sent["ConsistencyCheck", who] for who in survivors}
        return {
            who: found[0].signature
            for who, found in signed.items()
            if found and self.server.open(found[0]).survivors_digest == wanted
        }


@pytest.fixture
def make_attack():
    """Return `Attack`: made, not yet run."""
    return Attack


@pytest.fixture
def launch():
    """Return a callable that runs one round under attack."""
    return lambda *arguments, **options: Attack(*arguments, **options).run()


@pytest.fixture
def deal():
    """Return a callable that deals any key among all holders: shares, encoded, by holder from 1."""

    def shares(scheme, key, seed):
        columns, holders = scheme.share_elements, range(1, scheme.participants + 1)
        secrets = np.zeros((scheme.sharing.pieces, columns), dtype=np.int64)
        secrets.reshape(-1)[:DEGREE] = key % GF65537.prime
        noise = GF65537.uniform((scheme.sharing.privacy, columns), InsecureDeterministicRandomness(seed))
        dealt = scheme.sharing.deal(secrets, noise, holders).reshape(len(holders), -1, shamir.LIMBS)
        return [share.tobytes() for share in shamir.encode(dealt)]

    return shares


@pytest.fixture(params=["semi-honest", "active"])
def adversary(request):
    """Run the test in both variants."""
    return request.param
