"""Four hospitals do not trust their server: keys of their own, a roster, a policy at each, and signed logs at the end.

All of it happens in one process here, and each party has a folder of its own that nobody else reads.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import secagg
from secagg.round import Proposal, Requests, Round, Site, SitePolicy, bound_digest, drive, received_digest
from secagg.round.audit import AuditError, Log, ServerTrail, Stamp, compare, model_digest, verify

NAMES = ("server", "north", "south", "east", "west")
ROUNDS = 2


def consortium(home: Path) -> secagg.Roster:
    """Make everybody's key and the roster. Each party makes its own; the public lines are compared by telephone."""
    identities = [secagg.Identity.generate(name) for name in NAMES]
    roster = secagg.Roster.of("x25519", [own.public(number) for number, own in enumerate(identities)])
    for own in identities:
        (home / own.name).mkdir()
        own.save(home / own.name / "identity.json")
        roster.save(home / own.name / "roster.json")  # the one that it checked, and not one that the server sends
    return roster


def site(folder: Path) -> Site:
    """Return a hospital, by its own configuration. What the server sends can only be refused by it."""
    policy = {
        "secagg-adversary": "active",
        "secagg-colluders": 1,
        "secagg-minimum-cohort": 3,
        "secagg-roster": str(folder / "roster.json"),
        "secagg-identity": str(folder / "identity.json"),
        "secagg-store": str(folder / "store"),
        "secagg-audit": str(folder / "log.jsonl"),
    }
    return Site(SitePolicy.read(policy))


def run_round(
    number: int, model: dict[str, np.ndarray], sites: dict[str, Site], party: secagg.Aggregator, trail: ServerTrail
) -> dict[str, np.ndarray]:
    """Run one round, write the server's record of it, and return the next model."""
    scheme = secagg.Bonawitz(len(sites), length=3, adversary="active", colluders=1)
    received = received_digest(model)
    context = secagg.RoundContext("consortium", number, bound_digest(received))
    rnd = Round(scheme.server(context, party), Proposal.of(scheme, context), list(sites))

    def exchange(requests: Requests, uploads: bool) -> Iterator[tuple[str, bytes]]:
        for place, (name, request) in enumerate(requests.items(), start=1):
            turn = sites[name].take(request)
            vector = np.array([place, 10, number])
            answers = turn.contribute(vector, received, model_digest(model)) if turn.awaits_vector else turn.answers
            yield name, answers

    total = drive(rnd, exchange).total
    print(f"round {number}: the sum of {len(rnd.output.survivors)} sites is {total.tolist()}")
    following = {"weights": model["weights"] + total / len(sites)}
    stamp = Stamp(now=datetime.now(UTC), model=model_digest(model), model_after=model_digest(following))
    trail.write_round(rnd, stamp)
    return following


def offer_less(sites: dict[str, Site]) -> None:
    """Play a server that proposes the variant which it could cheat in."""
    weak = secagg.Bonawitz(len(sites), length=3)
    context = secagg.RoundContext("consortium", ROUNDS + 1, bytes(32))
    rnd = Round(weak.server(context), Proposal.of(weak, context), list(sites))
    for name, request in rnd.begin().items():
        turn = sites[name].take(request)
        print(f"{name} refuses: {turn.reason}")


def check(home: Path, roster: secagg.Roster) -> None:
    """Verify every party's log by its key in the roster, and hold them all against each other."""
    logs = []
    for own in roster.entries:
        path = home / own.name / "log.jsonl"
        logs.append(Log(path, list(verify(path, own.public_key)), own.id))
        print(f"{own.name}: {len(logs[-1].lines)} records, signed by its key, none changed, moved or missing")
    (difference,) = compare(logs)  # the rounds agree; of the weaker one that it offered, the server has written nothing
    print(str(difference).replace(f"{home}/", ""))

    server = logs[0].path
    text = server.read_text(encoding="utf-8")
    assert json.loads(text.splitlines()[0])["record"]["survivors"] == [1, 2, 3, 4]
    server.write_text(text.replace('"survivors":[1,2,3,4]', '"survivors":[1,2,3]', 1), encoding="utf-8")
    try:
        list(verify(server, roster.entries[0].public_key))
    except AuditError as error:
        print("after the server changed a record:", str(error).replace(f"{home}/", ""))


def main(home: Path) -> None:
    roster = consortium(home)
    sites = {name: site(home / name) for name in NAMES[1:]}
    own = secagg.Identity.load(home / "server" / "identity.json")
    trail = ServerTrail(home / "server" / "log.jsonl", own)
    model = {"weights": np.zeros(3)}
    for number in range(1, ROUNDS + 1):
        model = run_round(number, model, sites, secagg.Aggregator(identity=own, roster=roster), trail)
    offer_less(sites)
    check(home, roster)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder))
