"""A federation without a framework: real sites with real stores and files, one aggregator, any transport between them.

A site is made anew for every request, from its files alone, as in a runtime that starts a process for each message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from secagg.round import (
    CodecTerms,
    Proposal,
    Requests,
    Round,
    Settings,
    Site,
    SitePolicy,
    bound_digest,
    drive,
    kept_round,
    received_digest,
)
from secagg.round.audit import model_digest
from secagg.round.updates import applied, change, layout_of, mean_of, vector_of
from secagg_protocols import DurableServer, Identity, Roster, RoundContext, RoundFailed

NOW = datetime(2026, 11, 26, tzinfo=UTC)
ACTIVE = {"adversary": "active"}
SCHEMES: dict[str, dict[str, Any]] = {
    "bonawitz": {},
    "bonawitz active": {"scheme": "bonawitz", **ACTIVE},
    "secagg-plus": {"neighbours": 4, "threshold": 3, "corrupt_rate": 0.0, "dropout_rate": 0.0},
    "lightsecagg": {},
    "threshold-ckks": {},
    "threshold-ckks active": {"scheme": "threshold-ckks", **ACTIVE},
    "bfv": {},
    "ckks": {},
}
"""Everything that a site takes part in, by name, with what five participants need."""


def model(seed: int = 0, extra: int = 0) -> dict[str, np.ndarray]:
    """A small model; extra: so many values more."""
    rng = np.random.default_rng(seed)
    return {
        **({"long": np.zeros(extra, dtype=np.float32)} if extra else {}),
        "weight": rng.normal(size=(3, 4)).astype(np.float32),
        "count": np.array([7], dtype=np.int64),
        "bias": rng.normal(size=4),
    }


def trained(own: int, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What a participant's training makes of a model: any function of both that depends on each."""
    rng = np.random.default_rng(own)
    return {
        name: (values + 0.1 * np.tanh(values) * rng.normal(size=values.shape)).astype(values.dtype)
        for name, values in arrays.items()
    }


def weight_of(own: int) -> int:
    return 10 + own


class Reached(Exception):
    """A round has come as far as it was to."""


