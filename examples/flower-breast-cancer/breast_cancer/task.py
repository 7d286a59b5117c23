"""The data of one hospital, and logistic regression on it."""

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

FEATURES = 30
Model = dict[str, np.ndarray]


def initial_model() -> Model:
    return {"weight": np.zeros(FEATURES, dtype=np.float32), "bias": np.zeros(1, dtype=np.float32)}


def load_hospital(hospital: int, hospitals: int):
    """Every row belongs to one hospital. Returns (x, y) to train on and (x, y) to evaluate with."""
    x, y = load_breast_cancer(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(x))[hospital::hospitals]
    x = np.log1p(x[rows])
    train_x, test_x, train_y, test_y = train_test_split(x, y[rows], test_size=0.2, random_state=0)
    mean, spread = train_x.mean(axis=0), train_x.std(axis=0) + 1e-9
    return ((train_x - mean) / spread, train_y), ((test_x - mean) / spread, test_y)


def probability(model: Model, x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-(x @ model["weight"] + model["bias"])))


def train(model: Model, x: np.ndarray, y: np.ndarray, epochs: int, learning_rate: float = 0.3) -> tuple[Model, float]:
    """Gradient descent. Returns the new model and its loss on the training rows."""
    weight, bias = model["weight"].astype(np.float64), model["bias"].astype(np.float64)
    for _ in range(epochs):
        slope = probability({"weight": weight, "bias": bias}, x) - y
        weight -= learning_rate * (x.T @ slope / len(y) + 0.01 * weight)
        bias -= learning_rate * slope.mean(keepdims=True)
    trained = {"weight": weight.astype(np.float32), "bias": bias.astype(np.float32)}
    return trained, float(log_loss(y, probability(trained, x), labels=[0, 1]))
