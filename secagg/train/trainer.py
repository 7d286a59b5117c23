"""A whole run: set up, train federated, train the comparisons, write the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from secagg.schemes import PROTECTING

from .comparisons import Alone, compare, how
from .config import TrainConfig
from .context import code_digest
from .evaluate import METRIC, held_out, score
from .model import Params
from .modelfile import write_model
from .report import write_report
from .result import PLAIN, Comparison, Counted, SiteRecord, TrainResult, secure_label
from .rounds import Outcome, federate
from .setup import Setup, make_setup
from .silos import Silo
from .sweep import DRAWS, sweep, trials_of
from .warn import about_epsilon, one_patient, warnings_of


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
    progress(0, rounds + 3, "reading data, calibrating noise")
    setup = make_setup(config)
    sweeps = {setting: trials_of(setup, setting) for setting in config.run.sweep}
    trainings = DRAWS * sum(map(len, sweeps.values()))
    work = rounds + trainings + 3
    steps = count(rounds + 2)
    progress(1, work, f"{len(setup.silos)} sites, {setup.data.name}")
    outcome = federate(setup, lambda number, line: progress(number + 1, work, line))
    progress(rounds + 1, work, "training the comparisons")
    result = _result(setup, outcome)
    swept = [
        sweep(setting, trials, outcome, lambda line: progress(next(steps), work, line))
        for setting, trials in sweeps.items()
        if result.succeeded
    ]
    result = _written(setup, outcome, replace(result, sweeps=tuple(swept)))
    progress(work, work, "done")
    return result


def _written(setup: Setup, outcome: Outcome, result: TrainResult) -> TrainResult:
    """Write what the run was asked to write."""
    asked = setup.config.run
    if asked.model_out is not None and result.succeeded:
        write_model(asked.model_out, outcome.secure, setup, result)
        result = replace(result, model=str(asked.model_out.resolve()))
    if asked.report is not None:
        result = replace(result, report=str(asked.report.resolve()))
        write_report(result, asked.report)
    return result


def _result(setup: Setup, outcome: Outcome) -> TrainResult:
    config = setup.config
    data = setup.data
    ledger = outcome.ledger
    others = compare(setup)
    unit = config.privacy.unit
    patient = one_patient(setup)
    per_patient = None if patient is None else ledger.epsilon_together(patient.units(unit))
    scheme = config.aggregation.scheme
    protected = scheme in PROTECTING
    adversary = config.aggregation.adversary if protected else "none"
    return TrainResult(
        dataset=data.name,
        classes=data.classes,
        metric=METRIC,
        scheme=scheme,
        adversary=adversary,
        sites=tuple(_site(setup, outcome, silo, own) for silo, own in zip(setup.silos, others.sites, strict=True)),
        rounds=outcome.records,
        secure=_scored(setup, outcome, secure_label(scheme, adversary), outcome.secure),
        plain=_scored(setup, outcome, PLAIN, outcome.plain),
        alone=others.alone,
        centralised=others.centralised,
        dp=config.privacy.dp,
        unit=unit,
        epsilon=ledger.views(),
        epsilon_rdp=ledger.views_by_rdp(),
        delta=config.privacy.delta,
        rows_per_patient=None if patient is None else patient.rows,
        sites_per_patient=None if patient is None else patient.sites,
        epsilon_per_patient=per_patient,
        about_epsilon=about_epsilon(ledger.spent(), unit, patient, per_patient),
        held_out=_counted(setup, [silo.test for silo in setup.silos]),
        trained_on=_counted(setup, [silo.train for silo in setup.silos]),
        staged=config.deployment.staged(len(setup.silos)),
        comparisons=how(setup),
        warnings=warnings_of(setup, outcome),
        notes=data.notes,
        settings={name: _plain_value(value) for name, value in config.settings.items()},
        derived=_derived(setup),
    )


def _scored(setup: Setup, outcome: Outcome, label: str, params: Params) -> Comparison | None:
    """Score a model that the rounds have made; None where no round made one."""
    if all(record.failed is not None for record in outcome.records):
        return None
    return Comparison(label, **asdict(score(setup.model, params, *held_out(setup.data, setup.silos))))


def _counted(setup: Setup, rows: Sequence[NDArray[np.int64]]) -> Counted:
    labels = setup.data.y[np.concatenate(rows)]
    return Counted(len(labels), int(labels.sum()))


def _site(setup: Setup, outcome: Outcome, silo: Silo, own: Alone) -> SiteRecord:
    positives = setup.data.y[silo.train].sum() + setup.data.y[silo.test].sum()
    return SiteRecord(
        id=silo.id,
        name=silo.name,
        rows=silo.size,
        training_rows=len(silo.train),
        positives=int(positives),
        rounds_charged=outcome.ledger.rounds_of(silo.id),
        alone_auc=own.score.auc,
        alone_auc_range=own.score.auc_range,
        alone_accuracy=own.score.accuracy,
        alone_accuracy_range=own.score.accuracy_range,
        alone_only=own.only,
    )


def _plain_value(value: Any) -> Any:
    """Return a setting as JSON can hold it."""
    return str(value) if isinstance(value, Path) else value


def _derived(setup: Setup) -> dict[str, Any]:
    """Return the public constants that were computed from the settings."""
    return {
        "parameters": setup.codec.layout.size,
        "vector_length": setup.codec.length,
        "threshold": setup.scheme.quorum if setup.config.aggregation.scheme in PROTECTING else None,
        "noise_multiplier": setup.noise_multiplier,
        "noise": None if setup.encoding.noise is None else str(setup.encoding.noise),
        "public_size": setup.public_size,
        "lot_size": setup.how.lot_size,
        "update_clip": setup.update_clip,
        "update_norm": setup.update_norm,
        "anywhere": setup.codec.influence(len(setup.silos)).anywhere,
        "weight_max": setup.codec.weight_max,
        "code_sha256": code_digest().hex(),
    }
