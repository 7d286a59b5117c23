"""A training that anyone can repeat: the tests compute what plain federated averaging would give."""

import numpy as np


def weight_of(partition: int) -> int:
    return 10 + 3 * partition


def trained(partition: int, values: np.ndarray) -> np.ndarray:
    change = np.random.default_rng(partition).normal(size=values.shape)
    return (values + 0.5 * np.tanh(change + values)).astype(np.float32)
