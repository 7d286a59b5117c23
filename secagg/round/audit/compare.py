"""What the logs of several parties must agree on, round by round. Each record is signed by whoever wrote it, so where
two differ one of two known parties has written what is not so; which one is for people to find out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, TypeAlias

from secagg.chained import AuditLine
from secagg_protocols import SERVER, Adversary

from .record import Stage

Subject: TypeAlias = tuple[str, int]
"""Job and round."""

SAME = ("context_digest", "scheme", "scheme_id", "adversary", "participants", "insecure_deterministic")
"""What no two parties of a round may differ in, where both say it."""


@dataclass(frozen=True)
class Log:
    """A verified log. signer: the roster's id of its key, where a roster says so."""

    path: Path
    lines: Sequence[AuditLine]
    signer: int | None = None


@dataclass(frozen=True)
class Difference:
    """A field of a record that does not fit the others. number: the record's line; 0 where it is missing."""

    path: Path
    number: int
    subject: Subject
    field: str
    text: str

    def __str__(self) -> str:
        job, number = self.subject
        line = f" line {self.number}" if self.number else ""
        return f"{self.path}{line}, round {number} of {job!r}, {self.field}: {self.text}"


class Account:
    """What one log says of one round: its last line, unless an earlier one says that the party had ended."""

    def __init__(self, lines: Sequence[AuditLine]) -> None:
        ended = [line for line in lines if line.record.get("stage") == Stage.ENDED]
        self.line = (ended or lines)[-1]
        self.path = self.line.path
        self.contributed = any(line.record.get("contributed") for line in lines)

    def __getitem__(self, field: str) -> Any:
        return self.line.record.get(field)

    def ids(self, field: str) -> frozenset[int]:
        """Return a field that lists participants."""
        return frozenset(self[field] or ())

    def opened(self) -> dict[str, frozenset[int]]:
        """Return kind of secret → whose was opened."""
        return {kind: frozenset(whose) for kind, whose in (self["opened"] or {}).items()}

    @property
    def subject(self) -> Subject:
        return self["job"], self["round"]

    @property
    def ended(self) -> bool:
        return bool(self["stage"] == Stage.ENDED)

    def differs(self, field: str, text: str) -> Difference:
        """Make the difference that names this record."""
        return Difference(self.path, self.line.number, self.subject, field, text)

    def __str__(self) -> str:
        return f"{self.path} line {self.line.number}"


Accounts: TypeAlias = Mapping[Subject, Mapping[Path, Account]]


def compare(logs: Sequence[Log]) -> list[Difference]:
    """Return where the logs do not fit each other: nowhere, when all wrote what was so and nothing is missing."""
    accounts = _accounts(logs)
    found = [*_of_each(logs)]
    for by_log in accounts.values():
        found += _of_a_round(list(by_log.values()))
    found += _missing(logs, accounts)
    found += _models(accounts)
    return found


def _accounts(logs: Sequence[Log]) -> Accounts:
    lines: dict[Subject, dict[Path, list[AuditLine]]] = defaultdict(lambda: defaultdict(list))
    for log in logs:
        for line in log.lines:
            lines[_subject(line)][log.path].append(line)
    ordered = sorted(lines.items(), key=lambda item: (str(item[0][0]), str(item[0][1]).zfill(20)))
    return {subject: {path: Account(own) for path, own in by_log.items()} for subject, by_log in ordered}


def _subject(line: AuditLine) -> Subject:
    return line.record.get("job", ""), line.record.get("round", -1)


def _of_each(logs: Sequence[Log]) -> Iterator[Difference]:
    """What each log must keep by itself."""
    for log in logs:
        reached: dict[str, int] = {}
        about: dict[Subject, Account] = {}
        for line in log.lines:
            job, number = _subject(line)
            account = Account([line])
            if number < reached.get(job, number):
                yield account.differs("round", f"stands after round {reached[job]} of the same job")
            reached[job] = max(number, reached.get(job, number))
            first = about.setdefault((job, number), account)
            if first["context_digest"] != account["context_digest"]:
                yield account.differs("context_digest", f"the round has another in line {first.line.number}")
            if not _may_sign(log.signer, account):
                text = f"says {account['party']}, and is signed by party {log.signer} of the roster"
                yield account.differs("party", text)
            yield from _whole(account)


