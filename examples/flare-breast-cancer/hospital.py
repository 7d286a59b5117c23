"""The hospitals' rows, made up from scikit-learn's breast cancer data, and what they train."""

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer

HOSPITALS = 5
TEST_ROWS = 120


class Net(torch.nn.Module):
    """Thirty measurements of a cell sample in, benign or malignant out."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)  # FLARE makes the model anew at the server: here the same one for all who try this
        self.hidden = torch.nn.Linear(30, 16)
        self.out = torch.nn.Linear(16, 2)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return a score for each class."""
        return self.out(self.hidden(rows).relu())


def rows_of(hospital: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a hospital's measurements and outcomes, from 1 on; 0: those that nobody trains on."""
    measured, outcome = load_breast_cancer(return_X_y=True)
    measured = (measured - measured.mean(axis=0)) / measured.std(axis=0)  # a real federation agrees on ranges before
    order = np.random.default_rng(0).permutation(len(measured))
    shares = [order[:TEST_ROWS], *np.array_split(order[TEST_ROWS:], HOSPITALS)]
    chosen = shares[hospital]
    return torch.tensor(measured[chosen], dtype=torch.float32), torch.tensor(outcome[chosen])


def train(model: Net, rows: torch.Tensor, outcomes: torch.Tensor, steps: int = 20) -> float:
    """Train on all rows at once, so many times; return the loss before the last step."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = torch.zeros(())
    for _ in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(rows), outcomes)
        loss.backward()
        optimizer.step()
    return loss.item()
