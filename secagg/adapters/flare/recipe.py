"""What FLARE's FedAvg recipes need to become secure ones; and the one for numpy."""

import inspect
from typing import Any

from nvflare.app_common.np.recipes.fedavg import NumpyFedAvgRecipe
from nvflare.app_common.utils.math_utils import parse_compare_criteria
from nvflare.client.config import ExchangeFormat

from secagg.round.pushing import PushSettings
from secagg.round.updates import layout_of_model
from secagg_protocols import ParameterError

from .controller import SecAggController
from .site import JOB_PART, DataFilter, Participant, ResultFilter
from .task import TRAIN, VALIDATE

_SAME = ("num_clients", "num_rounds", "model", "save_filename", "stop_cond", "patience", "memory_gc_rounds")
_REFUSED = {
    "aggregator": "it would see single updates, and only their mean is known",
    "aggregation_weights": "a site reports its own weight, NUM_STEPS_CURRENT_ROUND, which stays hidden",
    "exclude_vars": "all floats of a model are averaged",
    "server_expected_format": "they are of numpy arrays",
}


class SecureRecipe:
    """Before a FedAvg recipe of FLARE. Beside its arguments: scheme; knobs, see `PushSettings` and its `of`: clip and
    weight_max must be given; parts: "job", which brings participant and filters, or "site", which has its own.
    Raises `ParameterError` for what could not be run."""

    def __init__(self, *, scheme: str = "bonawitz", parts: str = "job", **given: Any) -> None:
        flares = {name: given.pop(name) for name in inspect.signature(super().__init__).parameters if name in given}
        self.parts, self.knobs = parts, {"scheme": scheme, **given}
        if parts not in ("job", "site"):
            raise ParameterError(f"parts={parts!r} is unknown; choose from job, site")
        for name, why in _REFUSED.items():
            if flares.get(name) and flares[name] != ExchangeFormat.NUMPY:
                raise ParameterError(f"{name} does not fit secure sums: {why}; leave it out")
        super().__init__(**flares)

    def _create_controller(self, *args: Any, **named: Any) -> SecAggController:
        plain = super()._create_controller(*args, **named)  # type: ignore[misc]
        settings = PushSettings.check_plan(self.knobs, plain.num_clients, layout_of_model(getattr(self, "model", None)))
        known = getattr(settings.codec, "metrics", {})
        if plain.stop_cond and (metric := parse_compare_criteria(plain.stop_cond)[0]) not in known:
            raise ParameterError(f"stop_cond: {metric!r} stays at the sites; agree on a range of it (knob: metrics)")
        same = {name: getattr(plain, name) for name in _SAME}
        return SecAggController(persistor_id=plain._persistor_id, knobs=self.knobs, **same)

    def _validate_before_use(self) -> None:
        """FLARE: a job is about to be made. Ours come last: other filters act on an update before its mask."""
        job: Any = self
        job._job.set_app_packages(["secagg", "secagg_protocols", "secagg_he"])  # installed, not copied into the job
        if self.parts == "job":
            self.parts = "job, added"
            job._add_to_client_apps(Participant(), id=JOB_PART)
            for task in (TRAIN, VALIDATE, "submit_model"):
                job.add_client_input_filter(DataFilter(), tasks=[task])
                job.add_client_output_filter(ResultFilter(), tasks=[task])


class NumpySecAggRecipe(SecureRecipe, NumpyFedAvgRecipe):  # type: ignore[misc]  # nvflare is not type-checked here
    """FLARE's NumpyFedAvgRecipe, with secure sums: its arguments, and those of `SecureRecipe`."""
