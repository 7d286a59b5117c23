"""The example runs as its README says."""

import re
from pathlib import Path

import pytest

flwr = pytest.importorskip("flwr", reason="Flower is not installed: pip install -c constraints.txt -e '.[flower]'")
pytest.importorskip(
    "ray", reason="Flower's simulation engine is not installed: pip install -c constraints.txt -e '.[flower]'"
)
pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install -c constraints.txt -e '.[train]'")

EXAMPLE = Path(__file__).parents[3] / "examples/flower-breast-cancer"


def test_ten_hospitals_learn_to_classify(flower_engine):
    federation = "num-supernodes=10 client-resources-num-cpus=1"
    log = flower_engine.run_app(180, "--federation-config", federation, app=EXAMPLE)
    accuracies = [float(found) for found in re.findall(r"'accuracy': '?([0-9.e+-]+)", log)]
    losses = [float(found) for found in re.findall(r"'train-loss': ([0-9.e+-]+)\}", log)]
    assert len(losses) >= 5, log[-4000:]
    assert losses[4] < losses[0]
    assert max(accuracies) > 0.9
