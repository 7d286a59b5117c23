"""A small federated trainer over `secagg.simulate`: private local training, secure sums, an honest report.

    from secagg.train import Privacy, TrainConfig, Training, run
    result = run(TrainConfig(training=Training(rounds=20), privacy=Privacy(epsilon=3.0)))
    result.as_json()

Needs the extra `train`. Importing this package loads none of it; `run` does.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from secagg.train.aggregation import Aggregation
from secagg.train.config import Run, TrainConfig
from secagg.train.data import Data
from secagg.train.privacy import Privacy
from secagg.train.result import TrainResult
from secagg.train.schedule import Deployment
from secagg.train.training import Training

if TYPE_CHECKING:
    from secagg.train.modelfile import TrainedModel

__all__ = [
    "Aggregation",
    "Data",
    "Deployment",
    "Privacy",
    "Progress",
    "Run",
    "TrainConfig",
    "TrainResult",
    "Training",
    "read_model",
    "run",
]

Progress = Callable[[int, int, str], None]
"""Called as progress(done, total, text): units of work finished, units in all, one line on what is running."""


def run(config: TrainConfig, *, progress: Progress | None = None) -> TrainResult:
    """Train as `config` says, write the HTML report if it names one, and return every figure.

    Raises: MissingExtra (the extra `train` is not installed), ParameterError (settings that contradict the data
    or the scheme), InputError (data that cannot be used). Each text is one line: the value and the remedy.
    """
    _need_the_extra()
    from secagg.train.trainer import run as train

    return train(config, progress or (lambda done, total, text: None))


def read_model(path: Path) -> TrainedModel:
    """Read a model that a run wrote (`model_out`). Raises: MissingExtra, InputError (no such model is there)."""
    _need_the_extra()
    from secagg.train.modelfile import read_model as read

    return read(path)


def _need_the_extra() -> None:
    from secagg.extras import needed

    with needed("train"):
        import dp_accounting  # noqa: F401
        import jinja2  # noqa: F401
        import matplotlib  # noqa: F401
        import pandas  # noqa: F401
        import safetensors  # noqa: F401
        import scipy  # noqa: F401
        import sklearn  # noqa: F401
        import torch  # noqa: F401
