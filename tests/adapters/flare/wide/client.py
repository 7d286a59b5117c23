"""Training in a process of its own: every value moves by its column and the site's number."""

import os

import nvflare.client as flare
import torch

flare.init()
site = int(flare.get_site_name().rpartition("-")[2])
print(f"site {site} trains in process {os.getpid()} of {os.getppid()}", flush=True)
while flare.is_running():
    model = flare.receive()
    if model is None:
        break
    params = dict(model.params)
    params["wide"] = params["wide"] + 0.0001 * site * torch.arange(1000)
    params["seen"] = params["seen"] + site
    flare.send(flare.FLModel(params=params, params_type="FULL", meta={"NUM_STEPS_CURRENT_ROUND": 10 * site}))
