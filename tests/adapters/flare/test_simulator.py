"""FLARE's simulator and a PyTorch script: what each round gives is plain federated averaging's over its survivors."""

import json
import shutil
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install -c constraints.txt -e '.[train]'")

from secagg.codec import MeanCodec  # noqa: E402
from secagg.round import audit  # noqa: E402
from secagg.round.updates import layout_of_model  # noqa: E402
from secagg_protocols import Identity  # noqa: E402

APP = Path(__file__).parent / "averaging"
SITES = range(1, 5)
SLOW, FAILS = 2, 3
TOLERANCE = 1e-6  # float32 arithmetic of both averages


@pytest.fixture
def net():
    spec = spec_from_file_location("net", APP / "net.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(flare_engine, tmp_path):
    """Run the job; return its log. Every party keeps an audit log, by one identity: the simulator copies `local`."""
    home, app = flare_engine.home, tmp_path / "app"
    shutil.copytree(APP, app)
    local = home / "ws" / "averaging" / "local" / "secagg"
    local.mkdir(parents=True)
    Identity.generate("all").save(local / "identity.json")
    policy = {"minimum-cohort": 2, "identity": "identity.json", "audit": "log.jsonl"}
    (local / "policy.json").write_text(json.dumps(policy))
    (home / "seen").mkdir()
    flare_engine.environment["PYTHONPATH"] = f"{app}:{flare_engine.environment['PYTHONPATH']}"
    return flare_engine.run(150, app / "job.py", str(home / "ws"), str(home / "seen"), folder=app)


def plain_average(net, model, survivors):
    """What federated averaging makes of a model, without the counter."""
    total = sum(map(net.weight_of, survivors))
    after = {own: net.trained(own, model) for own in survivors}
    return {
        name: sum(net.weight_of(own) / total * after[own][name].double() for own in survivors)
        for name, values in model.items()
        if values.is_floating_point()
    }


def logs_of(home):
    """The server's records, and each site's."""
    key = Identity.load(home / "ws/averaging/local/secagg/identity.json").public_key
    found = {
        path.relative_to(home / "ws/averaging").parts[0]: [line.record for line in audit.verify(path, key)]
        for path in sorted((home / "ws").glob("**/secagg/log.jsonl"))
    }
    sites = {name: records for name, records in found.items() if name.startswith("site-")}
    (server,) = (records for name, records in found.items() if name not in sites)
    return server, sites


def test_averages_with_one_site_slow_and_one_failing_are_those_of_the_survivors(run, flare_engine, net):
    seen = flare_engine.home / "seen"
    server, sites = logs_of(flare_engine.home)
    assert [record["round"] for record in server] == [0, 1, 2], run[-4000:]
    survivors = [record["survivors"] for record in server]
    assert SLOW not in survivors[0]
    assert survivors[1] == [1, 4], "one was still at it, and said so before keys were made; one failed"
    assert SLOW in survivors[2]
    assert FAILS not in survivors[2], "its script ended"
    (result,) = (flare_engine.home / "ws").glob("**/FL_global_model.pt")
    models = [torch.load(seen / f"received-{number}-1") for number in range(3)]
    models.append(torch.load(result)["model"])
    codec = MeanCodec(layout_of_model(net.Net()), clip=1.0, value_bits=20, weight_max=64, metrics={"loss": (0.0, 2.0)})
    for number, who in enumerate(survivors):
        expected = plain_average(net, models[number], who)
        bound = codec.error_bound(len(who), sum(map(net.weight_of, who))) + TOLERANCE
        off = {name: (models[number + 1][name].double() - values).abs().max() for name, values in expected.items()}
        assert max(off.values()) <= bound
        assert max(off.values()) > 0, "it is the secure sum that was rounded"
        assert models[number + 1]["normal.num_batches_tracked"] == 0, "the global model keeps its own"
    for number, record in enumerate(server):
        assert {name for name, records in sites.items() if contributed(records, number)} >= {
            f"site-{own}" for own in record["survivors"]
        }
    refusals = [reason for record in sites[f"site-{SLOW}"] for reason in record["refusals"]]
    assert any("still trains for round 0" in reason for reason in refusals)
    assert [later["model"] for later in server[1:]] == [earlier["model_after"] for earlier in server[:-1]]


def contributed(records, number):
    return any(record["contributed"] for record in records if record["round"] == number)
