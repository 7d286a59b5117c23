"""A training script in a process of its own, where FLARE hands large arrays on as references."""

from pathlib import Path

import pytest

from secagg_bench.peers.flare_engine import bytes_sent

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install -c constraints.txt -e '.[train]'")

SITES = 3
LIMIT_S = 120


def test_a_million_values_are_averaged_and_cost_each_site_few_bytes(flare_engine):
    workspace = flare_engine.home / "simulation"
    flare_engine.run(LIMIT_S, Path(__file__).parent / "wide/job.py", str(workspace), str(SITES))
    (file,) = workspace.glob("wide/server/simulate_job/app_server/FL_global_model.pt")
    model = torch.load(file, weights_only=False)["model"]
    moved = 0.0001 * sum(site * site for site in range(1, SITES + 1)) / sum(range(1, SITES + 1))
    expected = 0.5 + moved * torch.arange(1000)
    assert (torch.as_tensor(model["wide"]) - expected).abs().max() < 1e-5
    assert int(model["seen"]) == 7, "a counter is no average: the global model keeps its own"
    assert bytes_sent(workspace / "wide") / SITES < 3_600_000
