"""Who writes when: a server when a round is over, a site as it goes.

A site cannot know when a round is over, nor whether it will be asked again. So it writes when it begins, before its
vector leaves, when it has opened what it holds, and when it refuses: each line is on disk before the answer leaves.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from secagg.chained import held
from secagg.schemes import SCHEMES
from secagg_protocols import Identity, InputError, RoundContext
from secagg_protocols.core.parameters import Parameters
from secagg_protocols.core.server import Server

from ..request import one_line
from ..rounds import Round
from ..terms import Proposal
from .record import AuditRecord, Seen, Stage, Stamp, new_salt, record_of
from .trail import TRAIL, AuditLog


class ServerTrail:
    """An aggregator's log. Beside it, in FILE.salts, stands what opens each commitment: keep it, and to yourself, since
    whoever holds it can try out what a sum was.

    Raises what `AuditLog` raises.
    """

    def __init__(self, path: Path | str, identity: Identity) -> None:
        path = Path(path).expanduser()
        self.log = AuditLog(path, identity)
        self._salts = path.with_name(f"{path.name}.salts")
        self._append_salts("")  # that they can be kept must be known before there is a sum

    def write_round(self, rnd: Round[Any], stamp: Stamp) -> None:
        """Record a round that ended, with a sum or without."""
        self.write(rnd.server, stamp, tuple(str(item) for item in rnd.refused))

    def write(self, server: Server, stamp: Stamp, refusals: tuple[str, ...] = ()) -> None:
        """Record what a server's machine saw. refusals: what it refused, which the machine does not keep."""
        salt = new_salt()
        record = record_of(server.scheme, server.context, Seen.by_server(server, refusals), stamp, salt)
        if record.aggregate_commitment:
            self._keep(record.aggregate_commitment, salt)
        self.log.append(record)

    def _keep(self, commitment: str, salt: bytes) -> None:
        """Keep a salt before the record that needs it is written."""
        self._append_salts(json.dumps({"commitment": commitment, "salt": salt.hex()}) + "\n")

    def _append_salts(self, text: str) -> None:
        try:
            descriptor = os.open(self._salts, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InputError(f"{self._salts}: cannot be written ({error.strerror}); make room, or move it") from None


@dataclass(frozen=True)
class SiteTrail:
    """A site's log, also of several jobs at once. Raises what `AuditLog` raises, when it is made: before anything is
    answered.

    A process that lives for one message looks at the log's last line alone; `secagg audit verify` checks them all.
    """

    path: Path
    identity: Identity = field(repr=False)

    def __post_init__(self) -> None:
        with held(self.path, TRAIL):
            AuditLog(self.path, self.identity, whole=False)

    def note(self, scheme: Parameters, context: RoundContext, seen: Seen, stamp: Stamp) -> None:
        """Write down what this site saw of a round, unless that is no more than stands there already."""
        self._note(record_of(scheme, context, seen, stamp))

    def note_refused(self, proposal: Proposal, participant: int | None, reason: str, stamp: Stamp) -> None:
        """Write down a proposal that was refused before there was a scheme to speak of."""
        own = SCHEMES.own.get(proposal.scheme)
        hides = own is None or own.traits.protects
        adversary = proposal.parameters.get("adversary", "") if hides else "none"
        self._note(
            AuditRecord(
                time=stamp.time,
                job=proposal.job,
                round=proposal.round,
                party=participant,
                stage=str(Stage.REFUSED),
                contributed=False,
                context_digest=proposal.context_digest.hex(),
                scheme=proposal.scheme,
                scheme_id="",
                adversary=str(adversary),
                participants=proposal.participants,
                refusals=(one_line(reason),),
            )
        )

    def _note(self, record: AuditRecord) -> None:
        with held(self.path, TRAIL):
            self._append(record)

    def _append(self, record: AuditRecord) -> None:
        log = AuditLog(self.path, self.identity, whole=False)
        last = log.last or {}
        if (last.get("job"), last.get("round"), last.get("context_digest")) == record.subject:
            contributed = record.contributed or last["contributed"]
            record = replace(record, contributed=contributed, model=record.model or last["model"])
            if not record.epsilon:
                record = replace(record, epsilon=last["epsilon"], delta=last["delta"])
            if record.stage == Stage.BEGUN and contributed == last["contributed"]:
                return
        if {**last, "time": record.time} != record.as_json():
            log.append(record)
