"""The model, and a training that needs no data: any function of site and model."""

import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(6, 4)
        self.normal = torch.nn.BatchNorm1d(4)  # with a counter, which is no part of a mean

    def forward(self, x):
        return self.normal(self.linear(x))


def trained(own, arrays):
    return {
        name: values + (0.01 * own * torch.tanh(values) if values.is_floating_point() else 1)
        for name, values in arrays.items()
    }


def weight_of(own):
    return 10 + own


def loss_of(own):
    return 1 / own
