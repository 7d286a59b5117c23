"""What a recipe refuses when it is made, and what is in the job that it makes. Nothing is run."""

import json
from pathlib import Path

import pytest
from nvflare.app_common.aggregators.model_aggregator import ModelAggregator
from nvflare.client.config import ExchangeFormat
from nvflare.recipe.utils import set_per_site_config

from secagg.adapters.flare import NumpySecAggRecipe
from secagg_protocols import ParameterError

SCRIPT = str(Path(__file__).with_name("averaging") / "client.py")


class Sees(ModelAggregator):
    """An aggregator that wants every update."""

    def accept_model(self, model):
        raise NotImplementedError

    def aggregate_model(self):
        raise NotImplementedError

    def reset_stats(self):
        raise NotImplementedError


def recipe(**others):
    knobs = {"clip": 1.0, "weight_max": 64, "metrics": {"loss": (0.0, 2.0)}}
    given = {"name": "job", "model": [[1.0, 2.0]], "min_clients": 4, "train_script": SCRIPT, **knobs, **others}
    return NumpySecAggRecipe(**given)


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ({"min_clients": 2}, "2 sites are sampled, and a secure sum takes 3: raise min_clients"),
        ({"min_clients": 4, "threshold": 5}, "threshold=5"),
        ({"min_clients": 5, "adversary": "active", "threshold": 3}, "adversary='active' needs the server's identity"),
        ({"clip": 1e60}, "clip must be in"),
        ({"clips": 1.0}, "'clips' is no knob"),
        ({"scheme": "bonawits"}, "scheme='bonawits' is unknown"),
        ({"aggregator": Sees()}, "aggregator does not fit secure sums"),
        ({"aggregation_weights": {"site-1": 2.0}}, "aggregation_weights does not fit secure sums"),
        ({"exclude_vars": "bias"}, "exclude_vars does not fit secure sums"),
        ({"server_expected_format": ExchangeFormat.PYTORCH}, "server_expected_format does not fit secure sums"),
        ({"stop_cond": "accuracy >= 0.9"}, "stop_cond: 'accuracy' stays at the sites"),
        ({"parts": "server"}, "parts='server' is unknown; choose from job, site"),
        ({"grace": 0}, "grace=0 is no time"),
        ({"audit": "log.jsonl"}, "audit needs identity"),
        ({"identity": object(), "audit": "log.jsonl"}, "knobs travel as JSON"),
        ({"release_to": "participants", "scheme": "bfv"}, "keeps the sum from the server"),
        ({"dp_epsilon": 8.0}, "weight_max=64 beside dp_epsilon"),
    ],
)
def test_what_could_not_be_run_is_refused_when_the_recipe_is_made(others, reason):
    with pytest.raises(ParameterError, match=reason) as refused:
        recipe(**others)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("dtype", "fits"), [("float16", False), ("float32", True)])
def test_a_clip_that_fits_no_array_of_the_model_is_refused(dtype, fits):
    torch = pytest.importorskip(
        "torch", reason="PyTorch is not installed: pip install -c constraints.txt -e '.[train]'"
    )
    from secagg.adapters.flare import SecAggRecipe

    def make():
        net = torch.nn.Linear(2, 1, dtype=getattr(torch, dtype))
        SecAggRecipe(name="job", model=net, min_clients=4, train_script=SCRIPT, clip=1e5, weight_max=0)

    if fits:
        make()
    else:
        with pytest.raises(ParameterError, match="for array 'weight', which is float16"):
            make()


def exported(made, folder):
    made.export(str(folder))
    (client,) = folder.glob("**/config_fed_client.json")
    (server,) = folder.glob("**/config_fed_server.json")
    return json.loads(client.read_text()), json.loads(server.read_text())


def test_a_job_brings_our_parts_last_and_none_of_our_source(tmp_path):
    from nvflare.app_common.filters.percentile_privacy import PercentilePrivacy

    made = recipe(stop_cond="loss <= 0.1", patience=2, num_rounds=7, train_args="--rate 0.1")
    made.add_client_output_filter(PercentilePrivacy(gamma=0.5), tasks=["train"])
    client, server = exported(made, tmp_path)
    chains = {chain["tasks"][0]: [one["path"] for one in chain["filters"]] for chain in client["task_result_filters"]}
    ours = "secagg.adapters.flare.site.ResultFilter"
    assert chains["train"] == ["nvflare.app_common.filters.percentile_privacy.PercentilePrivacy", ours]
    assert chains["validate"] == chains["submit_model"] == [ours]
    assert {"id": "secagg_job", "path": "secagg.adapters.flare.site.Participant", "args": {}} in client["components"]
    (controller,) = server["workflows"]
    assert controller["path"] == "secagg.adapters.flare.controller.SecAggController"
    said = controller["args"]
    assert said["knobs"] == {"scheme": "bonawitz", "clip": 1.0, "weight_max": 64, "metrics": {"loss": [0.0, 2.0]}}
    assert (said["num_clients"], said["num_rounds"], said["stop_cond"], said["patience"]) == (4, 7, "loss <= 0.1", 2)
    assert {file.name for file in tmp_path.glob("**/*.py")} == {"client.py", "net.py"}, (
        "the script, and what it imports"
    )


def test_parts_at_the_sites_leave_the_clients_configuration_as_flares(tmp_path):
    client, _ = exported(recipe(parts="site"), tmp_path)
    assert "secagg" not in json.dumps(client)


def test_settings_of_a_site_are_flares_own(tmp_path):
    made = recipe(num_rounds=1)
    sites = {f"site-{own}": {"train_args": f"--own {own}"} for own in range(1, 5)}
    set_per_site_config(made, sites)
    made.export(str(tmp_path))
    for file in sorted(tmp_path.glob("**/config_fed_client.json")):
        held = file.read_text()
        assert "--own" in held
        assert "secagg.adapters.flare.site.ResultFilter" in held
