"""What FLARE's FedAvg recipes need to become secure ones."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np
from nvflare.app_common.utils.math_utils import parse_compare_criteria
from nvflare.client.config import ExchangeFormat

from secagg.round.updates import layout_of
from secagg_protocols import ParameterError

from .controller import SecAggController, Settings
from .site import JOB_PART, DataFilter, Participant, ResultFilter
from .task import TRAIN, VALIDATE

_REFUSED = {
    "aggregator": "it would see single updates, and only their mean is known",
    "aggregation_weights": "a site reports its own weight, NUM_STEPS_CURRENT_ROUND, which stays hidden",
    "exclude_vars": "all floats of a model are averaged",
}


class SecureRecipe:
    """Before a FedAvg recipe of FLARE. Beside its arguments: scheme; knobs, see `Settings` and its `of`: clip and
    weight_max must be given; parts: "job", which brings participant and filters, or "site", which has its own.

    Raises `ParameterError` for what could not be run.
    """

    def __init__(self, *, scheme: str = "bonawitz", parts: str = "job", **given: Any) -> None:
        flares = {name: given.pop(name) for name in inspect.signature(super().__init__).parameters if name in given}
        self.parts, self.knobs = parts, {"scheme": scheme, **given}
        if parts not in ("job", "site"):
            raise ParameterError(f"parts={parts!r} is unknown; choose from job, site")
        for name, why in _REFUSED.items():
            if flares.get(name):
                raise ParameterError(f"{name} does not fit secure sums: {why}; leave it out")
        if flares.get("server_expected_format", ExchangeFormat.NUMPY) != ExchangeFormat.NUMPY:
            raise ParameterError(
                "server_expected_format does not fit secure sums: they are of numpy arrays; leave it out"
            )
        try:
            json.dumps(self.knobs)
        except TypeError as error:
            raise ParameterError(f"knobs travel in the job as JSON ({error}): give paths and plain values") from None
        super().__init__(**flares)

    def _create_controller(self, persistor_id: str, model_params: Any, model_aggregator: Any) -> SecAggController:
        """FLARE: the server's part."""
        settings = Settings.check_plan(self.knobs, self.min_clients, self._layout())  # type: ignore[attr-defined]
        settings.check_sampled(self.min_clients, "raise min_clients", "minimum-cohort")  # type: ignore[attr-defined]
        plain = super()._create_controller(persistor_id, model_params, model_aggregator)  # type: ignore[misc]
        if plain.stop_cond:
            metric = parse_compare_criteria(plain.stop_cond)[0]
            if metric not in getattr(settings.codec, "metrics", {}):
                raise ParameterError(
                    f"stop_cond: {metric!r} stays at the sites; agree on a range of it (knob: metrics)"
                )
        names = ("num_clients", "num_rounds", "model", "save_filename", "stop_cond", "patience", "memory_gc_rounds")
        same = {name: getattr(plain, name) for name in names}
        return SecAggController(persistor_id=persistor_id, knobs=self.knobs, **same)

    def _layout(self) -> Any:
        """Return the model's layout; None where it is not known yet."""
        model = self.model  # type: ignore[attr-defined]
        if callable(state := getattr(model, "state_dict", None)):
            return layout_of({name: values.detach().cpu().numpy() for name, values in state().items()})
        return layout_of({"model": np.asarray(model, np.float32)}) if isinstance(model, list | np.ndarray) else None

    def _validate_before_use(self) -> None:
        """FLARE: a job is about to be made. Ours come last: other filters act on an update before its mask."""
        super()._validate_before_use()  # type: ignore[misc]
        job: Any = self
        job._job.set_app_packages(["secagg", "secagg_protocols", "secagg_he"])  # installed, not copied into the job
        if self.parts == "job":
            self.parts = "job, added"
            job._add_to_client_apps(Participant(), id=JOB_PART)
            for task in (TRAIN, VALIDATE, "submit_model"):
                job.add_client_input_filter(DataFilter(), tasks=[task])
                job.add_client_output_filter(ResultFilter(), tasks=[task])
