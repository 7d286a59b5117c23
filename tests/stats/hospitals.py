"""Five hospitals with files of their own, and a coordinator whom they need not trust; function calls between them.

A site is made anew from its files for every request, as in a process that ends with each.
"""

import json
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from secagg.round import Answers, Request, drive
from secagg.round.audit import verify
from secagg.stats import Category, Count, Inquiry, Mean, Number, Query, StatPolicy, StatSite, settings_of
from secagg_protocols import Identity, Roster

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
COLUMNS = {"age": Number(0, 120), "sex": Category(("f", "m"))}
COUNTED = Query(columns={"sex": COLUMNS["sex"]}, rows=100, statistics=(Count("sex"),))
AVERAGED = Query(columns=COLUMNS, rows=100, statistics=(Count("sex"), Mean("age", "sex")))
"""Of two steps."""


class Hospitals:
    """config: in every site's own file, beside its files, without the prefix."""

    def __init__(self, folder, count=5, **config):
        self.folder = folder
        self.names = [f"hospital-{number}" for number in range(1, count + 1)]
        rng = np.random.default_rng(1)
        self.tables = {
            name: pd.DataFrame({"age": rng.integers(20, 90, 40), "sex": rng.choice(["f", "m"], 40), "id": range(40)})
            for name in self.names
        }
        identities = [Identity.generate(name) for name in ("coordinator", *self.names)]
        self.identities = dict(zip(self.names, identities[1:], strict=True))
        self.roster = Roster.of("x25519", [one.public(party) for party, one in enumerate(identities)])
        self.roster.save(folder / "roster.json")
        self.config = {}
        for name, identity in self.identities.items():
            identity.save(folder / f"{name}.identity")
            files = {"identity": "identity", "store": "store", "audit": "audit", "stats-ledger": "ledger"}
            paths = {key: str(folder / f"{name}.{end}") for key, end in files.items()}
            self.config[name] = {"roster": str(folder / "roster.json"), "adversary": "active", **paths, **config}
        self.settings = settings_of(
            {
                "adversary": "active",
                "identity": identities[0],
                "roster": self.roster,
                "audit": folder / "coordinator.audit",
            }
        )
        self.ask = None
        self.answered = []

    @property
    def pooled(self):
        return pd.concat(self.tables.values())

    def site(self, name):
        """A site, from its files alone."""
        policy = StatPolicy.read(self.config[name], prefix="", where="the file")
        return StatSite(policy, self.tables[name], ask=self.ask, now=lambda: NOW)

    def inquiry(self, query, folder=None):
        return Inquiry(query, self.settings, self.names, folder)

    def exchange(self, rnd, heard=lambda name, rnd: True):
        """The transport. heard: whether what a site answers gets to the coordinator."""

        def exchange(requests, _):
            for name in requests:
                if heard(name, rnd):
                    answer = self.site(name).take(requests[name])
                    self.answered.append((name, Request.from_bytes(requests[name]), answer))
                    yield name, answer

        return exchange

    def run(self, inquiry, heard=lambda name, rnd: True):
        """Ask to the end; return the results as JSON has them. Raises `RoundFailed`."""
        while not inquiry.done:
            with inquiry.open() as rnd:
                self.rnd = rnd
                inquiry.close(drive(rnd, self.exchange(rnd, heard)))
        return [result.plain() for result in inquiry.results]

    def refusals(self):
        """What sites have told the coordinator, in order."""
        said = (Answers.from_bytes(answer, len(answer)).refusal for _, _, answer in self.answered)
        return [refusal for refusal in said if refusal]

    def ledger(self, name):
        lines = (self.folder / f"{name}.ledger").read_text().splitlines()
        return [json.loads(line)["record"] for line in lines]

    def audits(self):
        """Party → its verified records."""
        keys = {"coordinator": self.roster.key_of(0)}
        keys |= {name: identity.public_key for name, identity in self.identities.items()}
        files = {name: self.folder / f"{name}.audit" for name in keys}
        return {name: list(verify(path, keys[name])) for name, path in files.items() if path.exists()}
