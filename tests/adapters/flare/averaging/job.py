"""The job. Arguments: the simulator's workspace, and the folder of `client.py`."""

import sys

import torch
from net import Net
from nvflare.recipe import SimEnv

from secagg.adapters.flare import SecAggRecipe

workspace, folder = sys.argv[1:]
torch.manual_seed(0)
recipe = SecAggRecipe(
    name="averaging",
    model=Net(),
    min_clients=4,
    num_rounds=3,
    train_script="client.py",
    train_args=folder,
    key_metric="loss",
    clip=1.0,
    weight_max=64,
    value_bits=20,
    threshold=2,
    minimum_cohort=2,
    grace=2.0,
    metrics={"loss": (0.0, 2.0)},
    identity="identity.json",
    audit="log.jsonl",
)
recipe.execute(SimEnv(num_clients=4, workspace_root=workspace))
