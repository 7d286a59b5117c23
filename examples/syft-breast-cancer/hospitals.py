"""Three hospitals answer a scientist's question together, over PySyft's own mock of Google Drive: offline, one process.

In a deployment each hospital logs in with `syft_rds.login_do`, the scientist with `syft_rds.login_ds`; nothing else
changes.
"""

import contextlib
import io
import os
import tempfile
from pathlib import Path

os.environ["PRE_SYNC"] = "false"  # else every look at a client's jobs syncs

from sklearn.datasets import load_breast_cancer
from syft_rds import SyftRDSClient

from secagg.adapters.syft import Owner, Policy, submit_secure_sum
from secagg.stats import Category, Count, Mean, Number, Query
from secagg_protocols import Identity, Roster

SCIENTIST = "ada@university.org"
HOSPITALS = ("north@hospital.org", "south@hospital.org", "east@hospital.org")

QUERY = Query(
    columns={"diagnosis": Category(("benign", "malignant")), "radius": Number(0, 40, 2)},
    rows=1000,
    minimum_cell=10,
    statistics=(Count("diagnosis"), Mean("radius", "diagnosis")),
)


def tables():
    """Return each hospital's own rows."""
    data = load_breast_cancer(as_frame=True)
    rows = data.frame[["mean radius"]].rename(columns={"mean radius": "radius"})
    rows["diagnosis"] = data.target.map({0: "malignant", 1: "benign"})
    return {name: rows.iloc[place::3] for place, name in enumerate(HOSPITALS)}


def connect(folder):
    """Return the hospitals' clients and the scientist's, a pair for each hospital."""
    owners, scientists = {}, {}
    for name in HOSPITALS:
        with contextlib.redirect_stdout(io.StringIO()):  # PySyft prints each step of its own
            scientists[name], owners[name] = SyftRDSClient.pair_with_mock_drive_service_connection(
                email1=name,
                email2=SCIENTIST,
                base_path1=folder / name,
                base_path2=folder / f"scientist for {name}",
                use_in_memory_cache=False,
            )
    return owners, scientists


def make_keys(folder):
    """Make a signing key for everybody, and the roster of their public halves. Each does this on its own machine."""
    identities = [Identity.generate(name) for name in (SCIENTIST, *HOSPITALS)]
    for identity in identities:
        identity.save(folder / f"{identity.name}.json")
    roster = Roster.of("x25519", [one.public(party) for party, one in enumerate(identities)])
    roster.save(folder / "roster.json")


def main(folder):
    owners, scientists = connect(folder)
    make_keys(folder)
    hospitals = [
        Owner(
            owners[name],
            {"tumours": table},
            Policy(
                scientists=[SCIENTIST],
                identity=folder / f"{name}.json",
                roster=folder / "roster.json",
                adversary="active",
                minimum_cohort=3,
                minimum_group=10,
                compute=["count", "mean"],
            ),
        )
        for name, table in tables().items()
    ]
    run = submit_secure_sum(
        scientists,
        "tumours",
        QUERY,
        folder / "run",
        adversary="active",
        identity=folder / f"{SCIENTIST}.json",
        roster=folder / "roster.json",
    )
    for hospital in hospitals:
        (asked,) = hospital.pending()
        if hospital is hospitals[0]:
            print(asked, end="\n\n")
        hospital.approve(asked.run_id)  # once for the whole run
    while not run.done:
        for hospital in hospitals:
            hospital.answer()
        run.step()
    counted, mean = run.result(timeout=0)
    print(f"the sum of {run.survivors[0]} hospitals")
    for group, count, row in zip(counted.groups, counted.counts, mean.rows, strict=True):
        print(f"{group}: {count} tumours, mean radius {row.mean:.2f} (standard error {row.standard_error:.2f})")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary))
