"""A deployment: FLARE's server and three sites over mTLS, our parts installed by the sites, a server that may cheat.

One job is ours; the other is FLARE's own FedAvg on the same sites, which gets nothing from them.
"""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from nvflare.app_common.np.recipes.fedavg import NumpyFedAvgRecipe
from typer.testing import CliRunner

from secagg.adapters.flare import NumpySecAggRecipe
from secagg.cli.app import app
from secagg_protocols import Identity, Roster

SITES, ROUNDS = 3, 2
JOB_S = 60  # of one of three attempts to wait
MODEL = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
COMMON = {
    "model": MODEL,
    "min_clients": SITES,
    "num_rounds": ROUNDS,
    "train_script": str(Path(__file__).with_name("poc_client.py")),
}
STEP = 0.01 * sum(site**2 for site in range(1, SITES + 1)) / sum(range(1, SITES + 1))
"""What FLARE's own average adds to every weight in a round, by the weights that the script reports: 10 · site."""


def secagg(*arguments) -> str:
    ended = CliRunner().invoke(app, [str(one) for one in arguments])
    assert ended.exit_code == 0, ended.output
    return ended.output


def ask_every_site(config: Path) -> None:
    """Let FLARE's average go on where sites fail: it would end the job with the first, and ask no other."""
    held = json.loads(config.read_text(encoding="utf-8"))
    held["workflows"][0]["args"]["ignore_result_error"] = True
    config.write_text(json.dumps(held), encoding="utf-8")


@pytest.fixture(scope="module")
def deployed(shared_flare_engine, poc_module, programs_module):
    """Both jobs, each under its name: its id, and how it ended. Each side makes its own part ready; FLARE, which
    provisions the certificates in one place, knows nothing of the keys of the roster."""
    engine = shared_flare_engine
    poc = poc_module.Poc(engine, SITES, programs_module.free_port())
    keys = engine.home / "keys"
    keys.mkdir()
    identities = [Identity.generate(name, "x25519") for name in ("hub", *poc.sites)]
    roster = keys / "roster.json"
    Roster.of("x25519", [one.public(own) for own, one in enumerate(identities)]).save(roster)
    for one in identities:
        one.save(keys / one.name)
    for site in poc.sites:
        own = ["--identity", keys / site, "--audit", keys / f"{site}.jsonl"]
        secagg("flare", "site", poc.kits / site, "--adversary", "active", "--roster", roster, *own)
    server = {"roster": str(roster), "identity": str(keys / "hub"), "audit": str(keys / "hub.jsonl")}
    secure = NumpySecAggRecipe(
        name="secure", parts="site", adversary="active", clip=1.0, weight_max=100, **server, **COMMON
    )
    for recipe in (secure, NumpyFedAvgRecipe(name="plain", **COMMON)):
        recipe.export(str(engine.home / "jobs"))
    ask_every_site(engine.home / "jobs/plain/app/config/config_fed_server.json")
    poc.start()
    jobs = {name: poc.submit(engine.home / "jobs" / name) for name in ("secure", "plain")}
    return poc, jobs, {name: poc.status(job, JOB_S) for name, job in jobs.items()}


def test_the_training_completes_with_the_weighted_mean(deployed):
    poc, jobs, ended = deployed
    assert ended["secure"] == "FINISHED:COMPLETED", poc.log("site-1", jobs["secure"])[-4000:]
    model = np.load(io.BytesIO(poc.result(jobs["secure"]).read("models/server.npy")))
    assert np.abs(model - (np.array(MODEL) + ROUNDS * STEP)).max() < 1e-4


def test_flares_own_average_gets_nothing_and_each_sites_audit_log_says_why(deployed):
    poc, jobs, _ = deployed
    for site in poc.sites:
        assert "without a step of the protocol: this site gives no update" in poc.audit(site, jobs["plain"])
    files = poc.result(jobs["plain"])
    saved = [np.load(io.BytesIO(files.read(name))) for name in files.namelist() if name.endswith(".npy")]
    assert all((model == np.array(MODEL)).all() for model in saved)


def test_nothing_of_ours_travels_to_a_site(deployed):
    poc, jobs, _ = deployed
    files = poc.result(jobs["secure"])
    assert "secagg" not in files.read("app_server/config/config_fed_client.json").decode()
    (script,) = [name for name in files.namelist() if name.endswith(".py")]
    assert Path(script).name == "poc_client.py"


def test_the_signed_logs_of_all_parties_agree(deployed):
    poc, _, _ = deployed
    keys = poc.kits.parents[2] / "keys"
    others = [part for site in poc.sites for part in ("--against", keys / f"{site}.jsonl")]
    said = secagg("audit", "verify", keys / "hub.jsonl", "--roster", keys / "roster.json", *others)
    assert "4 logs agree on every round" in " ".join(said.split())