def _may_sign(signer: int | None, account: Account) -> bool:
    """Tell whether a record's party can be this one of the roster. Where the server numbers the participants anew in
    every round, all that is certain is who is not the server."""
    party = account["party"]
    if signer is None or party is None or party == signer:
        return True
    return account["adversary"] != Adversary.ACTIVE and SERVER not in (party, signer)


def _whole(account: Account) -> Iterator[Difference]:
    """What one record must keep by itself."""
    listed = account.ids("listed")
    survivors = account.ids("survivors")
    if listed:
        if strange := survivors - listed:
            yield account.differs("survivors", f"{sorted(strange)} are not among those listed")
        for kind, whose in account.opened().items():
            if strange := whose - listed:
                yield account.differs("opened", f"{kind} of {sorted(strange)}, who are not among those listed")
    if account["party"] != SERVER:
        if account.ended and not account["contributed"]:
            yield account.differs("contributed", "it ended without a vector of its own")
        return
    if bool(survivors) == bool(account["failure"]):
        yield account.differs("failure", "a round has survivors, or a reason why there is no sum")
    if account["failure"] and account["aggregate_commitment"]:
        yield account.differs("aggregate_commitment", "a round that failed has no sum")
    if survivors:
        known = survivors | frozenset(int(own) for own in account["dropped"])
        everyone = range(1, account["participants"] + 1)
        unknown = islice((own for own in everyone if own not in known), 5)  # it may say that there are very many
        if unsaid := [*unknown, *sorted(own for own in known if own not in everyone)]:
            yield account.differs("dropped", f"of {unsaid[:5]} it is not said what became of them")


def _of_a_round(accounts: list[Account]) -> Iterator[Difference]:
    """What the records of one round must agree on. The server's is the measure, where it is there."""
    servers = [account for account in accounts if account["party"] == SERVER]
    others = [account for account in accounts if account["party"] != SERVER]
    for first, second in pairwise(servers):
        yield second.differs("party", f"{first} is the server's too")
    measure = (servers or others)[0]
    ids: dict[int, Account] = {}
    for other in others:
        party = other["party"]
        if party is not None and ids.setdefault(party, other) is not other:
            yield other.differs("party", f"{ids[party]} is of participant {party} too")
        if other is not measure:
            yield from _same(measure, other)
            yield from _sets(measure, other)
        if servers:
            yield from _of_the_server(servers[0], other)
    told = [other for other in others if other.ended and other.ids("survivors")]
    for other in others:
        if told and other.ended and not other.ids("survivors"):
            yield other.differs("survivors", f"none, where {told[0]} was told them")


def _same(measure: Account, other: Account) -> Iterator[Difference]:
    for field in SAME:
        if measure[field] != other[field] and "" not in (measure[field], other[field]):
            yield other.differs(field, f"{measure} says {measure[field]!r}, this one {other[field]!r}")
    if other["model"] and measure["model"] != other["model"] and (measure["model"] or measure["party"] == SERVER):
        yield other.differs("model", f"it is not the one of {measure}")


def _sets(measure: Account, other: Account) -> Iterator[Difference]:
    """Lists of participants; where a party knows its neighbours alone, as far as both know."""
    if measure["party"] == SERVER and not other.ids("listed") <= measure.ids("listed"):
        yield other.differs("listed", f"more than {measure} lists")
    common = other.ids("listed") & measure.ids("listed") or None
    if measure.ids("survivors") and other.ids("survivors"):
        own, said = (_within(account.ids("survivors"), common) for account in (other, measure))
        if own != said:
            yield other.differs("survivors", f"{sorted(own ^ said)} are in the sum here or in {measure}, not in both")
    if not (measure.ids("survivors") and other.ended and other.ids("survivors")):
        return
    here = other.opened()
    there = measure.opened()
    for kind in sorted(here.keys() | there.keys()):
        own, said = (_within(opened.get(kind, frozenset()), common) for opened in (here, there))
        if own != said:
            yield other.differs("opened", f"{kind} of {sorted(own ^ said)} is here or in {measure}, not in both")


