"""A trained model as one file: its arrays, and a card that says what its inputs must look like. The suffix says which
format: numpy's .npz, or .safetensors.

The card is JSON: in a .npz file the array "card", a text; in a .safetensors file the metadata's entry "card".
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from secagg.codec import Layout
from secagg_protocols.errors import InputError

from .model import Model, Params
from .result import TrainResult
from .setup import Setup

FORMAT = "secagg-model-1"
CARD = "card"

ENCODING = (
    "One input per number of `columns`, in their order: 2·(v − low)/(high − low) − 1, cut to [−1, 1], and 0 where it "
    "is missing. One input per category of a text: 1 where it is this one, else 0. `features` names the inputs."
)
LOGITS = {
    "logistic": "z = 0.weight · x + 0.bias",
    "mlp": "z = 2.weight · tanh(0.weight · x + 0.bias) + 2.bias",
}


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A model that was read from its file. card: what stands in it."""

    params: Params = field(repr=False)
    card: Mapping[str, Any]

    def probabilities(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of the second class for each row of x (rows, features), encoded as the card says."""
        if x.ndim != 2 or x.shape[1] != len(self.card["features"]):
            raise InputError(f"inputs have shape {x.shape}; this model takes (rows, {len(self.card['features'])})")
        model = Model(self.card["model"], len(self.card["features"]), self.card["hidden"])
        probabilities: NDArray[np.float64] = 1 / (1 + np.exp(-model.scores(self.params, x)))
        return probabilities


def write_model(path: Path, params: Params, setup: Setup, result: TrainResult) -> None:
    """Write the model of a finished run. Raises: InputError when the file cannot be written."""
    card = json.dumps(_card(params, setup, result), ensure_ascii=False)
    written = _npz(params, card) if path.suffix.lower() == ".npz" else save(params, {CARD: card})
    try:
        path.write_bytes(written)
    except OSError as error:
        raise InputError(f"cannot write the model to {str(path)!r}: {error.strerror}; choose another file") from error


def _npz(params: Params, card: str) -> bytes:
    file = io.BytesIO()
    arrays: dict[str, Any] = {CARD: np.array(card), **params}
    np.savez(file, **arrays)
    return file.getvalue()


def read_model(path: Path) -> TrainedModel:
    """Read a model that `write_model` wrote. Raises: InputError for any other file."""
    try:
        arrays, text = _read_npz(path) if path.suffix.lower() == ".npz" else _read_safetensors(path)
        card = json.loads(text)
        layout = _layout(card["layout"])
        params = layout.unflatten(layout.flatten(arrays))
        version = card["format"]
    except OSError as error:
        raise InputError(f"cannot read the model {str(path)!r}: {error.strerror or error}; check the path") from error
    except (KeyError, TypeError, ValueError, zipfile.BadZipFile, SafetensorError, InputError) as error:
        raise InputError(f"{str(path)!r} is no model that `secagg train --model-out` wrote: {error}") from error
    if version != FORMAT:
        raise InputError(f"{str(path)!r} is a {version!r}; this secagg reads {FORMAT!r}")
    assert isinstance(params, dict)  # the layout is of a mapping
    return TrainedModel({name: np.asarray(array, np.float64) for name, array in params.items()}, card)


def _layout(entry: Mapping[str, Any]) -> Layout:
    return Layout(tuple(entry["names"]), tuple(map(tuple, entry["shapes"])), tuple(entry["dtypes"]))


def _read_npz(path: Path) -> tuple[Params, str]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files if name != CARD}, str(file[CARD])


def _read_safetensors(path: Path) -> tuple[Params, str]:
    with safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()[CARD]  # noqa: SIM118


def _card(params: Params, setup: Setup, result: TrainResult) -> dict[str, Any]:
    training = setup.config.training
    layout = Layout.of(params)
    return {
        "format": FORMAT,
        "model": training.model,
        "hidden": training.hidden,
        "layout": {"names": layout.names, "shapes": layout.shapes, "dtypes": layout.dtypes},
        "features": setup.data.features,
        "classes": setup.data.classes,
        "columns": {name: column.listed for name, column in setup.data.columns.items()},
        "encoding": ENCODING,
        "output": f"{LOGITS[training.model]}; 1/(1 + exp(−z)) is the probability of the second of `classes`",
        "dataset": setup.data.name,
        "scheme": result.scheme,
        "rounds": len(result.succeeded),
        "epsilon": result.promised_epsilon,
        "epsilon_unit": result.unit,
        "delta": result.delta,
    }
