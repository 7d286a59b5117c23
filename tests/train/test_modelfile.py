"""A model that was written can be used by whoever has the file and nothing else."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score

from secagg.train import TrainConfig, read_model, run
from secagg.train.evaluate import held_out
from secagg.train.setup import make_setup
from secagg_protocols.errors import InputError, ParameterError


def config(**changes: Any) -> TrainConfig:
    return TrainConfig.of(
        **({"rounds": 1, "report": None, "epsilon": None, "institutions": 4, "dropouts": 0} | changes)
    )


@pytest.mark.parametrize(("model", "suffix"), [("logistic", ".npz"), ("mlp", ".safetensors")])
def test_a_model_that_is_read_again_has_the_score_of_the_report(tmp_path: Path, model: str, suffix: str) -> None:
    asked = config(model=model, hidden=3, model_out=tmp_path / f"model{suffix}")
    result = run(asked)
    assert result.model == str(tmp_path / f"model{suffix}")
    setup = make_setup(asked)
    x, y = held_out(setup.data, setup.silos)
    read = read_model(tmp_path / f"model{suffix}")
    assert result.secure is not None
    assert roc_auc_score(y, read.probabilities(x)) == result.secure.auc
    assert read.card["classes"] == ["benign", "malignant"]
    with pytest.raises(InputError, match="takes \\(rows, 30\\)"):
        read.probabilities(x[:, 1:])


def test_the_card_says_all_that_its_use_needs(tmp_path: Path) -> None:
    """With numpy alone, from the raw table to a probability."""
    asked = config(model_out=tmp_path / "model.npz")
    result = run(asked)
    with np.load(tmp_path / "model.npz", allow_pickle=False) as file:
        card = json.loads(str(file["card"]))
        weight, bias = file["0.weight"], file["0.bias"]
    bunch = load_breast_cancer()
    raw = dict(zip(bunch.feature_names, bunch.data.T, strict=True))
    columns = [
        np.clip(2 * (raw[name] - low) / (high - low) - 1, -1, 1) for name, (low, high) in card["columns"].items()
    ]
    assert list(card["columns"]) == card["features"]
    z = weight @ columns + bias
    test = np.concatenate([silo.test for silo in make_setup(asked).silos])
    malignant = bunch.target[test] == 0
    assert result.secure is not None
    assert roc_auc_score(malignant, z[0, test]) == pytest.approx(result.secure.auc, abs=1e-12)


def test_categories_are_in_the_card(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [f"{'abcd'[i % 4]},{rng.normal(60, 10):.1f},{rng.choice(['yes', 'no'])},{i % 2}" for i in range(60)]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["clinic,age,smoker,ill", *rows]), encoding="utf-8")
    schema = tmp_path / "schema.json"
    schema.write_text('{"age": [20, 95], "smoker": ["no", "yes"]}', encoding="utf-8")
    out = tmp_path / "model.safetensors"
    columns = {"csv": table, "target": "ill", "site_column": "clinic", "schema": schema}
    run(config(institutions=None, slow_sites=0, model_out=out, **columns))
    card = read_model(out).card
    assert card["columns"] == {"age": [20, 95], "smoker": ["no", "yes"]}
    assert card["features"] == ["age", "smoker=no", "smoker=yes"]


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.npz"
    np.savez(other, weights=np.zeros(3))
    text = tmp_path / "text.safetensors"
    text.write_text("no model", encoding="utf-8")
    for file in (other, text):
        with pytest.raises(InputError, match="is no model that"):
            read_model(file)
    with pytest.raises(InputError, match="check the path"):
        read_model(tmp_path / "nowhere.npz")


def test_a_file_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"end its name in \.npz or \.safetensors"):
        config(model_out=tmp_path / "model.pickle")
    with pytest.raises(InputError, match="cannot write the model to"):
        run(config(model_out=tmp_path / "nowhere" / "model.npz"))