class Federation:
    """Sites `site-1` … `site-n` in a folder, and what the aggregator needs. knobs: `Settings.of`.

    config: what is in a site's own configuration, beside its files. asked: how many sites each step of the last `run`
    asked.
    """

    def __init__(
        self, folder: Path, sites: int = 5, extra: int = 0, config: Mapping[str, Any] | None = None, **knobs: Any
    ) -> None:
        self.asked: list[int] = []
        self.folder, self.names = folder, [f"site-{own}" for own in range(1, sites + 1)]
        self.config = {name: dict(config or {}) for name in self.names}
        self.job = "job"
        if knobs.get("adversary") == "active":
            identities = [Identity.generate(f"party {own}") for own in range(sites + 1)]
            self.roster = Roster.of("x25519", [one.public(own) for own, one in enumerate(identities)])
            self.roster.save(folder / "roster")
            for name, identity in zip(self.names, identities[1:], strict=True):
                identity.save(folder / f"{name}.identity")
                files = {"roster": folder / "roster", "identity": folder / f"{name}.identity"}
                self.config[name] = self.config[name] | {f"secagg-{key}": str(path) for key, path in files.items()}
                self.config[name]["secagg-adversary"] = "active"
            knobs |= {"identity": identities[0], "roster": folder / "roster"}
        mean = {} if "codec" in knobs else {"clip": 8.0, "weight_max": 100, "metrics": {"loss": (0.0, 1.0)}}
        self.settings = Settings.of({**mean, **knobs})
        self.terms = self.settings.terms("examples")
        self.codec = self.terms.codec(layout_of(model(extra=extra)))
        self.scheme = self.settings.make_scheme(self.settings.participants(sites), self.codec)
        if held := self.scheme.make_group_key():
            key, handle = held
            self.settings = replace(self.settings, group_key=handle)
            for name in self.names:
                key.save(folder / f"{name}.key")
                self.config[name] = self.config[name] | {"secagg-group-key": str(folder / f"{name}.key")}

    def site(self, name: str) -> Site:
        """A site, from its files alone."""
        config = {"secagg-store": str(self.folder / f"{name}.store"), **self.config[name]}
        return Site(SitePolicy.read(config), job=self.job, terms=CodecTerms.from_bytes, now=lambda: NOW)

    def proposal(
        self, number: int = 1, arrays: Mapping[str, np.ndarray] | None = None, ahead: bool = False
    ) -> Proposal:
        received = self.seen(model() if arrays is None else arrays)
        terms = self.terms.to_bytes()
        context = RoundContext(self.job, number, bound_digest(received, terms, ["config"]))
        return Proposal.of(self.scheme, context, terms=terms, bound=["config"], ahead=ahead)

    @contextmanager
    def kept(self, folder: Path, proposal: Proposal, names: list[str] | None = None) -> Iterator[Round[str]]:
        """The round as it was left in a folder, on a machine that knows nothing else of it."""
        server = self.settings.make_server(self.scheme, proposal.context, NOW, folder)
        assert isinstance(server, DurableServer)
        with kept_round(folder, server, proposal, names or self.names) as rnd:
            yield rnd

    def round(self, proposal: Proposal | None = None, names: list[str] | None = None, **more: Any) -> Round[str]:
        proposal = proposal or self.proposal()
        server = self.settings.make_server(self.scheme, proposal.context, NOW)
        return Round(server, proposal, names or self.names, **more)

    @staticmethod
    def seen(arrays: Mapping[str, np.ndarray], **settings: Any) -> bytes:
        """What a site works out from what it was really sent."""
        return received_digest(arrays, "train", {"rate": 0.1, **settings})

    def vector(self, name: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """What a site's training gives."""
        own = int(name.removeprefix("site-"))
        reported = {"examples": weight_of(own), "loss": 1 / (own + 1), "secret": 42.0}
        return vector_of(change(arrays, trained(own, arrays)), reported, self.terms, self.scheme)

    def answer(self, name: str, request: bytes, arrays: Mapping[str, np.ndarray]) -> bytes:
        """What a site answers, in a process of its own."""
        turn = self.site(name).take(request)
        if turn.awaits_vector:
            return turn.contribute(lambda: self.vector(name, arrays), self.seen(arrays), model_digest(arrays))
        return turn.answers

    def run(
        self,
        rnd: Round[str],
        arrays: Mapping[str, np.ndarray] | None = None,
        way: Callable[[str, bytes, Round[str]], bytes | None] = lambda name, request, rnd: request,
        answer: Callable[[str, bytes], bytes] | None = None,
    ) -> Round[str]:
        """Drive a round by function calls until there is a sum or none can be. way: what becomes of a request on its
        way; None: it does not get there. answer: what a site answers; by default, as it should."""
        arrays = model() if arrays is None else arrays
        self.asked = []

        def exchange(requests: Requests[str], uploads: bool) -> Iterator[tuple[str, bytes]]:
            self.asked.append(len(requests))
            for name in requests:
                if (request := way(name, requests[name], rnd)) is not None:
                    yield name, self.answer(name, request, arrays) if answer is None else answer(name, request)

        try:
            drive(rnd, exchange)
        except RoundFailed as failure:
            assert rnd.outcome.failure is failure
        return rnd

    def reach(
        self, rnd: Round[str], there: Callable[[Round[str]], bool], without: tuple[str, ...] = ()
    ) -> Requests[str]:
        """Drive a round until it is there, and return what is asked then. without: sites that never answer."""

        def exchange(requests: Requests[str], uploads: bool) -> Iterator[tuple[str, bytes]]:
            if there(rnd):
                raise Reached(requests)
            for name in requests.keys() - set(without):
                yield name, self.answer(name, requests[name], model())

        with pytest.raises(Reached) as reached:
            drive(rnd, exchange)
        requests: Requests[str] = reached.value.args[0]
        return requests

    def check(self, rnd: Round[str], survivors: list[int], arrays: Mapping[str, np.ndarray] | None = None) -> None:
        """The mean is federated averaging's over these survivors, as exactly as the codec says."""
        arrays = model() if arrays is None else arrays
        assert rnd.output is not None, rnd.outcome.failure
        assert list(rnd.output.survivors) == survivors
        mean = mean_of(rnd.output, self.codec)
        total = sum(map(weight_of, survivors))
        assert mean.weight == total
        assert mean.metrics["loss"] == pytest.approx(
            sum(weight_of(own) / (own + 1) for own in survivors) / total, abs=1e-6
        )
        after = applied(arrays, mean)
        assert list(after) == list(arrays)
        bound = self.codec.error_bound(len(survivors), total)
        for name in ("weight", "bias"):
            exact = sum(weight_of(own) / total * trained(own, arrays)[name].astype(np.float64) for own in survivors)
            assert np.abs(after[name] - exact).max() <= bound + 1e-6
            assert after[name].dtype == arrays[name].dtype
        assert after["count"] is arrays["count"]


@pytest.fixture
def federation(tmp_path: Path) -> Callable[..., Federation]:
    """A function (scheme's name in `SCHEMES`, **further) → Federation."""
    made: list[Federation] = []

    def make(name: str = "bonawitz", **further: Any) -> Federation:
        if name in ("bfv", "ckks") and not find_spec("tenseal"):
            pytest.skip("needs tenseal: pip install -c constraints.txt -e '.[he]'")
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Federation(folder, **{"scheme": name, **SCHEMES[name], **further}))
        return made[-1]

    return make


@pytest.fixture(params=SCHEMES)
def scheme_name(request: pytest.FixtureRequest) -> str:
    """Every scheme that a site takes part in."""
    return str(request.param)


@pytest.fixture(params=["bonawitz", "bonawitz active"])
def variant(request: pytest.FixtureRequest) -> str:
    """Both variants of the scheme that one begins with."""
    return str(request.param)


@pytest.fixture
def sample() -> Callable[..., dict[str, np.ndarray]]:
    """The model: (seed, extra values) → arrays."""
    return model
