"""A linear model of made-up rows, of which every partition has its own."""

import numpy as np

FEATURES = 5
TRUTH = np.linspace(-1, 1, FEATURES)


def initial_model() -> dict[str, np.ndarray]:
    return {"weight": np.zeros(FEATURES, np.float32), "bias": np.zeros(1, np.float32)}


def load_data(partition: int, partitions: int, batch_size: int):
    """(batches to train on, rows to evaluate with)"""
    rng = np.random.default_rng([partition, partitions])
    x = rng.normal(size=(100 + 20 * partition, FEATURES))
    y = x @ TRUTH + 0.5 + 0.1 * rng.normal(size=len(x))
    kept = len(x) * 4 // 5
    batches = [(x[at : at + batch_size], y[at : at + batch_size]) for at in range(0, kept, batch_size)]
    return batches, (x[kept:], y[kept:])


def loss_of(model, rows) -> float:
    x, y = rows
    return float(np.square(x @ model["weight"] + model["bias"] - y).mean())


def train(model, batches, epochs: int, learning_rate: float) -> float:
    """Descend in place; the mean loss on the way."""
    losses = []
    for _ in range(epochs):
        for x, y in batches:
            losses.append(loss_of(model, (x, y)))
            error = x @ model["weight"] + model["bias"] - y
            model["weight"] -= learning_rate * (x.T @ error / len(x)).astype(np.float32)
            model["bias"] -= learning_rate * error.mean(keepdims=True).astype(np.float32)
    return float(np.mean(losses))
