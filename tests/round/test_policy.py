"""A site's own configuration: read from any mapping, and nothing in it is guessed."""

import json
from datetime import UTC, datetime

import pytest

from secagg.round import Proposal, Request, Site, SitePolicy, SiteStore
from secagg_protocols import Bonawitz, Identity, InputError, ParameterError, Policy, Roster, RoundContext

PROPOSAL = Proposal.of(Bonawitz(5, 100), RoundContext("job", 1, bytes(32)))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"secagg-adversary": "active"}, "active needs secagg-roster in the site's file"),
        ({"secagg-minimum-cohorts": 30}, "secagg-minimum-cohorts in the site's file is unknown"),
        ({"secagg-minimum-cohort": "30"}, "no integer"),
        ({"secagg-minimum-cohort": True}, "no integer"),
        ({"secagg-minimum-cohort": 1}, "give 2 or more"),
        ({"secagg-early-keys": "yes"}, "neither true nor false"),
        ({"secagg-schemes": 5}, "no text"),
        ({"secagg-schemes": "bonawits"}, "'bonawits' is unknown"),
        ({"secagg-adversary": "evil"}, "choose semi-honest or active"),
        ({"secagg-maximum-bits": 16.0}, "no integer"),
    ],
)
def test_a_configuration_that_cannot_hold_is_refused(config, reason):
    with pytest.raises(ParameterError, match=reason):
        SitePolicy.read(config)


def test_files_that_are_missing_are_named():
    with pytest.raises(InputError, match="does not exist"):
        SitePolicy.read({"secagg-roster": "/nowhere/roster.json"})


def test_other_keys_prefix_and_place_are_the_runtimes_business():
    """In a file of its own no prefix is needed; beside a runtime's own keys only those with the prefix are read."""
    policy = SitePolicy.read({"minimum-cohort": 4}, prefix="", where="secagg.json")
    assert policy.floor.minimum_cohort == 4
    with pytest.raises(ParameterError, match=r"minimum-cohorts in secagg\.json is unknown; the keys are adversary"):
        SitePolicy.read({"minimum-cohorts": 4}, prefix="", where="secagg.json")
    beside = SitePolicy.read({"partition-id": 3, "secagg-minimum-cohort": 4})
    assert beside.floor.minimum_cohort == 4
    with pytest.raises(ParameterError, match=r"is above maximum-length=10"):
        SitePolicy.read({"maximum-length": 10}, prefix="").accept(PROPOSAL)


def test_nothing_said_is_the_default():
    policy = SitePolicy.read({})
    assert policy == SitePolicy()
    assert "plain" not in policy.schemes
    assert policy.accept(PROPOSAL) == Bonawitz(5, 100)


@pytest.mark.parametrize(
    ("floor", "reason"),
    [
        (Policy(colluders=3), "threshold=3 is below 4"),
        (Policy(minimum_cohort=6), "asks for 6 participants"),
        (Policy(adversary="active"), "asks for an active adversary"),
        (Policy(maximum_participants=4), "above maximum_participants=4"),
    ],
)
def test_a_scheme_below_the_floor_is_not_accepted(floor, reason):
    with pytest.raises(ParameterError, match=reason):
        SitePolicy(floor=floor).accept(PROPOSAL)


def test_an_identity_that_is_not_in_the_roster_takes_no_part(tmp_path):
    own = [Identity.generate(f"party {count}") for count in range(5)]
    Roster.of("x25519", [one.public(count) for count, one in enumerate(own[:4])]).save(tmp_path / "roster")
    own[4].save(tmp_path / "identity")
    files = {name: str(tmp_path / name) for name in ("roster", "identity", "store")}
    policy = SitePolicy.read({"adversary": "active", **files}, prefix="")
    scheme = Bonawitz(3, 100, adversary="active")
    with pytest.raises(ParameterError, match="is no participant of this node's roster"):
        policy.participant(scheme, 2)


def test_the_servers_own_entry_is_no_participant(tmp_path):
    own = [Identity.generate(f"party {count}") for count in range(4)]
    roster = Roster.of("x25519", [one.public(count) for count, one in enumerate(own)])
    scheme = Bonawitz(3, 100, adversary="active")
    assert SitePolicy(roster=roster, identity=own[2]).participant(scheme, 1) == 2
    with pytest.raises(ParameterError, match="is no participant"):
        SitePolicy(roster=roster, identity=own[0]).participant(scheme, 1)


def test_a_roster_that_is_not_valid_now_is_refused(tmp_path):
    own = [Identity.generate(f"party {count}") for count in range(4)]
    limited = [one.public(count, not_after="2026-01-31T00:00:00+00:00") for count, one in enumerate(own)]
    policy = SitePolicy(roster=Roster.of("x25519", limited), identity=own[2], store=SiteStore(tmp_path / "store"))
    proposal = Proposal.of(Bonawitz(3, 100, adversary="active"), RoundContext("job", 1, bytes(32)))
    request = Request(proposal, 0, ()).to_bytes()
    valid = Site(policy, now=lambda: datetime(2026, 1, 1, tzinfo=UTC)).take(request)
    assert valid.seat.participant == 2
    late = Site(policy, now=lambda: datetime(2026, 3, 1, tzinfo=UTC)).take(request)
    assert late.reason.startswith("ParameterError: ")
    assert "renew it" in late.reason


def test_a_policy_from_json_is_the_same(tmp_path):
    file = tmp_path / "secagg.json"
    file.write_text(json.dumps({"minimum-cohort": 4, "schemes": "bonawitz, lightsecagg", "early-keys": False}))
    policy = SitePolicy.read(json.loads(file.read_text()), prefix="", where=str(file))
    assert policy.schemes == {"bonawitz", "lightsecagg"}
    assert not policy.early_keys


def test_a_policy_is_a_file_whose_paths_are_beside_it(tmp_path, monkeypatch):
    monkeypatch.delenv("SECAGG_GROUP_KEY", raising=False)
    file = tmp_path / "policy.json"
    assert SitePolicy.load(file).floor == SitePolicy().floor
    Identity.generate("own").save(tmp_path / "own.json")
    file.write_text(json.dumps({"identity": "own.json", "store": "store", "minimum-cohort": 4}))
    policy = SitePolicy.load(file)
    assert policy.identity.name == "own"
    assert policy.floor.minimum_cohort == 4
    policy.store.turn_to("job", "session")
    assert (tmp_path / "store").is_dir()
    (tmp_path / "group.key").write_text("none")
    with pytest.raises(InputError, match=r"group\.key"):
        SitePolicy.load(file)


@pytest.mark.parametrize("text", ["{", "[]", '{"roster": null}', '{"minimum-cohort": [4]}'])
def test_a_file_that_is_no_policy_is_refused_by_name(tmp_path, text):
    (tmp_path / "policy.json").write_text(text)
    with pytest.raises(ParameterError, match=r"policy\.json is no (JSON|object)"):
        SitePolicy.load(tmp_path / "policy.json")


def test_no_secret_is_in_a_policys_repr(tmp_path):
    identity = Identity.generate("own")
    identity.save(tmp_path / "identity")
    policy = SitePolicy.read({"identity": str(tmp_path / "identity"), "store": str(tmp_path / "store")}, prefix="")
    assert identity.signing_key.hex() not in repr(policy)
    assert repr(identity.signing_key) not in repr(policy)
