"""Every scheme, noise and group keys under FLARE: sites on FLARE's own job runners in memory."""

from importlib.util import find_spec

import numpy as np
import pytest

from secagg.round import CodecTerms, Settings
from secagg.round.updates import layout_of, mean_of
from secagg_protocols import Identity, Roster

MEAN = {"clip": 1.0, "weight_max": 100, "early_keys": False}
TOLERANCE = 1e-6
SCHEMES = {
    "bonawitz active": {"scheme": "bonawitz", "adversary": "active"},
    "secagg-plus": {"scheme": "secagg-plus", "neighbours": 3, "threshold": 2, "corrupt_rate": 0.0, "dropout_rate": 0.0},
    "lightsecagg": {"scheme": "lightsecagg"},
    "threshold-ckks": {"scheme": "threshold-ckks"},
    "bfv": {"scheme": "bfv"},
    "ckks": {"scheme": "ckks"},
}


@pytest.fixture
def consortium(memory, tmp_path):
    """knobs → a server of four sites, with the keys that its scheme takes, and the knobs of a round."""

    def make(knobs):
        local = [tmp_path / f"site-{own}" / "local" / "secagg" for own in range(1, 5)]
        for folder in local:
            folder.mkdir(parents=True)
        policy, more = {}, {}
        if knobs.get("adversary") == "active":
            identities = [Identity.generate(f"party {own}") for own in range(5)]
            roster = Roster.of("x25519", [one.public(own) for own, one in enumerate(identities)])
            more = {"identity": identities[0], "roster": roster}
            for folder, identity in zip(local, identities[1:], strict=True):
                identity.save(folder / "identity.json")
                roster.save(folder / "roster.json")
            policy = {"adversary": "active", "identity": "identity.json", "roster": "roster.json", "store": "store"}
        elif knobs["scheme"] in ("bfv", "ckks"):
            settings = Settings.of({**MEAN, **knobs})
            scheme = settings.make_scheme(4, settings.terms().codec(layout_of(memory.MODEL)))
            key, handle = scheme.make_group_key()
            for folder in local:
                key.save(folder / "group.key")
            more = {"group_key": handle}
        sites = {}
        for own, folder in enumerate(local, start=1):
            trainer = memory.Trainer(lambda arrays, own=own: memory.moved(arrays, 0.1 * own), 10 * own)
            site = memory.Site(folder.parents[1], trainer, policy)
            sites[site.name] = site
        return memory.Server(memory, sites), more

    return make


@pytest.mark.parametrize("name", sorted(SCHEMES))
def test_every_scheme_gives_the_weighted_mean(consortium, memory, name):
    knobs = SCHEMES[name]
    if knobs["scheme"] in ("bfv", "ckks") and not find_spec("tenseal"):
        pytest.skip("TenSEAL is not installed: pip install -c constraints.txt -e '.[he]'")
    server, more = consortium(knobs)
    rnd, task = server.round(**knobs, **more)
    output = server.run(rnd, {None: task})
    assert len(output.survivors) == 4, {name: site.audit for name, site in server.sites.items()}
    codec = codec_of(rnd, memory)
    mean = mean_of(output, codec)
    moved = sum(10 * own * 0.1 * own for own in range(1, 5)) / 100
    assert mean.weight == 100
    bound = codec.error_bound(4, 100) + TOLERANCE
    assert all(np.abs(values - moved).max() <= bound for values in mean.arrays.values())


def test_noise_under_the_sum_is_planned_for_the_sites_and_added_by_them(consortium, memory):
    server, _ = consortium({"scheme": "bonawitz"})
    rnd, task = server.round(dp_epsilon=8.0, dp_delta=1e-3, dp_rounds=2, dp_clip=1.0, clip=None, weight_max=None)
    assert rnd.server.scheme.noise is not None
    mean = mean_of(server.run(rnd, {None: task}), codec_of(rnd, memory))
    assert mean.weight is None, "all weigh the same"
    assert len(set(np.ravel(mean.arrays["weight"]))) > 1, "all of it was moved by the same, but for noise"


def codec_of(rnd, memory):
    return CodecTerms.from_bytes(rnd.proposal.terms).codec(layout_of(memory.MODEL))
