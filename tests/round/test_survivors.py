"""A site's own rule about whose vectors are in a sum with its own, asked before it signs or opens anything for them."""

from dataclasses import replace

import pytest

from secagg_protocols.errors import Declined

EVERYONE = (1, 2, 3, 4, 5)


class Rule:
    """Declines these survivors and agrees to all others, and keeps what it was asked."""

    def __init__(self, declined=()):
        self.declined = declined
        self.asked = []

    def __call__(self, proposal, survivors):
        self.asked.append((proposal.round, survivors))
        if survivors == self.declined:
            raise Declined(f"not with {survivors}")


@pytest.fixture
def ruled(federation, scheme_name, monkeypatch):
    """Make a federation, all sites of which have a rule."""

    def make(rule):
        parties = federation(scheme_name)
        plain = parties.site
        monkeypatch.setattr(parties, "site", lambda name: replace(plain(name), survivors=rule))
        return parties

    return make


def without_the_last(name, request, rnd):
    """The last site's vector never comes."""
    return None if name == "site-5" and rnd.uploads else request


def test_every_site_is_asked_about_the_survivors_that_come_out(ruled):
    rule = Rule()
    parties = ruled(rule)
    rnd = parties.run(parties.round(), way=without_the_last)
    if parties.scheme.tells_survivors:
        assert set(rule.asked) == {(1, rnd.output.survivors)}
        assert len(rule.asked) >= 4
    else:
        assert all(set(survivors) <= set(rnd.output.survivors) for _, survivors in rule.asked)


def test_nothing_is_opened_for_survivors_whom_the_sites_decline(ruled):
    parties = ruled(Rule(declined=EVERYONE))
    if not parties.scheme.tells_survivors:
        pytest.skip("each is told of its neighbours alone")
    rnd = parties.run(parties.round())
    assert rnd.output is None
    assert {str(refused.peer) for refused in rnd.refused} == set(parties.names)
    assert all("not with (1, 2, 3, 4, 5)" in refused.reason for refused in rnd.refused)
