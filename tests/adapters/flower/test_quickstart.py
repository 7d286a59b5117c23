"""An app in the layout of Flower's quickstart, and the lines of docs/flower.md as they stand there: nothing else."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

flwr = pytest.importorskip("flwr", reason="Flower is not installed: pip install -c constraints.txt -e '.[flower]'")
pytest.importorskip(
    "ray", reason="Flower's simulation engine is not installed: pip install -c constraints.txt -e '.[flower]'"
)

HERE = Path(__file__).parent
DOCS = HERE.parents[2] / "docs/flower.md"


def documented(module: str) -> tuple[str, str]:
    """The line to import and the line to use that docs/flower.md gives for a module."""
    (block,) = re.findall(rf"```python\n# {module}\n(.*?)```", DOCS.read_text(), re.DOTALL)
    imported, used = (line for line in block.splitlines() if line)
    return imported, used


def with_lines(module: str, text: str) -> str:
    """A module of the app, with its two lines: the second one replaces its like, or follows what it wraps."""
    imported, used = documented(module)
    name = used.partition(" = ")[0]
    (line,) = re.findall(rf"^ *{name} = .*$", text, re.MULTILINE)
    indent = line[: len(line) - len(line.lstrip())]
    wraps = f"({name}," in used
    changed = text.replace(line, f"{line}\n{indent}{used}" if wraps else used)
    return changed.replace("\nfrom flwr.app", f"\n{imported}\nfrom flwr.app", 1)


@pytest.fixture
def app(tmp_path):
    where = tmp_path / "app"
    shutil.copytree(HERE / "quickstart", where)
    for module in ("client_app.py", "server_app.py"):
        path = where / "quickstart" / module
        path.write_text(with_lines(module, path.read_text()))
    return where


def plain_federated_averaging(task, rounds: int, partitions: int) -> dict[str, np.ndarray]:
    model = task.initial_model()
    for _ in range(rounds):
        total = 0
        means = dict.fromkeys(model, 0.0)
        for partition in range(partitions):
            trained = {name: values.copy() for name, values in model.items()}
            batches, _ = task.load_data(partition, partitions, 32)
            task.train(trained, batches, 1, 0.07)
            rows = sum(len(x) for x, _ in batches)
            total += rows
            means = {name: mean + rows * trained[name] for name, mean in means.items()}
        model = {name: (mean / total).astype(np.float32) for name, mean in means.items()}
    return model


def test_ten_supernodes_train_as_without_secure_aggregation(flower_engine, app, tmp_path, quickstart_task):
    log = flower_engine.simulate(10, app=app)
    (saved,) = [*tmp_path.rglob("final_model.npz")] or [pytest.fail(log[-4000:])]
    held = np.load(saved)
    for name, values in plain_federated_averaging(quickstart_task, 3, 10).items():
        assert np.abs(held[name] - values).max() < 1e-4
        assert np.abs(held[name]).max() > 0.3
    losses = [float(found) for found in re.findall(r"MetricRecord: \{'train_loss': ([0-9.e-]+)\}", log)]
    assert len(losses) == 3, log[-4000:]
    assert losses[2] < losses[0] / 2
    assert len(re.findall(r"MetricRecord: \{'eval_loss'", log)) == 3
    assert "stay at the nodes" not in log
