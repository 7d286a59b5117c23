"""A model of a million values and a counter, which is no average."""

import torch


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide = torch.nn.Parameter(torch.full((1000, 1000), 0.5))
        self.register_buffer("seen", torch.tensor(7))
