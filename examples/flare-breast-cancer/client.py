"""A hospital's script, by FLARE's Client API. There is nothing about secure sums in it."""

import nvflare.client as flare
import torch
from hospital import Net, rows_of, train

flare.init()
rows, outcomes = rows_of(int(flare.get_site_name().rpartition("-")[2]))
model = Net()
while flare.is_running():
    received = flare.receive()
    if received is None:
        break
    model.load_state_dict({name: torch.as_tensor(values) for name, values in received.params.items()})
    loss = train(model, rows, outcomes)
    flare.send(
        flare.FLModel(
            params=model.state_dict(),
            params_type="FULL",
            metrics={"train_loss": loss},
            meta={"NUM_STEPS_CURRENT_ROUND": len(rows)},
        )
    )