def _within(ids: frozenset[int], common: frozenset[int] | None) -> frozenset[int]:
    return ids if common is None else ids & common


def _of_the_server(server: Account, other: Account) -> Iterator[Difference]:
    """What the server says of a participant, and what that one says of itself."""
    party = other["party"]
    if party in server.ids("survivors") and not other.contributed:
        yield other.differs("contributed", f"no vector of its own left it, and {server} has it in the sum")
    finished = server.ids("survivors") and party is not None and str(party) not in server["dropped"]
    if finished and not other.ended:
        yield other.differs("stage", f"{other['stage']!r}, where {server} says that it answered to the end")


def _missing(logs: Sequence[Log], accounts: Accounts) -> Iterator[Difference]:
    """Records that another party's show to be missing."""
    for log in logs:
        party = _party_of(log)
        if not log.lines and party is None:
            yield from _of_nobody(log, accounts)
        if party is None:
            continue
        for subject, by_log in accounts.items():
            if log.path in by_log:
                continue
            server = next((account for account in by_log.values() if account["party"] == SERVER), None)
            if party == SERVER and server is None:
                witness = next(iter(by_log.values()))
                text = f"no record, where {witness} has one: it was cut, or the round is not over"
                yield Difference(log.path, 0, subject, "round", text)
            elif server is not None and party in _began(server) and not _another(server, party, by_log):
                text = f"no record, where {server} says that participant {party} took part"
                yield Difference(log.path, 0, subject, "round", text)


def _another(server: Account, party: int, by_log: Mapping[Path, Account]) -> bool:
    """Tell whether another site may have been this participant, where the server numbers those whom it asks."""
    numbered = server["adversary"] != Adversary.ACTIVE
    return numbered and any(account["party"] == party for account in by_log.values())


def _of_nobody(log: Log, accounts: Accounts) -> Iterator[Difference]:
    """What may have stood in a log that is empty, and so does not say whose it is."""
    for subject, by_log in accounts.items():
        there = {account["party"]: account for account in by_log.values()}
        server = there.get(SERVER)
        if server is None:
            witness = next(iter(by_log.values()))
            text = f"no record, where {witness} has one and no log here is the server's: leave this out if it is not"
            yield Difference(log.path, 0, subject, "round", text)
        elif lost := sorted(_began(server) - there.keys()):
            text = f"no record, where {server} says that {lost} took part, of whom no log here has one"
            yield Difference(log.path, 0, subject, "round", text)


def _began(server: Account) -> frozenset[int]:
    """Return who answered: whose shares were dealt, or whose vectors are in the sum. Each wrote before it did."""
    return server.ids("listed") | server.ids("survivors")


def _party_of(log: Log) -> int | None:
    """Return whose log it is: as the roster says, or as all its records do."""
    said = {line.record.get("party") for line in log.lines}
    if len(said) == 1 and (party := said.pop()) is not None:
        return int(party)
    return log.signer if not log.lines else None


def _models(accounts: Accounts) -> Iterator[Difference]:
    """The model that came of a round is the one that the next is about, at the server and at every participant."""
    before: dict[str, Account] = {}
    for (job, _), by_log in accounts.items():
        earlier = before.get(job)
        for account in by_log.values():
            if account["party"] == SERVER:
                before[job] = account
            if earlier is not None and account["model"] and account["model"] != earlier["model_after"]:
                yield earlier.differs("model_after", f"it is not the one that the next round is about in {account}")
