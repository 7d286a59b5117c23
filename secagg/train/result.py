"""What a run found: plain values for JSON, for the command line's table and for the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from secagg.privacy.views import epsilon_text

Range = tuple[float, float]
"""From, to."""

FLOAT32_BYTES = 4

COLLUDING = "server with colluders"
"""The view in which what was asked for is met."""

PLAIN = "plain FedAvg"


@dataclass(frozen=True)
class RoundRecord:
    """One round.

    auc, accuracy      secure model on the held-out rows, after the round (unchanged by a failed one); None as long as
                       no round has made one
    plain_auc, plain_accuracy  the same for plain FedAvg with the same silos, survivors and draws
    survivors          ids of the sites whose updates are in the sum
    dropped            site id to the step that it did not send; one that dropped out later is still in the sum
    late               ids of those among `dropped` who missed the deadline
    bytes              of all requests to sites and their answers; None when the round failed
    seconds            measured, training and protocol of all parties in this one process
    simulated_seconds  what the round would have lasted, by the simulated speeds
    epsilon            ε spent so far by the site that was charged most, against the server with its colluders; None
                       without differential privacy
    noise_multiplier   z of what left in this round, as `epsilon` counts it: of each local step or, where noise is
                       shared, of the sum; with the sampling rate, dp-accounting alone gives `epsilon` again
    codec_error        largest |aggregate − exact mean| of any coordinate; None when the round failed
    codec_bound        what the codec promises for it
    influence          how far one site's numbers can have moved any value of the mean update, as long as they were in
                       its range; beyond it, anywhere within ± `derived["anywhere"]`. None when the round failed
    clipped            coordinates that the codec clipped, or, to a norm, updates (known to this simulation; in a
                       federation it stays local)
    loss, local_accuracy  mean over survivors, of the model received, on their training rows; rides hidden in the
                       sum and only without differential privacy, None otherwise
    failed             why the round failed; None when it did not
    """

    round: int
    auc: float | None
    accuracy: float | None
    plain_auc: float | None
    plain_accuracy: float | None
    survivors: tuple[int, ...]
    dropped: Mapping[int, str]
    late: tuple[int, ...]
    bytes: int | None
    seconds: float
    simulated_seconds: float
    epsilon: float | None
    noise_multiplier: float | None
    codec_error: float | None
    codec_bound: float | None
    influence: float | None
    clipped: int
    loss: float | None
    local_accuracy: float | None
    failed: str | None

    def as_json(self) -> dict[str, Any]:
        """Return the record with counts under `survivors` and `dropped` and the ids beside them."""
        return asdict(self) | {
            "metric": self.auc,
            "survivors": len(self.survivors),
            "survivor_ids": list(self.survivors),
            "dropped": len(self.dropped),
            "dropped_at": {str(site): step for site, step in self.dropped.items()},
            "late": list(self.late),
        }


@dataclass(frozen=True)
class SiteRecord:
    """One institution: its rows, its positive rows, rounds charged, and how it fares alone on everyone's test rows.

    alone_only: the one class of its training rows, where it has but one; its constant answer has AUC ½.
    """

    id: int
    name: str
    rows: int
    training_rows: int
    positives: int
    rounds_charged: int
    alone_auc: float
    alone_auc_range: Range
    alone_accuracy: float
    alone_accuracy_range: Range
    alone_only: str | None


@dataclass(frozen=True)
class Comparison:
    """One row of the table. The ranges are 95 % intervals; of sites alone, from the worst site to the best."""

    label: str
    auc: float
    accuracy: float
    auc_range: Range
    accuracy_range: Range


@dataclass(frozen=True)
class Counted:
    """Rows of all sites together, and how many of them have the second of the two classes."""

    rows: int
    positives: int


@dataclass(frozen=True)
class SweepPoint:
    """What training again gives under another value of one setting, as the median of several draws of the noise.

    value: of the setting; None is no noise. The ranges are from the worst draw to the best.
    """

    value: float | None
    auc: float
    accuracy: float
    auc_range: Range
    accuracy_range: Range


@dataclass(frozen=True)
class Sweep:
    """The same training under several values of one setting. draws: trainings for each; spends: their ε together."""

    setting: str
    points: tuple[SweepPoint, ...]
    draws: int
    spends: float | None


@dataclass(frozen=True)
class TrainResult:
    """A finished run. `settings` are as given, `derived` the constants computed from them.

    dp, unit     whose noise it is, and whom ε protects, as in `Privacy`
    epsilon and epsilon_rdp map an adversary's view to ε of one `unit` at `delta`, by PLD and by RDP; None is no
    guarantee. Of noise under the sum RDP has no figure.
    secure, plain  None when no round succeeded: nobody has trained that model
    rows_per_patient   most training rows of one patient; None when the table does not say whose they are, or an
                       institution is protected
    sites_per_patient  most sites at which one patient has any of them; None likewise
    epsilon_per_patient  ε of so many rows together; of a patient at so many sites, where patients are protected
    about_epsilon  what to know beside ε, one sentence each
    staged       what the simulation makes go wrong, in one sentence; None when nothing
    comparisons  how the models that train without the others are trained
    """

    dataset: str
    classes: tuple[str, str]
    metric: str
    scheme: str
    adversary: str
    sites: tuple[SiteRecord, ...]
    rounds: tuple[RoundRecord, ...]
    secure: Comparison | None
    plain: Comparison | None
    alone: Comparison
    centralised: Comparison
    dp: str
    unit: str
    epsilon: Mapping[str, float | None]
    epsilon_rdp: Mapping[str, float | None]
    delta: float | None
    rows_per_patient: int | None
    sites_per_patient: int | None
    epsilon_per_patient: float | None
    about_epsilon: tuple[str, ...]
    held_out: Counted
    trained_on: Counted
    staged: str | None
    comparisons: str
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    settings: Mapping[str, Any]
    derived: Mapping[str, Any]
    sweeps: tuple[Sweep, ...] = ()
    model: str | None = None
    report: str | None = None

    @property
    def scored_on(self) -> str:
        """On how many rows the scores rest."""
        return (
            f"scored on {self.held_out.rows} held-out rows, {self.held_out.positives} of them {self.classes[1]!r}; "
            f"trained on {self.trained_on.rows}, {self.trained_on.positives} of them {self.classes[1]!r}"
        )

    @property
    def promised_epsilon(self) -> float | None:
        """ε against the server with its colluders, which is what was asked for; None without differential privacy."""
        return self.epsilon[COLLUDING]

    @property
    def scored(self) -> tuple[Comparison, ...]:
        """Every model that there is, in the order of the table."""
        return tuple(row for row in (self.secure, self.plain, self.alone, self.centralised) if row is not None)

    @property
    def bytes_per_round(self) -> float | None:
        """Mean over the rounds that succeeded; None when none did."""
        return _mean([record.bytes or 0 for record in self.succeeded])

    @property
    def plain_bytes_per_round(self) -> float | None:
        """What the same survivors would have sent in the clear, as float32."""
        sent = [len(record.survivors) * self.derived["parameters"] * FLOAT32_BYTES for record in self.succeeded]
        return _mean(sent)

    @property
    def bytes_ratio(self) -> float | None:
        """How many times as many bytes travel as in the clear."""
        if self.bytes_per_round is None or not self.plain_bytes_per_round:
            return None
        return self.bytes_per_round / self.plain_bytes_per_round

    @property
    def succeeded(self) -> tuple[RoundRecord, ...]:
        """The rounds that were summed."""
        return tuple(record for record in self.rounds if record.failed is None)

    def as_json(self) -> dict[str, Any]:
        """Return the run as one JSON object."""
        return {
            "dataset": self.dataset,
            "classes": list(self.classes),
            "institutions": len(self.sites),
            "sizes": [site.rows for site in self.sites],
            "scheme": self.scheme,
            "adversary": self.adversary,
            "rounds": len(self.rounds),
            "failed_rounds": sum(record.failed is not None for record in self.rounds),
            "metric": self.metric,
            "per_round": [record.as_json() for record in self.rounds],
            "final_metric": self.secure and self.secure.auc,
            "plain_fedavg_metric": self.plain and self.plain.auc,
            "local_only_metric": _mean([site.alone_auc for site in self.sites]),
            "centralised_metric": self.centralised.auc,
            "final_accuracy": self.secure and self.secure.accuracy,
            "plain_fedavg_accuracy": self.plain and self.plain.accuracy,
            "local_only_accuracy": _mean([site.alone_accuracy for site in self.sites]),
            "centralised_accuracy": self.centralised.accuracy,
            "scores": [asdict(row) for row in self.scored],
            "comparisons": self.comparisons,
            "epsilon": dict(self.epsilon),
            "epsilon_rdp": dict(self.epsilon_rdp),
            "delta": self.delta,
            "dp": self.dp,
            "epsilon_unit": self.unit,
            "rows_per_patient": self.rows_per_patient,
            "sites_per_patient": self.sites_per_patient,
            "epsilon_per_patient": self.epsilon_per_patient,
            "about_epsilon": list(self.about_epsilon),
            "held_out": asdict(self.held_out),
            "trained_on": asdict(self.trained_on),
            "bytes_per_round": self.bytes_per_round,
            "plain_bytes_per_round": self.plain_bytes_per_round,
            "bytes_ratio": self.bytes_ratio,
            "sweeps": [asdict(sweep) for sweep in self.sweeps],
            "sites": [asdict(site) for site in self.sites],
            "staged": self.staged,
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            "settings": dict(self.settings),
            "derived": dict(self.derived),
            "model": self.model,
            "report": self.report,
        }

    def table(self) -> list[dict[str, str]]:
        """Return the comparison as rows of text cells, heading to cell, in the order to print them."""
        survivors = _mean([len(record.survivors) for record in self.succeeded])
        summed = {"survivors": "none" if survivors is None else f"{survivors:.1f} of {len(self.sites)}"}
        private = {"ε": "∞" if self.promised_epsilon is None else epsilon_text(self.promised_epsilon)} | summed
        plain = private if self.dp == "local" else {"ε": "∞"} | summed  # shared noise is in the secure sum only
        nothing = dict.fromkeys(["ε", "survivors", "kB/round"], "–")
        ratio = "" if self.bytes_ratio is None else f" (×{self.bytes_ratio:{_digits(self.bytes_ratio)}})"
        sent = _kilobytes(self.bytes_per_round) + ratio
        return [
            _row(secure_label(self.scheme, self.adversary), self.secure) | private | {"kB/round": sent},
            _row(PLAIN, self.plain) | plain | {"kB/round": _kilobytes(self.plain_bytes_per_round)},
            # Sites that train alone release nothing; whoever pools the rows sees them all.
            _row(self.alone.label, self.alone) | nothing,
            _row(self.centralised.label, self.centralised) | nothing | {"ε": "∞"},
        ]


def secure_label(scheme: str, adversary: str) -> str:
    """What the federated model is called in the table."""
    return f"no masks ({scheme})" if adversary == "none" else f"secure ({scheme})"


def _row(label: str, found: Comparison | None) -> dict[str, str]:
    if found is None:
        return {"training": label, "AUC": "–", "accuracy": "–"}
    # Outwards, so that what is between them is also shown between them.
    worst, best = math.floor(100 * found.accuracy_range[0] + 1e-9), math.ceil(100 * found.accuracy_range[1] - 1e-9)
    return {
        "training": label,
        "AUC": f"{found.auc:.3f} ({found.auc_range[0]:.3f}–{found.auc_range[1]:.3f})",
        "accuracy": f"{found.accuracy:.1%} ({worst}–{best}%)",
    }


def _kilobytes(count: float | None) -> str:
    return "–" if count is None else f"{count / 1000:{_digits(count / 1000)}}"


def _digits(number: float) -> str:
    """Return a format that shows two digits at least."""
    return ",.0f" if number >= 10 else ".1f"


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
