"""The example learns as its README says, in memory: that Flower runs such an app is what the engine's tests show."""

import logging
import re
from pathlib import Path

import pytest

flwr = pytest.importorskip("flwr", reason="Flower is not installed: pip install -c constraints.txt -e '.[flower]'")
pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install -c constraints.txt -e '.[train]'")

from flwr.app import Context, RecordDict  # noqa: E402
from flwr.cli.config_utils import load_and_validate  # noqa: E402
from flwr.supercore.object_ref import load_app  # noqa: E402

EXAMPLE = Path(__file__).parents[3] / "examples/flower-breast-cancer"
HOSPITALS = 10


def test_ten_hospitals_learn_to_classify(federation, monkeypatch, caplog):
    monkeypatch.syspath_prepend(EXAMPLE)
    project, warnings = load_and_validate(EXAMPLE / "pyproject.toml")
    assert not warnings
    said = project["tool"]["flwr"]["app"]
    server, client = (load_app(said["components"][name], ValueError, EXAMPLE) for name in ("serverapp", "clientapp"))
    grid = federation(HOSPITALS, lambda own: {"partition-id": own - 1, "num-partitions": HOSPITALS}, client)
    for node in grid.nodes.values():
        node.run_config = said["config"]
    log = logging.getLogger("flwr")
    log.addHandler(caplog.handler)
    try:
        server(grid, Context(7, 1, {}, RecordDict(), said["config"]))
    finally:
        log.removeHandler(caplog.handler)
    accuracies = [float(found) for found in re.findall(r"'accuracy': '?([0-9.e+-]+)", caplog.text)]
    losses = [float(found) for found in re.findall(r"'train-loss': ([0-9.e+-]+)\}", caplog.text)]
    assert len(losses) >= 5, caplog.text[-4000:]
    assert losses[4] < losses[0]
    assert max(accuracies) > 0.9
