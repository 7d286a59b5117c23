"""A scientist in concert with two of five owners: a third one is told that the first has dropped out, and the two sign
that as well as the truth."""

from hashlib import sha256

import msgspec
import pytest

from secagg.adapters.syft.job import Params, submit
from secagg.round import Answers, Request
from secagg.stats import Category, Count, Query
from secagg_protocols import Envelope, Identity
from secagg_protocols.bonawitz.messages import SurvivorList, UnmaskRequest
from secagg_protocols.core.wire import signed_bytes

QUERY = Query(columns={"sex": Category(("f", "m"))}, rows=100, statistics=(Count("sex"),))
LIARS = (4, 5)
TOLD = (2, 3, 4, 5)
"""The survivors, as the third owner hears."""


class Concert:
    """A run of five owners up to the lists of survivors, and what the third one is told in place of the truth."""

    def __init__(self, five, colluders):
        self.five = five
        self.third = five.names[2]
        self.run = five.submit(QUERY, minimum_owners=2, colluders=colluders)
        while self.run.status.step != "ConsistencyCheck":
            five.answer()
            self.run.step()
        with self.run._rounds().open() as rnd:
            rnd.begin()
            self.proposal, self.machine = rnd.proposal, rnd.server

    def request(self, kind, message):
        """The scientist's own request, well signed."""
        sealed = self.machine.seal(kind, 3, message).to_bytes()
        return Params(Request(self.proposal, 0, (sealed,)).to_bytes())

    def signed_by(self, party, envelope):
        """What a party in concert signs in the place of who sent an envelope."""
        identity = Identity.load(self.five.root / f"owner{party}@x.org.identity")
        own = msgspec.structs.replace(envelope, sender=party, signature=b"")
        return identity.sign(signed_bytes(own, sha256(own.payload).digest()))

    def tell_another_list(self):
        """Write it over the job that is on its way; return what the owner answered, signed."""
        client = self.five.do[self.third]
        client.sync()
        (job,) = (one for one in client.jobs if one.status == "pending")
        other = self.request("SurvivorList", SurvivorList(TOLD))
        (job.code_dir / "params.json").write_bytes(msgspec.json.encode(other))
        assert self.five.turn(self.third) == {job.name: "answered"}
        (answer,) = Answers.from_bytes((job.job_review_path / "outputs/answer.bin").read_bytes(), 1 << 16).envelopes
        return Envelope.from_bytes(answer, 1 << 16)


@pytest.mark.parametrize(
    ("counted", "outcome"),
    [(0, "answered"), (2, "rejected: ProtocolViolation: 3 survivors signed the survivor list; 4 are needed")],
)
def test_owners_that_sign_two_lists_open_nothing_where_they_are_counted_as_colluders(federation, counted, outcome):
    five = federation(5, adversary="active", minimum_cohort=2, keys={"colluders": counted})
    concert = Concert(five, counted)
    honest = concert.tell_another_list()
    signatures = {3: honest.signature, **{liar: concert.signed_by(liar, honest) for liar in LIARS}}
    asked = UnmaskRequest(TOLD, (1,), tuple(signatures), tuple(signatures.values()))
    submit(five.ds[concert.third], concert.third, "secagg-open", concert.request("UnmaskRequest", asked))
    assert five.turn(concert.third) == {"secagg-open": outcome}


def test_a_run_that_counts_fewer_colluders_than_an_owner_wants_is_rejected(federation):
    five = federation(5, adversary="active", keys={"colluders": 2})
    five.submit(QUERY)
    said = {reason for each in five.answer().values() for reason in each.values()}
    assert all("colluders" in reason for reason in said), said
