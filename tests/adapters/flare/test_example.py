"""The example runs in FLARE's simulator, and its page shows what five hospitals learn."""

import re
import shutil
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

for package in ("torch", "sklearn"):
    pytest.importorskip(package, reason=f"{package} is not installed: pip install -c constraints.txt -e '.[train]'")

EXAMPLE = Path(__file__).parents[3] / "examples/flare-breast-cancer"
PAGE = (EXAMPLE / "README.md").read_text(encoding="utf-8")
CLIP, WEIGHT_MAX = 2.0, 128
LIMIT_S = 150


def moved_by(most):
    return f"by {most:.3g} within"


def replace_in(file, old, new):
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def test_the_example_trains_in_the_simulator(flare_engine, tmp_path):
    """Three hospitals for its five: each is a process that takes seconds to start."""
    folder = shutil.copytree(EXAMPLE, tmp_path / "example")
    replace_in(folder / "hospital.py", "HOSPITALS = 5", "HOSPITALS = 3")
    replace_in(folder / "job.py", "min_clients=HOSPITALS - 1", "min_clients=HOSPITALS")
    log = flare_engine.run(LIMIT_S, folder / "job.py")
    (line,) = re.findall(r"^INFO - (.*)", PAGE, re.MULTILINE)
    assert moved_by(CLIP * WEIGHT_MAX / 449) in line
    line = line.replace(moved_by(CLIP * WEIGHT_MAX / 449), moved_by(CLIP / 3))  # with more rows than WEIGHT_MAX each
    assert line.replace("5 sites", "3 sites") in log
    (right,) = re.findall(r"3 rounds, 3 hospitals: (\d+)% right on rows that nobody trained on", log)
    assert int(right) > 90


def test_the_page_shows_what_five_hospitals_learn():
    spec = spec_from_file_location("hospital", EXAMPLE / "hospital.py")
    assert spec is not None
    assert spec.loader is not None
    hospital = module_from_spec(spec)
    spec.loader.exec_module(hospital)
    sites = [hospital.rows_of(own) for own in range(1, hospital.HOSPITALS + 1)]
    total = sum(len(rows) for rows, _ in sites)
    assert total == 449
    model = hospital.Net()
    for _ in range(3):
        before, mean = model.state_dict(), {}
        for rows, outcomes in sites:
            own = hospital.Net()
            own.load_state_dict(before)
            hospital.train(own, rows, outcomes)
            for name, values in own.state_dict().items():
                mean[name] = mean.get(name, 0) + values * len(rows) / total
        model.load_state_dict(mean)
    rows, outcomes = hospital.rows_of(0)
    right = (model(rows).argmax(dim=1) == outcomes).float().mean()
    assert f"3 rounds, 5 hospitals: {right:.0%} right on rows that nobody trained on" in PAGE
