"""The server's knobs, checked when `SecAgg` is made, from Python or from `[tool.flwr.app.config]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from secagg.codec import Codec, Layout
from secagg.schemes import EARLY_KEYS, SCHEMES, parameters_of
from secagg_he import GroupKeyHandle
from secagg_protocols import Identity, ParameterError, Roster, Scheme

from .records import CodecTerms, guard_bits

PREFIX = "secagg-"


_CHOOSING = (
    "one site can move any value of the mean by clip · weight_max / total weight, so take clip near the largest change "
    "of one value in training (the 99.9th percentile of |new − received| on your own data), and weight_max near the "
    "number of examples of the largest site (0: a plain mean)"
)


@dataclass(frozen=True)
class Settings:
    """What the server decides. The participants' own floors (`policy`) stand above all of it.

    clip: values of an update are clipped to ±clip, in the model's unit. weight_max: the largest weight a participant
    may have (larger ones count as that), public; 0 for a plain mean. These two have no default: one site can move any
    value of a round's mean by clip · weight_max / total weight, and nobody sees it.

    scheme: a name in `secagg.schemes`. value_bits: bits per value on the wire, 1 … 32. metrics: name → (low, high),
    metrics that ride hidden in the sum. stage_timeout:
    seconds that each step without training may take. identity, roster: files, for adversary="active". group_key: the
    server's handle of the participants' key, for bfv and ckks. run_config: `context.run_config`, for trainers that read
    it: bound, so that it is the same at every node; when it is not given here, trainers get an empty one. reruns: how
    often a model is asked about again when a round failed late; nodes must allow as many (`secagg-reruns`). parameters:
    what else the scheme takes; early_keys is True unless it says otherwise.
    """

    clip: float
    weight_max: int
    scheme: str = "bonawitz"
    value_bits: int = 24
    metrics: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    stage_timeout: float = 120.0
    identity: Identity | None = None
    roster: Roster | None = None
    group_key: GroupKeyHandle | None = field(default=None, repr=False)
    run_config: Mapping[str, bool | float | int | str] | None = None
    reruns: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise ParameterError(f"scheme={self.scheme!r} is unknown; choose from {', '.join(SCHEMES)}")
        known = {item.name for item in fields(SCHEMES[self.scheme])} - {"participants", "length", "value_bits"}
        if strange := sorted(self.parameters.keys() - known):
            raise ParameterError(f"{strange[0]!r} is no knob of SecAgg and no parameter of {self.scheme}")
        if self.stage_timeout <= 0:
            raise ParameterError(f"stage_timeout={self.stage_timeout} is no time; give seconds")
        if self.active and (self.identity is None or self.roster is None):
            raise ParameterError("adversary='active' needs the server's identity and the roster: give both files")
        self._check_group_key()
        if self.roster is not None:
            self.roster.check_valid_at(datetime.now(UTC))
        self.terms("num-examples").codec(Layout(("probe",), ((1,),), ("float32",)))

    def _check_group_key(self) -> None:
        key = self.group_key
        if key is not None and key.need.kind != self.scheme:
            raise ParameterError(f"group_key is for {key.need.kind}, not for scheme={self.scheme!r}: make one for it")
        kept = self.parameters.get("release_to", "server") != "server" or (key is not None and not key.need.releases)
        if kept:
            raise ParameterError(
                "release_to='participants' keeps the sum from the server, and a Flower strategy needs it there: make a "
                "group key that releases to the server"
            )

    @property
    def active(self) -> bool:
        """Whether the scheme is to withstand a server that may do anything."""
        return bool(self.parameters.get("adversary") == "active")

    @classmethod
    def of(cls, knobs: Mapping[str, Any]) -> Settings:
        """Sort knobs into our own and the scheme's. identity, roster, group_key: paths, or what they hold."""
        own = {item.name for item in fields(cls)} - {"parameters"}
        said = {name: value for name, value in knobs.items() if name in own}
        if isinstance(said.get("identity"), str | Path):
            said["identity"] = Identity.load(Path(said["identity"]).expanduser())
        if isinstance(said.get("roster"), str | Path):
            said["roster"] = Roster.load(Path(said["roster"]).expanduser())
        if isinstance(said.get("group_key"), str | Path):
            said["group_key"] = GroupKeyHandle.load(Path(said["group_key"]).expanduser())
        if missing := [name for name in ("clip", "weight_max") if said.get(name) is None]:
            raise ParameterError(
                f"SecAgg(…) is not given {' and '.join(missing)}, for which there is no safe default: {_CHOOSING}"
            )
        return cls(**said, parameters={name: value for name, value in knobs.items() if name not in own})

    def terms(self, weight_key: str) -> CodecTerms:
        """Return the codec's part of a proposal."""
        rows = tuple((name, float(low), float(high)) for name, (low, high) in sorted(self.metrics.items()))
        return CodecTerms(float(self.clip), self.value_bits, self.weight_max, rows, weight_key)

    def make_scheme(self, participants: int, codec: Codec) -> Scheme:
        """Make the scheme for so many nodes. Raises `ParameterError`, with a remedy where a graph is too sparse."""
        kind = SCHEMES[self.scheme]
        early = {"early_keys": True} if self.scheme in EARLY_KEYS else {}
        of_the_key = {} if self.group_key is None else self.group_key.need.of_a_scheme
        parameters = {**early, **of_the_key, **self.parameters}
        try:
            scheme = kind(participants, codec.length, value_bits=codec.value_bits, **parameters)
            if not (guard := guard_bits(scheme)):
                return scheme
            return kind(participants, codec.length, value_bits=codec.value_bits + guard, **parameters)
        except ParameterError as refused:
            if "neighbours" not in parameters_of(self.scheme):
                raise
            raise ParameterError(
                f"{self.scheme} cannot meet its bounds with {participants} nodes ({refused}): "
                "take scheme='bonawitz', which is made for as few"
            ) from None


def knobs_of(run_config: Mapping[str, bool | float | int | str]) -> dict[str, Any]:
    """Return the knobs in a run configuration: keys `secagg-…`, in kebab-case. Empty texts mean: not given.

    `secagg-metrics` is a text, "train-loss:0:10, accuracy:0:1". Raises `ParameterError`.
    """
    knobs: dict[str, Any] = {}
    for key, value in run_config.items():
        if key.startswith(PREFIX) and value != "":
            knobs[key.removeprefix(PREFIX).replace("-", "_")] = value
    if "metrics" in knobs:
        knobs["metrics"] = _ranges(knobs["metrics"])
    return knobs


def _ranges(text: object) -> dict[str, tuple[float, float]]:
    ranges = {}
    for row in str(text).split(","):
        name, *limits = row.strip().rsplit(":", 2)
        try:
            low, high = map(float, limits)
        except ValueError:
            raise ParameterError(f"{PREFIX}metrics: {row.strip()!r} is not name:low:high") from None
        ranges[name] = (low, high)
    return ranges
