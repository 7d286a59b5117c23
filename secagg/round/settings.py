"""The aggregator's knobs, checked when they are read. The sites' own floors (`policy`) stand above all of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from secagg.codec import CALIBRATE, CalibrationTerms, Codec, Layout, MeanTerms, Terms, fit, terms_called
from secagg.privacy.charges import ChargeLog
from secagg.privacy.mechanism import Mechanism
from secagg.privacy.spending import Spending
from secagg.schemes import EARLY_KEYS, SCHEMES, parameters_of
from secagg_he import GroupKeyHandle
from secagg_protocols import Aggregator, DurableServer, Identity, ParameterError, Roster, RoundContext, Scheme, Server

from .audit import ServerTrail
from .private import LEDGER, InstitutionTerms
from .terms import CodecTerms

FILES = ("identity", "roster", "group_key", "audit", LEDGER)
"""Knobs that name the aggregator's own files."""
_ACTIVE = "adversary='active' needs the server's identity and the roster: give both files"
_AUDIT = "audit needs identity: a log is signed by whoever writes it; give the file of one"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the aggregator decides.

    codec: by which vectors are made, as its terms. scheme: a name in `secagg.schemes`. identity, roster: the
    aggregator's own, for adversary="active". group_key: its handle of the participants' key, for bfv and ckks. audit:
    the log of every round, signed with the identity. dp_ledger: the file of what rounds with noise have spent, signed
    likewise, so that another run goes on from there; None: that ends with the process. parameters: what else the scheme
    takes; early_keys is True unless it says otherwise.

    reruns: how often a model is asked about again when a round failed late; sites must allow as many (their `reruns`).
    minimum_cohort: fewest sites to ask; each site's own has the last word.
    """

    codec: Terms
    scheme: str = "bonawitz"
    reruns: int = 0
    minimum_cohort: int = 3
    identity: Identity | None = None
    roster: Roster | None = None
    group_key: GroupKeyHandle | None = field(default=None, repr=False)
    audit: ServerTrail | None = field(default=None, repr=False)
    dp_ledger: Path | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise ParameterError(f"scheme={self.scheme!r} is unknown; choose from {', '.join(SCHEMES)}")
        if (
            self.scheme not in EARLY_KEYS and self.parameters.get("early_keys") is False
        ):  # another scheme's, left as it was
            kept = {name: value for name, value in self.parameters.items() if name != "early_keys"}
            object.__setattr__(self, "parameters", kept)
        known = {item.name for item in fields(SCHEMES[self.scheme])} - {"participants", "length", "value_bits"}
        if strange := sorted(self.parameters.keys() - known):
            raise ParameterError(f"{strange[0]!r} is no knob of SecAgg and no parameter of {self.scheme}")
        if self.active and (self.identity is None or self.roster is None):
            raise ParameterError(_ACTIVE)
        if self.group_key is not None and self.group_key.need.kind != self.scheme:
            raise ParameterError(
                f"group_key is for {self.group_key.need.kind}, not for scheme={self.scheme!r}: make one for it"
            )
        if self.dp_ledger is not None and not isinstance(self.codec, InstitutionTerms):
            raise ParameterError(f"{LEDGER}={self.dp_ledger} without dp_epsilon: it counts what rounds with noise cost")
        if self.dp_ledger is not None and self.identity is None:
            raise ParameterError(f"{LEDGER} needs identity: it is signed by whoever writes it; give the file of one")
        self.codec.check()

    @property
    def active(self) -> bool:
        """Whether the scheme is to withstand a server that may do anything."""
        return bool(self.parameters.get("adversary") == "active")

    @classmethod
    def of(cls, knobs: Mapping[str, Any], folder: Path = Path()) -> Self:
        """Sort knobs into our own, the codec's and the scheme's. identity, roster, group_key: paths, or what they hold.
        folder: what paths are relative to.

        codec: a codec's kind, by default "mean", whose knobs are then the fields of its terms (`MeanTerms`: clip, the
        range of one value of an update, ±clip; value_bits; weight_max, the largest weight, 0 for a plain mean; metrics,
        name → (low, high), that ride hidden in the sum); or terms. clip="calibrate" asks for a round that proposes
        clips (`CalibrationCodec`); the mean's other knobs may stay where they are. dp_…: noise under the sum, for
        institutions (`private.InstitutionTerms`), in place of a codec.
        """
        knobs = InstitutionTerms.among(knobs)
        codec = knobs.get("codec", MeanTerms.kind)
        if not isinstance(codec, Terms):
            called = terms_called(str(codec))
            asked = {name: knobs[name] for name in called.__struct_fields__ if name in knobs}
            knobs = {name: value for name, value in knobs.items() if name not in asked}
            codec = called.of(asked) if asked.get("clip") != CALIBRATE else CalibrationTerms()
        own = {item.name for item in fields(cls)} - {"parameters"}
        said = {name: value for name, value in knobs.items() if name in own} | {"codec": codec}
        for name, kind in (("identity", Identity), ("roster", Roster), ("group_key", GroupKeyHandle)):
            if isinstance(path := said.get(name), str | Path):
                said[name] = kind.load(folder / Path(path).expanduser())
        if isinstance(said.get("audit"), str | Path):
            if said.get("identity") is None:
                raise ParameterError(_AUDIT)
            said["audit"] = ServerTrail(folder / Path(said["audit"]).expanduser(), said["identity"])
        if isinstance(path := said.get(LEDGER), str | Path):
            said[LEDGER] = folder / Path(path).expanduser()
        return cls(**said, parameters={name: value for name, value in knobs.items() if name not in own})

    @classmethod
    def check_plan(cls, knobs: Mapping[str, Any], participants: int, layout: Layout | None) -> Self:
        """Raise `ParameterError` for knobs with which no round of so many about such a model can be run; return the
        settings without the files that knobs name: for whoever describes a training that is run elsewhere, from what
        can be written as JSON. layout: None where the model is not known yet."""
        try:
            json.dumps(dict(knobs))
        except TypeError as error:
            raise ParameterError(f"knobs travel as JSON ({error}): give paths and plain values") from None
        said = {name: value for name, value in knobs.items() if name not in (*FILES, "adversary")}
        settings = cls.of(said)
        adversary = {"adversary": knobs["adversary"]} if "adversary" in knobs else {}
        if adversary.get("adversary") == "active" and not {"identity", "roster"} <= knobs.keys():
            raise ParameterError(_ACTIVE)
        if "audit" in knobs and "identity" not in knobs:
            raise ParameterError(_AUDIT)
        settings.check_sampled(participants)
        if layout is not None:
            planned, _ = settings.planned(participants, layout)
            planned.make_scheme(participants, planned.terms().codec(layout), **adversary)
        return settings

    @property
    def spending(self) -> Spending | None:
        """What is to be charged with each round; None without differential privacy. Raises what `ChargeLog` raises."""
        if not isinstance(self.codec, InstitutionTerms):
            return None
        if self.dp_ledger is None or self.identity is None:
            return Spending(self.codec.budget)
        return Spending(self.codec.budget, ChargeLog(self.dp_ledger, self.identity))

    def planned(self, participants: int, layout: Layout) -> tuple[Self, Mechanism | None]:
        """Return these settings with the codec and the noise for so many, and their mechanism; as they are, and None,
        without differential privacy. Raises `ParameterError`."""
        if not isinstance(self.codec, InstitutionTerms):
            return self, None
        mechanism = self.codec.plan(participants, layout.size, SCHEMES[self.scheme].removes_noise)
        parameters = {**self.parameters, "noise": str(mechanism.noise)}
        if "colluders" in parameters_of(self.scheme):
            parameters.setdefault("colluders", mechanism.colluders)
        terms = mechanism.codec(layout).terms
        return replace(self, codec=terms, dp_ledger=None, parameters=parameters), mechanism

    def terms(self, weight_key: str = "num-examples") -> CodecTerms:
        """Return the codec's part of a proposal."""
        return CodecTerms.of(self.codec, weight_key)

    def participants(self, peers: int) -> int:
        """Return how many participants the scheme is made for: with a roster, all that it lists."""
        return len(self.roster.participants) if self.active and self.roster is not None else peers

    def check_released_to_server(self, runtime: str) -> None:
        """Raise `ParameterError` where the sum would be kept from the aggregator. runtime: what needs it there."""
        key = self.group_key
        if self.parameters.get("release_to", "server") != "server" or (key is not None and not key.need.releases):
            raise ParameterError(
                f"release_to='participants' keeps the sum from the server, and {runtime} needs it there: make a "
                "group key that releases to the server"
            )

    def check_seconds(self, *names: str) -> None:
        """Raise `ParameterError` where one of these is no time."""
        for name in names:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise ParameterError(f"{name}={value} is no time; give seconds")

    def check_sampled(
        self, peers: int, remedy: str = "raise min_clients and connect as many", key: str = "minimum-cohort"
    ) -> None:
        """Raise `ParameterError` where so few are about to be asked that no site would answer. key: how sites write
        their floor."""
        if peers < self.minimum_cohort:
            raise ParameterError(
                f"{peers} sites are sampled, and a secure sum takes {self.minimum_cohort}: {remedy}, or allow fewer, "
                f"minimum_cohort here and {key} at every site"
            )

    def make_scheme(self, participants: int, codec: Codec, **more: Any) -> Scheme:
        """Make the scheme for so many. more: parameters beside those of the settings. Raises `ParameterError`, with a
        remedy where a graph is too sparse."""
        scheme = self.make_scheme_for(participants, codec.length, codec.value_bits, **more)
        fit(scheme, codec)
        return scheme

    def make_scheme_for(self, participants: int, length: int, value_bits: int, **more: Any) -> Scheme:
        """The same for integers that no codec makes."""
        kind = SCHEMES[self.scheme]
        early = {"early_keys": True} if self.scheme in EARLY_KEYS else {}
        of_the_key = {} if self.group_key is None else self.group_key.need.of_a_scheme
        parameters = {**early, **of_the_key, **self.parameters, **more}
        try:
            return kind(participants, length, value_bits=value_bits, **parameters)
        except ParameterError as refused:
            if "neighbours" not in parameters_of(self.scheme):
                raise
            raise ParameterError(
                f"{self.scheme} cannot meet its bounds with {participants} nodes ({refused}): "
                "take scheme='bonawitz', which is made for as few"
            ) from None

    def make_server(
        self, scheme: Scheme, context: RoundContext, now: datetime, folder: Path | None = None
    ) -> Server | DurableServer:
        """Make the aggregator's machine for one round; in a folder, one that can be rebuilt (`journal.kept_round`).

        Raises `ParameterError` for a roster that is not valid now, and what `DurableServer` raises.
        """
        party = Aggregator(
            identity=self.identity if scheme.active else None,
            roster=self.roster if scheme.active else None,
            standing=self.group_key,
            now=now,
        )
        return scheme.server(context, party) if folder is None else DurableServer(folder, scheme, context, party)


def knobs_of(given: Mapping[str, bool | float | int | str], prefix: str = "secagg-") -> dict[str, Any]:
    """Return the knobs in a configuration: keys with the prefix, in kebab-case. Empty texts mean: not given.

    `metrics` is a text, "train-loss:0:10, accuracy:0:1". Raises `ParameterError`.
    """
    knobs: dict[str, Any] = {}
    for key, value in given.items():
        if key.startswith(prefix) and value != "":
            knobs[key.removeprefix(prefix).replace("-", "_")] = value
    if "metrics" in knobs:
        knobs["metrics"] = _ranges(knobs["metrics"], prefix)
    return knobs


def _ranges(text: object, prefix: str) -> dict[str, tuple[float, float]]:
    ranges = {}
    for row in str(text).split(","):
        name, *limits = row.strip().rsplit(":", 2)
        try:
            low, high = map(float, limits)
        except ValueError:
            raise ParameterError(f"{prefix}metrics: {row.strip()!r} is not name:low:high") from None
        ranges[name] = (low, high)
    return ranges
