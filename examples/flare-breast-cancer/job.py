"""Five hospitals train one classifier under NVIDIA FLARE: its FedAvg, with secure sums."""

from pathlib import Path

import torch
from hospital import HOSPITALS, Net, rows_of
from nvflare.recipe import SimEnv

from secagg.adapters.flare import SecAggRecipe

HERE = Path(__file__).parent
ROUNDS = 3


def main() -> None:
    """Train in FLARE's simulator, and test the model on rows that no hospital has."""
    recipe = SecAggRecipe(
        name="breast-cancer",
        model=Net(),
        train_script=str(HERE / "client.py"),
        min_clients=HOSPITALS - 1,  # one may be missing
        num_rounds=ROUNDS,
        clip=2.0,
        weight_max=128,
        metrics={"train_loss": (0.0, 10.0)},
    )
    recipe.execute(SimEnv(num_clients=HOSPITALS, workspace_root="simulation"))
    kept = Path("simulation/breast-cancer/server/simulate_job/app_server/FL_global_model.pt")
    model = Net()
    model.load_state_dict(torch.load(kept, weights_only=False)["model"])
    rows, outcomes = rows_of(0)
    right = (model(rows).argmax(dim=1) == outcomes).float().mean()
    print(f"{ROUNDS} rounds, {HOSPITALS} hospitals: {right:.0%} right on rows that nobody trained on")


if __name__ == "__main__":
    main()
