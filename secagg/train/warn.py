"""What a reader must know before trusting a figure: one sentence each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from secagg.privacy.views import epsilon_text
from secagg.schemes import ONE_KEY, PROTECTING

from .rounds import Outcome
from .setup import Setup

WEAK_EPSILON = 10.0
RUNS_ADD_UP = "Runs on one table add up: so do their ε, and choosing the better of two runs counts both."
FEW_ROWS = 10
"""Of one class: the scores of fewer rest on single ones."""


def warnings_of(setup: Setup, outcome: Outcome) -> tuple[str, ...]:
    """Return every warning that this run earned, the gravest first."""
    return (*_guarantees(setup, outcome), *_rare_classes(setup), *setup.warnings, *_events(setup, outcome))


@dataclass(frozen=True)
class OnePatient:
    """The most training rows that one patient has, at all sites; and the most sites at which one has any."""

    rows: int
    sites: int

    def units(self, unit: str) -> int:
        """Return how often ε of one unit concerns such a patient."""
        return self.rows if unit == "row" else self.sites


def one_patient(setup: Setup) -> OnePatient | None:
    """Return what there is of one patient at the most; None when an institution is protected, or nothing says."""
    patients = setup.data.patients
    if patients is None or setup.config.privacy.unit == "institution":
        return None
    trained = [patients[silo.train] for silo in setup.silos]
    there = [np.unique(own) for own in trained]
    return OnePatient(int(np.bincount(np.concatenate(trained)).max()), int(np.bincount(np.concatenate(there)).max()))


def about_epsilon(
    spent: float | None, unit: str, patient: OnePatient | None, per_patient: float | None
) -> tuple[str, ...]:
    """Return what to know beside ε. per_patient: ε of the patient with the most; None if not known."""
    if spent is None:
        return ()
    whom, whose = {
        "row": ("training row", _of_rows(patient, per_patient)),
        "patient": ("patient within one institution: all its training rows there", _of_sites(patient, per_patient)),
        "institution": (
            "institution: all that it sends, against its sending zeros",
            "That it took part is public.",
        ),
    }[unit]
    return f"ε = {epsilon_text(spent)} is for one {whom}. {whose}", RUNS_ADD_UP


def _of_rows(patient: OnePatient | None, together: float | None) -> str:
    if patient is None:
        return "A patient with several rows has more: --patient-column says how much."
    if patient.rows == 1:
        return "No patient has more than one training row."
    return f"One patient has up to {patient.rows} training rows: together they have ε = {epsilon_text(together)}."


def _of_sites(patient: OnePatient | None, together: float | None) -> str:
    if patient is None or patient.sites == 1:
        return "No patient has training rows at two institutions."
    whole = epsilon_text(together)
    return f"One patient has training rows at {patient.sites} institutions: together they have ε = {whole}."


def _rare_classes(setup: Setup) -> list[str]:
    found = []
    parts = ([silo.test for silo in setup.silos], [silo.train for silo in setup.silos])
    held_out, trained = (np.bincount(setup.data.y[np.concatenate(rows)], minlength=2) for rows in parts)
    for label, name in enumerate(setup.data.classes):
        if min(held_out[label], trained[label]) < FEW_ROWS:
            found.append(
                f"Class {name!r} has {held_out[label]} row(s) held out and {trained[label] or 'none'} to train on: "
                f"with fewer than {FEW_ROWS} of either, scores say little."
            )
    return found


def _guarantees(setup: Setup, outcome: Outcome) -> list[str]:
    config = setup.config
    scheme = config.aggregation.scheme
    spent = outcome.ledger.spent()
    found = []
    if config.run.insecure_deterministic:
        found.append(
            "INSECURE-DETERMINISTIC: keys, masks and noise were computed from the seed. Whoever knows the seed can "
            "remove all of them: neither the secure sum nor ε protects anything in this run."
        )
    if scheme not in PROTECTING:
        found.append(f"The scheme is {scheme}: the server sees every single update. Nothing hides them.")
    if scheme in ONE_KEY:
        found.append(
            f"Under {scheme} all sites hold one key: any one of them and the server together open every update."
        )
    if spent is None:
        found.append("No differential privacy: the released model itself may give away training rows.")
    elif spent > WEAK_EPSILON:
        found.append(f"ε = {epsilon_text(spent)} is above {WEAK_EPSILON:g}: such a guarantee means little.")
    return found


def _events(setup: Setup, outcome: Outcome) -> list[str]:
    found = []
    failed = [record.round for record in outcome.records if record.failed is not None]
    if failed:
        shown = ", ".join(map(str, failed))
        found.append(
            f"{len(failed)} round(s) failed ({shown}): too few sites were left. The model stayed as it was"
            + (", and they are charged to ε" if setup.config.privacy.noised else "")
            + ". Fewer dropouts, a later deadline or more sites would help."
        )
    if outcome.stopped is not None:
        done = len(outcome.records)
        planned = len(setup.plans)
        found.append(f"Training stopped after {done} of {planned} rounds: {outcome.stopped}.")
    clipped = sum(record.clipped for record in outcome.records)
    if clipped:
        found.append(_clipped(setup, clipped))
    cap = setup.codec.weight_max
    capped = sum(cap is not None and len(silo.train) > cap for silo in setup.silos)
    if capped:
        found.append(f"{capped} site(s) hold more training rows than weight_max = {cap}; they count as {cap}.")
    return found


def _clipped(setup: Setup, count: int) -> str:
    if setup.update_norm is None:
        return (
            f"{count} update coordinate(s) were clipped to ±{setup.update_clip:.3g}; "
            "set a larger --update-clip if that is many."
        )
    remedy = "--public-size" if setup.config.privacy.of_lots else "--update-norm"
    return (
        f"{count} update(s) were longer than L2 norm {setup.update_norm:.3g} and were clipped to it; set a larger "
        f"{remedy} if that is many, and more noise goes with it."
    )
