"""`job.py WORKSPACE SITES`: one round in FLARE's simulator."""

import sys
from pathlib import Path

from net import Net
from nvflare.recipe import SimEnv

from secagg.adapters.flare import SecAggRecipe

if __name__ == "__main__":
    recipe = SecAggRecipe(
        name="wide",
        model=Net(),
        min_clients=int(sys.argv[2]),
        num_rounds=1,
        train_script=str(Path(__file__).with_name("client.py")),
        launch_external_process=True,
        clip=1.0,
        weight_max=100,
    )
    recipe.execute(SimEnv(num_clients=int(sys.argv[2]), workspace_root=sys.argv[1]))
