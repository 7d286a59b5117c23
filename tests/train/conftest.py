"""The matrices are tiny: more threads only get into each other's way, the more so when test workers run in parallel."""

import torch

torch.set_num_threads(1)
