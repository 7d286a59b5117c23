"""What a run found: plain values for JSON, for the command line's table and for the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class RoundRecord:
    """One round.

    auc, accuracy      secure model on the held-out rows, after the round (unchanged by a failed one)
    plain_auc, plain_accuracy  the same for plain FedAvg with the same silos, survivors and draws
    survivors          ids of the sites whose updates are in the sum
    dropped            site id to the step that it did not send; one that dropped out later is still in the sum
    late               ids of those among `dropped` who missed the deadline
    bytes              sent and received by all sites, encoded envelopes; None when the round failed
    seconds            measured, training and protocol of all parties in this one process
    simulated_seconds  what the round would have lasted, by the simulated speeds
    epsilon            ε spent so far by the site that was charged most; None without differential privacy
    codec_error        largest |aggregate − exact mean| of any coordinate; None when the round failed
    codec_bound        what the codec promises for it
    influence          how far one site's numbers can have moved any value of the mean update, as long as they were in
                       its range; beyond it, anywhere within update_clip. None when the round failed
    clipped            coordinates that the codec clipped (known to this simulation; in a federation it stays local)
    loss, local_accuracy  mean over survivors, of the model received, on their training rows; rides hidden in the
                       sum and only without differential privacy, None otherwise
    failed             why the round failed; None when it did not
    """

    round: int
    auc: float
    accuracy: float
    plain_auc: float
    plain_accuracy: float
    survivors: tuple[int, ...]
    dropped: Mapping[int, str]
    late: tuple[int, ...]
    bytes: int | None
    seconds: float
    simulated_seconds: float
    epsilon: float | None
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
    """One institution: its rows, its positive rows, rounds charged, and how it fares alone on everyone's test rows."""

    id: int
    name: str
    rows: int
    training_rows: int
    positives: int
    rounds_charged: int
    alone_auc: float
    alone_accuracy: float


@dataclass(frozen=True)
class Comparison:
    """One row of the table."""

    label: str
    auc: float
    accuracy: float


@dataclass(frozen=True)
class TrainResult:
    """A finished run. `settings` are as given, `derived` the constants computed from them.

    epsilon and epsilon_rdp map an adversary's view to ε at `delta`, by PLD and by RDP; None is no guarantee.
    """

    dataset: str
    classes: tuple[str, str]
    metric: str
    scheme: str
    adversary: str
    sites: tuple[SiteRecord, ...]
    rounds: tuple[RoundRecord, ...]
    secure: Comparison
    plain: Comparison
    alone: Comparison
    centralised: Comparison
    epsilon: Mapping[str, float | None]
    epsilon_rdp: Mapping[str, float | None]
    delta: float | None
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    settings: Mapping[str, Any]
    derived: Mapping[str, Any]
    report: str | None = None

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
            "final_metric": self.secure.auc,
            "plain_fedavg_metric": self.plain.auc,
            "local_only_metric": self.alone.auc,
            "centralised_metric": self.centralised.auc,
            "final_accuracy": self.secure.accuracy,
            "plain_fedavg_accuracy": self.plain.accuracy,
            "local_only_accuracy": self.alone.accuracy,
            "centralised_accuracy": self.centralised.accuracy,
            "epsilon": dict(self.epsilon),
            "epsilon_rdp": dict(self.epsilon_rdp),
            "delta": self.delta,
            "sites": [asdict(site) for site in self.sites],
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            "settings": dict(self.settings),
            "derived": dict(self.derived),
            "report": self.report,
        }

    def table(self) -> list[dict[str, str]]:
        """Return the comparison as rows of text cells, heading to cell, in the order to print them."""
        worst = max((value for value in self.epsilon.values() if value is not None), default=None)
        done = [record for record in self.rounds if record.failed is None]
        survivors = f"{_mean([len(record.survivors) for record in done]):.1f} of {len(self.sites)}" if done else "none"
        sent = f"{_mean([record.bytes or 0 for record in done]) / 1000:,.0f}" if done else "–"
        epsilon = "∞" if worst is None else f"{worst:.2f}"
        delta = "–" if self.delta is None else f"{self.delta:g}"
        return [
            _row(self.secure, epsilon, delta, survivors, sent),
            _row(self.plain, epsilon, delta, survivors, "–"),
            # Sites that train alone release nothing; whoever pools the rows sees them all.
            _row(self.alone, "–", "–", "–", "–"),
            _row(self.centralised, "∞", "–", "–", "–"),
        ]


def _row(scores: Comparison, epsilon: str, delta: str, survivors: str, sent: str) -> dict[str, str]:
    return {
        "training": scores.label,
        "AUC": f"{scores.auc:.4f}",
        "accuracy": f"{scores.accuracy:.1%}",
        "ε": epsilon,
        "δ": delta,
        "survivors": survivors,
        "kB/round": sent,
    }


def _mean(values: list[int]) -> float:
    return sum(values) / len(values)
