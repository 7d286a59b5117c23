"""A training script as FLARE's users write it. Its training adds 0.01 · site to every weight."""

import numpy as np
import nvflare.client as flare
from nvflare.app_common.abstract.fl_model import FLModel, ParamsType

flare.init()
site = int(flare.get_site_name().rpartition("-")[2])
while flare.is_running():
    model = flare.receive()
    if model is None:
        break
    params = {name: np.asarray(values, np.float32) + np.float32(0.01 * site) for name, values in model.params.items()}
    meta = {"NUM_STEPS_CURRENT_ROUND": 10 * site, "secret": 42.0}
    flare.send(FLModel(params=params, params_type=ParamsType.FULL, metrics={"accuracy": site / 10}, meta=meta))
