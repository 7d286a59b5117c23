"""Owners and a scientist over PySyft's own mock drive: offline, in one process, a pair of clients for each owner."""

import io
import os
from contextlib import redirect_stdout
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

os.environ["PRE_SYNC"] = "false"  # else every look at a client's jobs syncs

pytest.importorskip("syft_rds", reason="PySyft is not installed: pip install -c constraints.txt -e '.[syft]'")

import yaml
from syft.sync.connections.drive import mock_drive_service
from syft_rds import SyftRDSClient

from secagg.adapters.syft import Owner, Policy, submit_secure_sum
from secagg_protocols import Identity, Roster

if yaml.__with_libyaml__:  # PyYAML's own parser in C reads the same: PySyft reads every past job again at each sync
    yaml.SafeLoader = yaml.CSafeLoader
    yaml.SafeDumper = yaml.CSafeDumper

SCIENTIST = "ada@x.org"
DATASET = "heart"


def table_of(number: int, rows: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(number)
    table = pd.DataFrame(
        {
            "age": rng.integers(20, 90, rows).astype(float),
            "chol": rng.normal(250, 60, rows).round(1),
            "sex": rng.choice(["f", "m"], rows),
            "smoker": rng.choice(["no", "yes"], rows),
        }
    )
    table.loc[::13, "chol"] = None
    table["months"] = rng.integers(1, 25, rows)
    table["died"] = rng.choice(["no", "yes"], rows)
    return table


def pair(name, root, scientist):
    """The scientist's client and an owner's."""
    with redirect_stdout(io.StringIO()):
        return SyftRDSClient.pair_with_mock_drive_service_connection(
            email1=name,
            email2=SCIENTIST,
            base_path1=root / name / "SyftBox",
            base_path2=scientist / "SyftBox",
            use_in_memory_cache=False,
        )


class Federation:
    """A scientist and owners. one_client: the scientist's reaches all of them, as that of `login_ds` does. policy: of
    every owner, beside the usual."""

    def __init__(self, root, owners=5, adversary="semi-honest", one_client=False, **policy):
        self.root = root
        self.names = [f"owner{number}@x.org" for number in range(1, owners + 1)]
        self.ds, self.do = {}, {}
        if one_client:
            self._share(pytest.MonkeyPatch())
        else:
            for name in self.names:
                self.ds[name], self.do[name] = pair(name, root, root / f"scientist for {name}")
        identities = [Identity.generate(name) for name in (SCIENTIST, *self.names)]
        for identity in identities:
            identity.save(root / f"{identity.name}.identity")
        self.roster = root / "roster.json"
        Roster.of("x25519", [one.public(party) for party, one in enumerate(identities)]).save(self.roster)
        self.active = adversary == "active"
        self.tables = {name: table_of(number) for number, name in enumerate(self.names, start=1)}
        self.policies = {
            name: {
                "scientists": [SCIENTIST],
                "identity": root / f"{name}.identity",
                "roster": self.roster,
                "adversary": adversary,
                **policy,
            }
            for name in self.names
        }
        self.owners = {name: self.owner(name) for name in self.names}
        self.runs = 0

    def _share(self, patch):
        """Pair all owners over one and the same mock drive, and let one of the scientist's clients have them all."""
        drive = mock_drive_service.MockDriveBackingStore()
        with patch.context() as patched:
            patched.setattr(mock_drive_service, "MockDriveBackingStore", lambda: drive)
            for name in self.names:
                client, self.do[name] = pair(name, self.root, self.root / "scientist")
        with redirect_stdout(io.StringIO()):
            for name in self.names:
                client.add_peer(name)
        self.ds = dict.fromkeys(self.names, client)

    @property
    def pooled(self):
        return pd.concat(self.tables.values(), ignore_index=True)

    def owner(self, name, now=lambda: datetime.now(UTC), train=None, **policy):
        """An owner, made from its files alone."""
        told = Policy(**{**self.policies[name], **policy})
        return Owner(self.do[name], {DATASET: self.tables[name]}, told, train or {}, now)

    def submit(self, query, names=None, **more):
        self.runs += 1
        signed = {"adversary": "active", "identity": self.root / f"{SCIENTIST}.identity", "roster": self.roster}
        clients = {name: self.ds[name] for name in names or self.names}
        folder = self.root / f"run {self.runs}"
        return submit_secure_sum(clients, DATASET, query, folder, **(signed if self.active else {}), **more)

    def answer(self, *silent):
        """Let all owners but the silent ones approve what they are asked, and answer."""
        return {name: self.turn(name) for name in self.names if name not in silent}

    def turn(self, name):
        owner = self.owners[name]
        became = owner.answer()
        if "waits for approval" not in became.values():
            return became
        for run in owner.pending():
            owner.approve(run.run_id)
        return owner.answer()

    def refuse(self, name, reason):
        """Say no in PySyft itself to all that is pending."""
        with redirect_stdout(io.StringIO()):
            self.do[name].sync()
            for job in self.do[name].jobs:
                if job.status == "pending":
                    job.reject(reason=reason)
            self.do[name].sync()

    def go(self, run):
        """Run to the end; return the results as JSON has them."""
        while not run.done:
            self.answer()
            run.step()
        return [result.plain() for result in run.result(0)]


@pytest.fixture(scope="session")
def federation(tmp_path_factory):
    return lambda *args, **more: Federation(tmp_path_factory.mktemp("federation"), *args, **more)
