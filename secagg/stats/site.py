"""A site's side of every query: what it is asked, what it refuses, what it adds. Whatever the transport.

    site = StatSite(policy, "lung.csv")
    answer = site.take(request)

A query is refused by the site's own floor (`floor.StatPolicy`) before keys are made, and whose sum it is in by its own
ledger before anything is signed or opened (`ledger`). What is refused is told in one line, which names the site's key;
what is wrong with the site's own table only its log says.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secagg.round import Proposal, Request, Site, SiteStore
from secagg.round.audit import model_digest
from secagg_protocols import SYSTEM, InputError, ParameterError, Randomness, Scheme
from secagg_protocols.core.noise import Noise
from secagg_protocols.errors import Declined

from .domain import Domain
from .floor import StatPolicy
from .ledger import Asked
from .noise import check_gain
from .progress import Progress
from .query import MAX_ROWS, Query, tag_of
from .rows import CsvFile, Rows
from .terms import RECEIVED, QueryTerms, check_context, read_terms
from .words import EXACT, in_words, noisy

log = logging.getLogger("secagg.stats")

APPROVAL_REFUSED = "it was asked, and said no"


def progress_digest(progress: bytes) -> bytes:
    """Return what the audit records call the state that a step went out from."""
    return model_digest({"progress": np.frombuffer(progress, dtype=np.uint8)})


@dataclass(frozen=True)
class Step:
    """One step of a query, as it is proposed."""

    proposal: Proposal
    terms: QueryTerms
    progress: Progress

    @classmethod
    def of(cls, proposal: Proposal) -> Step:
        """Read a proposal. Raises `SecAggError` for one that is no step of a query, or that contradicts itself."""
        terms, progress = read_terms(proposal.terms)
        check_context(proposal, terms, progress)
        progress.check_states()
        progress.check(proposal.participants)
        if proposal.length != progress.length:
            raise ParameterError(f"length={proposal.length} is proposed; this step of the query has {progress.length}")
        check_gain(proposal, terms, progress.query)
        return cls(proposal, terms, progress)

    @property
    def query(self) -> Query:
        """What is asked."""
        return self.progress.query

    def asked(self, now: datetime, survivors: tuple[str, ...] = ()) -> Asked:
        """Return what the ledger says of it."""
        return Asked(
            time=now.astimezone(UTC).isoformat(timespec="seconds"),
            job=self.proposal.job,
            round=self.proposal.round,
            query=self.query.digest.hex(),
            step=self.progress.step,
            state=hashlib.sha256(self.terms.progress).hexdigest(),
            statistics=tuple(sorted({tag_of(statistic) for statistic in self.query.statistics})),
            columns=tuple(self.query.columns),
            said=hashlib.sha256(self.words.encode()).hexdigest(),
            survivors=survivors,
        )

    @property
    def words(self) -> str:
        """What is asked, in plain words."""
        said = self.proposal.parameters.get("noise")
        noise = noisy(Noise.of(str(said)), self.terms.gain) if said else EXACT
        return in_words(self.query, self.proposal.participants, noise)


@dataclass
class StatSite:
    """One site. data: its table, or the CSV file it is in, as a path or a `CsvFile`.

    store: where it remembers rounds, unless its policy says.
    ask: shown each query in words once, before it is answered; False: it is declined for good. now: a clock with a time
    zone.
    """

    policy: StatPolicy
    data: Any = field(repr=False)
    store: SiteStore | None = field(default=None, repr=False)
    ask: Callable[[str], bool] | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    randomness: Randomness = field(default=SYSTEM, repr=False)
    _read: dict[bytes, Rows] = field(default_factory=dict, init=False, repr=False)

    def take(self, request: bytes | memoryview) -> bytes:
        """Take one request of the coordinator; return the answer."""
        site = Site(
            self.policy.site,
            self.store,
            terms=lambda _: self._check(request),
            now=self.now,
            randomness=self.randomness,
            survivors=self._check_survivors,
        )
        turn = site.take(request)
        if turn.seat is None:
            return turn.answers
        step = Step.of(turn.seat.proposal)
        try:
            self._check_scheme(turn.seat.scheme, step)
        except ParameterError as error:
            return turn.refuse(error)
        if not turn.awaits_vector:
            return turn.answers
        return turn.contribute(lambda: self._vector(step), RECEIVED, progress_digest(step.terms.progress))

    # --- before keys are made

    def _check(self, request: bytes | memoryview) -> None:
        """Raise `SecAggError` for a request of a step that this site does not answer."""
        asked = Request.from_bytes(request)
        step = Step.of(asked.proposal)
        now = self.now()
        self.policy.check_coordinator()
        self.policy.floor.check_query(step.query, now)
        if asked.envelopes:  # in a round that it has begun
            return
        self._accept(step.asked(now), step.words)
        self._rows(step.query)  # not before: a refusal tells of the table, and so it counts as a query

    def _accept(self, line: Asked, words: str) -> None:
        """Write down that a query is accepted. Raises `Declined` where it is not."""
        if self.policy.ledger.knows(line):
            return
        if self.ask is not None and not self.ask(words):
            line = replace(line, declined=APPROVAL_REFUSED)
        self.policy.ledger.begin(line, self.policy.floor.queries_per_day, self.policy.floor.prefix)
        if line.declined:
            raise Declined(f"a person at this site has declined this query: {line.declined}")

    def _check_scheme(self, scheme: Scheme, step: Step) -> None:
        """Raise `ParameterError` for a scheme that does not say whose sums are opened, where that counts, and for one
        that has no room for what a site may have to add: by a refusal only then, its values would be told."""
        bits = (((1 << step.progress.value_bits) - 1) * step.terms.gain).bit_length()
        if scheme.value_bits < bits:
            raise ParameterError(f"value_bits={scheme.value_bits} is proposed; this step of the query has {bits}")
        limits = self.policy.limits
        if limits.apart > 1 and not scheme.tells_survivors:
            raise ParameterError(
                f"{scheme.name} does not tell each site all whose vectors are in a sum, so that this site could not "
                f"keep {limits.prefix}apart={limits.apart}: take bonawitz"
            )

    # --- before anything is signed or opened

    def _check_survivors(self, proposal: Proposal, survivors: tuple[int, ...]) -> None:
        step = Step.of(proposal)
        line = step.asked(self.now(), tuple(sorted(map(self._called(proposal), survivors))))
        self.policy.ledger.join(line, self.policy.limits)

    def _called(self, proposal: Proposal) -> Callable[[int], str]:
        """Return how a participant is called in the ledger: by its key, as numbers change with a roster."""
        roster = self.policy.site.roster
        if roster is None or proposal.parameters.get("adversary") != "active":
            return lambda own: f"participant {own}"
        return lambda own: hashlib.sha256(roster.key_of(own)).hexdigest()[:32]

    # --- the vector

    def _vector(self, step: Step) -> NDArray[np.uint64]:
        return step.progress.vector(self._rows(step.query)) * np.uint64(step.terms.gain)

    def _rows(self, query: Query) -> Rows:
        """Return this site's rows as a query reads them; read once for a query. Raises `InputError`."""
        if query.digest not in self._read:
            try:
                table = self.table(query)
                rows = Rows.of(table, query)
                self.policy.floor.check_rows(rows, self._patients(rows))
            except ParameterError as error:  # of its own file: not for the coordinator to read
                raise InputError(str(error)) from None
            if rows.beyond:
                log.warning("secagg: beyond the query's bounds, and clipped or missing: %s", dict(rows.beyond))
            self._read = {query.digest: rows}
        return self._read[query.digest]

    def table(self, query: Domain) -> Any:
        """Return this site's table. Raises `InputError`."""
        return self.data if self._file is None else self._file.read(query)

    @property
    def _file(self) -> CsvFile | None:
        if isinstance(self.data, CsvFile):
            return self.data
        return CsvFile(self.data) if isinstance(self.data, str | Path) else None

    def unfit(self, query: Query) -> str:
        """Say which column this site's table lacks or holds otherwise than a query; empty where all fit. That is no
        secret of any row."""
        for name, column in query.columns.items():
            one = Domain(columns={name: column}, rows=MAX_ROWS)
            try:
                Rows.of(self.table(one), one)
            except InputError:
                return f"; column {name!r} is not as the query has it"
        return ""

    def _patients(self, rows: Rows) -> int:
        column = self.policy.floor.patient_column
        if not column:
            return rows.count
        cells: Any = self.data if self._file is None else self._file.texts().cells
        if column not in cells:
            raise InputError(f"the table has no column {column!r} ({self.policy.floor.prefix}patient-column)")
        return len({cell for cell in cells[column] if cell is not None and cell == cell})
