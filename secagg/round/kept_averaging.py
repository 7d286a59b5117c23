"""Federated averaging in a folder, as a coordinator runs it whose process ends between any two messages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from numpy.typing import NDArray

from secagg.codec import MeanTerms
from secagg_protocols import DurableServer, InputError, Output, ParameterError, RoundContext, RoundFailed
from secagg_protocols.core import storage

from .audit import Stamp, model_digest
from .context import bound_digest
from .journal import kept_round
from .own_training import Training
from .packed import packed, unpacked
from .rounds import Round
from .settings import Settings
from .terms import Proposal
from .updates import Arrays, applied, layout_of, mean_of

_FILE = "averaging"


class _Kept(msgspec.Struct, frozen=True):
    """job; round: the one at hand, from 1; model: its arrays; survivors: of each round so far, 0 for one that failed;
    ahead: site → keys that came for the round at hand."""

    job: str
    round: int
    model: bytes
    survivors: tuple[int, ...] = ()
    ahead: dict[str, bytes] = {}


class KeptAveraging:
    """All rounds of one training, each made anew from the folder. names: of the sites. begin: where it begins
    (`first`), in a new folder; None: it goes on.

    Raises `ParameterError` for settings that do not fit, `InputError` for a damaged folder.
    """

    may_leave_out = True

    def __init__(
        self, training: Training, settings: Settings, names: Sequence[str], folder: Path, begin: _Kept | None = None
    ) -> None:
        self._training = training
        self._settings = settings
        self._names = names
        self._folder = folder
        if not isinstance(settings.codec, MeanTerms):
            raise ParameterError("averaging in a folder has plain means: leave dp_… and clip='calibrate' out")
        settings.check_sampled(len(names), "ask more sites")
        if begin is not None:
            storage.make_folder(folder)
            self._keep(begin)
            return
        try:
            self._kept = msgspec.msgpack.decode((folder / _FILE).read_bytes(), type=_Kept)
        except (OSError, msgspec.MsgspecError) as error:
            raise InputError(f"{folder / _FILE} is damaged ({error}): begin again in another folder") from None

    @staticmethod
    def first(job: str, model: Arrays) -> _Kept:
        """Return where a training begins."""
        return _Kept(job, 1, packed(model))

    @property
    def job(self) -> str:
        """The job of all rounds."""
        return self._kept.job

    @property
    def done(self) -> bool:
        """Whether the last round is over."""
        return self._kept.round > self._training.rounds

    @property
    def survivors(self) -> tuple[int, ...]:
        """How many sites' updates are in the mean of each round."""
        return self._kept.survivors

    @property
    def model(self) -> dict[str, NDArray[Any]]:
        """The model as it is now."""
        return unpacked(self._kept.model)

    @contextmanager
    def open(self) -> Iterator[Round[str]]:
        """Yield the round at hand, where it was left. One that fails is skipped."""
        kept, settings = self._kept, self._settings
        arrays = self.model
        terms = settings.terms()
        codec = terms.codec(layout_of(arrays))
        scheme = settings.make_scheme(settings.participants(len(self._names)), codec)
        digest = bound_digest(self._training.received(arrays), terms.to_bytes())
        context = RoundContext(kept.job, kept.round, digest)
        ahead = scheme.early_keys and kept.round < self._training.rounds
        folder = self._folder / f"round-{kept.round}"
        server = settings.make_server(scheme, context, datetime.now(UTC), folder)
        assert isinstance(server, DurableServer)
        proposal = Proposal.of(scheme, context, terms=terms.to_bytes(), ahead=ahead)
        try:
            with kept_round(folder, server, proposal, self._names, kept.ahead) as rnd:
                self._codec, self._round = codec, rnd
                yield rnd
        except RoundFailed:
            self._turn(arrays, 0)
            raise

    def close(self, output: Output) -> None:
        """Take the sum of a round. Raises `InputError` for one that no updates have."""
        after = applied(self.model, mean_of(output, self._codec))
        self._turn(after, len(output.survivors))

    def _turn(self, after: Arrays, survivors: int) -> None:
        kept = self._kept
        if self._settings.audit is not None:
            before, model = model_digest(self.model), model_digest(after)
            self._settings.audit.write_round(self._round, Stamp(now=datetime.now(UTC), model=before, model_after=model))
        ahead = {name: bytes(data) for name, data in self._round.keys_ahead.items()}
        self._keep(_Kept(kept.job, kept.round + 1, packed(after), (*kept.survivors, survivors), ahead))
        shutil.rmtree(self._folder / f"round-{kept.round}", ignore_errors=True)

    def _keep(self, kept: _Kept) -> None:
        storage.replace(self._folder / _FILE, msgspec.msgpack.encode(kept))
        self._kept = kept
