"""The report's words for a reader from another field: each explained where it stands, and once more at the end."""

from __future__ import annotations

from markupsafe import Markup

WORDS = {
    "AUC": "the chance that of two rows, one of each class, the model gives the higher score to the right one: 0.5 is "
    "guessing, 1 is perfect",
    "accuracy": "the share of rows for which the more probable class is the right one",
    "held-out rows": "rows that nobody trained on; every model here is scored on the same ones",
    "interval": "with other held-out rows of the same kind, 95 of 100 such intervals would hold the true score. "
    "AUC: Newcombe's; accuracy: Wilson's. Another draw of the noise is not in it",
    "FedAvg": "federated averaging: each site trains a little on its own rows, and the mean of the changes is applied",
    "survivors": "the sites whose updates are in a round's sum",
    "masked": "hidden by random numbers that cancel only in the sum",
    "semi-honest": "a server that keeps to the protocol, and is curious",
    "active": "a server that may lie and depart from the protocol",
    "ε": "how much whoever sees the model can learn of one single row, or of one patient or institution where that is "
    "said: 0 is nothing, and the odds of anything seen change by a factor of at most e^ε with it",
    "δ": "the small chance with which that bound may fail",
    "PLD": "privacy loss distribution: a tight way to add up ε over rounds; the figure to quote",
    "RDP": "Rényi differential privacy: an older way to add it up, which comes out higher",
    "Poisson sampling": "each row (or patient) joins a training step by a coin of its own, so that nobody knows which",
    "codec": "what turns numbers with decimals into the whole numbers that a secure sum adds, and the sum back",
    "coordinate": "one number of the model",
}
"""Word to what it means, in the order in which a reader meets them."""


def word(shown: str, meaning_of: str | None = None) -> Markup:
    """Return a word as HTML that says what it means when pointed at. meaning_of: its entry, if shown otherwise."""
    return Markup('<abbr title="{}">{}</abbr>').format(WORDS[meaning_of or shown], shown)
