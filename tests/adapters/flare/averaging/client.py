"""A training script as users write it. Argument: a folder, in which it leaves each model that it received, and by
which sites wait for each other: site 2 is slow in round 0, site 3 fails in round 1."""

import sys
import time
from pathlib import Path

import nvflare.client as flare
import torch
from net import Net, loss_of, trained, weight_of

FOLDER = Path(sys.argv[1])
SLOW, FAILS = 2, 3


def wait_for(name, seconds=60):
    until = time.monotonic() + seconds
    while not (FOLDER / name).exists() and time.monotonic() < until:
        time.sleep(0.1)


def main():
    flare.init()
    own = int(flare.get_site_name().removeprefix("site-"))
    net = Net()
    while flare.is_running():
        model = flare.receive()
        if model is None:
            break
        number = model.current_round
        net.load_state_dict({name: torch.as_tensor(values) for name, values in model.params.items()})
        torch.save(net.state_dict(), FOLDER / f"received-{number}-{own}")
        if (own, number) == (SLOW, 0):
            wait_for("received-1-1")  # the others are a round ahead
        if own == 1 and number == 1:
            time.sleep(3)  # so the slow one is there again in the next
        if (own, number) == (FAILS, 1):
            raise ValueError("this site's data are broken")
        state = trained(own, net.state_dict())
        metrics = {"loss": loss_of(own), "secret": 42.0}
        flare.send(flare.FLModel(params=state, metrics=metrics, meta={"NUM_STEPS_CURRENT_ROUND": weight_of(own)}))


main()
