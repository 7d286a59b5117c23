"""A whole run: set up, train federated, train the comparisons, write the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from secagg.schemes import PROTECTING

from .accounting import VIEWS
from .config import TrainConfig
from .context import code_digest
from .evaluate import METRIC, Score, held_out, score, streams_alone, train_alone
from .report import write_report
from .result import Comparison, SiteRecord, TrainResult
from .rounds import Outcome, federate
from .setup import Setup, make_setup
from .silos import Silo
from .warn import warnings_of


def run(config: TrainConfig, progress: Callable[[int, int, str], None]) -> TrainResult:
    """See `secagg.train.run`."""
    threads = torch.get_num_threads()
    # The matrices are tiny: a second thread costs more than it brings.
    torch.set_num_threads(1)
    try:
        return _run(config, progress)
    finally:
        torch.set_num_threads(threads)


def _run(config: TrainConfig, progress: Callable[[int, int, str], None]) -> TrainResult:
    rounds = config.training.rounds
    report = config.run.report
    work = rounds + 3
    progress(0, work, "reading data, calibrating noise")
    setup = make_setup(config)
    progress(1, work, f"{len(setup.silos)} sites, {setup.data.name}")
    outcome = federate(setup, lambda number, line: progress(number + 1, work, line))
    progress(rounds + 1, work, "training the comparisons")
    result = _result(setup, outcome)
    if report is not None:
        progress(rounds + 2, work, "writing the report")
        result = replace(result, report=str(report.resolve()))
        write_report(result, report)
    progress(work, work, "done")
    return result


def _result(setup: Setup, outcome: Outcome) -> TrainResult:
    config = setup.config
    data = setup.data
    ledger = outcome.ledger
    x, y = held_out(data, setup.silos)
    secure = score(setup.model, outcome.secure, x, y)
    plain = score(setup.model, outcome.plain, x, y)
    alone = [_alone(setup, silo.train) for silo in setup.silos]
    pooled = _alone(setup, np.concatenate([silo.train for silo in setup.silos]))
    mean_auc = sum(own.auc for own in alone) / len(alone)
    mean_accuracy = sum(own.accuracy for own in alone) / len(alone)
    scheme = config.aggregation.scheme
    protected = scheme in PROTECTING
    label = f"secure ({scheme})" if protected else f"no masks ({scheme})"
    return TrainResult(
        dataset=data.name,
        classes=data.classes,
        metric=METRIC,
        scheme=scheme,
        adversary=config.aggregation.adversary if protected else "none",
        sites=tuple(_site(setup, outcome, silo, own) for silo, own in zip(setup.silos, alone, strict=True)),
        rounds=outcome.records,
        secure=Comparison(label, secure.auc, secure.accuracy),
        plain=Comparison("plain FedAvg", plain.auc, plain.accuracy),
        alone=Comparison("sites alone, mean", mean_auc, mean_accuracy),
        centralised=Comparison("centralised", pooled.auc, pooled.accuracy),
        epsilon=dict.fromkeys(VIEWS, ledger.epsilon()),
        epsilon_rdp=dict.fromkeys(VIEWS, ledger.epsilon(accountant="rdp")),
        delta=config.privacy.delta,
        warnings=warnings_of(setup, outcome),
        notes=data.notes,
        settings={name: _plain_value(value) for name, value in config.settings.items()},
        derived=_derived(setup),
    )


def _site(setup: Setup, outcome: Outcome, silo: Silo, own: Score) -> SiteRecord:
    positives = setup.data.y[silo.train].sum() + setup.data.y[silo.test].sum()
    return SiteRecord(
        id=silo.id,
        name=silo.name,
        rows=silo.size,
        training_rows=len(silo.train),
        positives=int(positives),
        rounds_charged=outcome.ledger.rounds_of(silo.id),
        alone_auc=own.auc,
        alone_accuracy=own.accuracy,
    )


def _alone(setup: Setup, rows: NDArray[np.int64]) -> Score:
    """Train on these rows only, and score on everyone's held-out rows."""
    streams = streams_alone(rows, setup.config.training.rounds, setup.config.run.seed)
    params = train_alone(setup.model, setup.initial, setup.data, rows, setup.how, streams)
    return score(setup.model, params, *held_out(setup.data, setup.silos))


def _plain_value(value: Any) -> Any:
    """Return a setting as JSON can hold it."""
    return str(value) if isinstance(value, Path) else value


def _derived(setup: Setup) -> dict[str, Any]:
    """Return the public constants that were computed from the settings."""
    return {
        "parameters": setup.codec.layout.size,
        "vector_length": setup.codec.length,
        "threshold": setup.scheme.quorum if setup.config.aggregation.scheme in PROTECTING else None,
        "noise_multiplier": setup.how.noise_multiplier or None,
        "public_size": setup.public_size,
        "lot_size": setup.how.lot_size,
        "update_clip": setup.update_clip,
        "weight_max": setup.codec.weight_max,
        "code_sha256": code_digest().hex(),
    }
