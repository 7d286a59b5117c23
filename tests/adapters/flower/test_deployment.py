"""A real SuperLink and real SuperNodes on loopback, with TLS, an active adversary, and noise under the sum.

Four take part, and one of them is killed between its shares and its masked input. A fifth runs only code that an entity
it trusts has signed (`--trusted-entities`). Nobody signed the test app, so there it must not run at all. The training
halts when its privacy budget is spent; every node has a floor on the noise, and one counts its own budget.
"""

import json
import re
import ssl
import urllib.error
import urllib.request
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest

flwr = pytest.importorskip("flwr", reason="Flower is not installed: pip install -c constraints.txt -e '.[flower]'")
dp_accounting = pytest.importorskip("dp_accounting", reason="needs: pip install -c constraints.txt -e '.[train]'")

from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, ed25519  # noqa: E402
from cryptography.x509.oid import NameOID  # noqa: E402

from secagg.privacy.measured import standard_errors  # noqa: E402
from secagg.privacy.views import COLLUDING, FELLOW  # noqa: E402
from secagg.round import audit  # noqa: E402
from secagg_protocols import Identity, Roster  # noqa: E402

NODES, VICTIM, PINNED, LENGTH = 4, 2, 4, 1000
COUNTING = 0
"""The node that keeps a budget of its own."""
ROUNDS, EPSILON, DELTA, CLIP, FLOOR = 2, 8.0, 1e-3, 1.0, 0.5


def certificates(folder: Path) -> tuple[str, str, str]:
    """Make an authority and a certificate for this machine; return the paths (authority, certificate, key)."""
    from ipaddress import ip_address

    now = datetime.now().astimezone()
    authority, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def signed(name, issuer, key, *extensions):
        def named(text):
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        builder = x509.CertificateBuilder(named(issuer), named(name), key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    host = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    written = {
        "ca.pem": signed("authority", "authority", authority, (x509.BasicConstraints(True, None), True)),
        "own.pem": signed("localhost", "authority", own, (host, False)),
        "own.key": own.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    }
    for name, data in written.items():
        (folder / name).write_bytes(data)
    return tuple(str(folder / name) for name in written)


def consortium(folder: Path) -> None:
    """Make the identities and the roster; the server is entry 0, partition p is entry p + 1."""
    identities = [Identity.generate(f"party {own}") for own in range(NODES + 1)]
    Roster.of("x25519", [own.public(number) for number, own in enumerate(identities)]).save(folder / "roster.json")
    for number, identity in enumerate(identities):
        identity.save(folder / f"identity-{number}.json")


def trusted_entities(folder: Path) -> Path:
    """Write the list of one entity, which has signed nothing."""
    public = ed25519.Ed25519PrivateKey.generate().public_key()
    key = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    path = folder / "trusted-entities.yaml"
    path.write_text(f"fpk_7f4d: '{key} consortium'\n")
    return path


class Deployment:
    """The SuperLink and its SuperNodes."""

    def __init__(self, engine, folder: Path, ports: list[int]) -> None:
        self.engine, self.folder, (self.port, *self.node_ports) = engine, folder, ports
        self.tls = certificates(folder)
        authority, certificate, key = self.tls
        own = ("--ssl-ca-certfile", authority, "--ssl-certfile", certificate, "--ssl-keyfile", key)
        self._address = f"127.0.0.1:{self.port}"
        (engine.home / "config.toml").write_text(
            f'[superlink]\ndefault = "here"\n[superlink.here]\naddress = "{self._address}"\n'
            f'root-certificates = "{authority}"\n'
        )
        engine.start(
            "superlink",
            *("flower-superlink", *own, "--host", "127.0.0.1", "--port", str(self.port)),
            "--disable-runtime-dependency-installation",
        )
        self._wait_for_superlink()
        pinned = {PINNED: ("--trusted-entities", str(trusted_entities(folder)))}
        self.supernodes = [
            engine.start(
                f"supernode-{number}",
                *("flower-supernode", "--root-certificates", authority, *own, "--superlink", self._address),
                *("--host", "127.0.0.1", "--port", str(port), "--node-config", self._node_config(number)),
                *pinned.get(number, ()),
            )
            for number, port in enumerate(self.node_ports)
        ]

    def _node_config(self, number: int) -> str:
        if number == PINNED:
            return f"partition-id={number}"
        files = {
            "roster": self.folder / "roster.json",
            "identity": self.folder / f"identity-{number + 1}.json",
            "store": self.folder / f"store-{number}",
            "audit": self.folder / f"log-{number + 1}.jsonl",
        }
        rows = [f"partition-id={number}", "secagg-adversary='active'", "secagg-minimum-cohort=3"]
        rows.append(f"secagg-dp-minimum-multiplier={FLOOR}")
        if number == COUNTING:
            files["dp-ledger"] = self.folder / "node.privacy"
            rows += [f"secagg-dp-epsilon={EPSILON}", f"secagg-dp-delta={DELTA}"]
        return " ".join([*rows, *(f"secagg-{name}='{path}'" for name, path in files.items())])

    def _wait_for_superlink(self) -> None:
        trusted, until = ssl.create_default_context(cafile=self.tls[0]), monotonic() + 60
        while monotonic() < until:
            try:
                urllib.request.urlopen(f"https://{self._address}/health", context=trusted, timeout=2)
                return
            except urllib.error.HTTPError:
                return  # it answers
            except OSError:
                sleep(0.2)
        raise AssertionError(self.engine.log("superlink").read_text()[-4000:])


def test_one_supernode_is_killed_before_its_masked_input_and_one_runs_no_unsigned_code(
    flower_engine, free_ports, tmp_path, federated_average
):
    consortium(tmp_path)
    deployment = Deployment(flower_engine, tmp_path, free_ports(1 + NODES + 1))
    killed = []

    def power_cut():
        if not killed and (tmp_path / f"asked-1-{VICTIM}-SealedShares").exists():
            killed.append(deployment.supernodes[VICTIM])
            flower_engine.kill(deployment.supernodes[VICTIM])

    log = flower_engine.run_app(
        240,
        "--run-config",
        f"out='{tmp_path}' faults='1:{VICTIM}:SealedShares:wait' num-server-rounds={ROUNDS + 1} min-nodes={NODES + 1} "
        f"length={LENGTH} timeout=40.0 secagg-stage-timeout=40.0 secagg-adversary='active' "
        f"secagg-roster='{tmp_path / 'roster.json'}' secagg-identity='{tmp_path / 'identity-0.json'}' "
        f"secagg-audit='{tmp_path / 'log-0.jsonl'}' secagg-on-failure='return' "
        f"secagg-dp-epsilon={EPSILON} secagg-dp-delta={DELTA} secagg-dp-rounds={ROUNDS} secagg-dp-clip={CLIP} "
        f"secagg-dp-tolerated=1 secagg-dp-ledger='{tmp_path / 'server.privacy'}' "
        "secagg-clip=0.0 secagg-weight-max=0 secagg-value-bits=0",
        while_running=power_cut,
    )
    assert (tmp_path / "stopped").exists(), log[-4000:]
    assert (tmp_path / "stopped").read_text().startswith("the privacy budget is spent"), log[-4000:]
    assert killed, "the node was killed in the middle of the round"
    assert not list(tmp_path.glob(f"asked-*-{PINNED}-*")), "code that nobody signed ran on a node that pins it"
    assert "The FAB could not be verified" in flower_engine.log(f"supernode-{PINNED}").read_text()
    survivors = [own for own in range(NODES) if own != VICTIM]
    check_noise(tmp_path, survivors, federated_average)
    check_budgets(tmp_path, log)
    check_logs(tmp_path, rounds=ROUNDS)


def records(path: Path) -> list[dict]:
    return [json.loads(line)["record"] for line in path.read_text().splitlines()]


def check_noise(folder: Path, survivors: list[int], federated_average) -> None:
    """Each round's mean is that of the clipped updates, and as much noise as the server's ledger says."""
    for number, charge in enumerate([row for row in records(folder / "server.privacy") if row["stage"] == "summed"], 1):
        before, after = (np.load(folder / f"round-{at}.npy") for at in (number - 1, number))
        updates = [federated_average(before, [own])[0] - before for own in survivors]
        clipped = [update * min(1, CLIP / np.linalg.norm(update)) for update in updates]
        noise = (after - before - np.mean(clipped, axis=0)) * len(survivors)
        promised = (charge["multiplier"] * CLIP) ** 2
        assert abs(standard_errors(float(np.mean(noise**2)) / promised, LENGTH)) < 5
    np.testing.assert_array_equal(after, np.load(folder / f"round-{ROUNDS + 1}.npy"))


def check_budgets(folder: Path, log: str) -> None:
    """What is spent stands in the server's log and metrics, and in the node's ledger, which counts itself."""
    server, own = (records(folder / f"{name}.privacy") for name in ("server", "node"))
    assert [(row["round"], row["stage"]) for row in server] == [
        (number, stage) for number in range(1, ROUNDS + 1) for stage in ("asked", "summed")
    ]
    said = [float(found) for found in re.findall(r"'epsilon-server-with-colluders': '?([0-9.e+-]+)", log)]
    assert said[:ROUNDS] == pytest.approx([row["epsilon"] for row in server[1::2]], rel=1e-3)
    assert f"ε at δ={DELTA} after {ROUNDS} rounds: released model " in log
    assert [row["round"] for row in own] == list(range(1, ROUNDS + 1))
    for view in (COLLUDING, FELLOW):
        multipliers = [row["multiplier"] if view == COLLUDING else row["others"][view] for row in own]
        spent = dp_accounting.get_epsilon_gaussian(sum(one**-2 for one in multipliers) ** -0.5, DELTA)
        (ended,) = [row for row in records(folder / f"log-{COUNTING + 1}.jsonl")[-1:] if row["stage"] == "ended"]
        assert ended["epsilon"][view] == pytest.approx(spent, rel=1e-6)
    assert min(row["multiplier"] for row in own) > FLOOR
    assert FLOOR < own[-1]["epsilon"] <= EPSILON


def check_logs(folder: Path, rounds: int) -> None:
    """The server's log and each node's agree, and the model that came of a round is the one that the next was about."""
    roster = Roster.load(folder / "roster.json")
    paths = {entry.id: (folder / f"log-{entry.id}.jsonl", entry.public_key) for entry in roster.entries}
    logs = [audit.Log(path, list(audit.verify(path, key)), own) for own, (path, key) in paths.items()]
    assert audit.compare(logs) == []
    server = [line.record for line in logs[0].lines]
    assert [record["round"] for record in server] == list(range(1, rounds + 1))
    assert [later["model"] for later in server[1:]] == [earlier["model_after"] for earlier in server[:-1]]
    assert [log.lines[-1].record["stage"] for log in logs] == ["ended", "ended", "ended", "begun", "ended"]
    server[0]["model_after"] = "11" * 32
    other = replace(
        logs[0], lines=[replace(line, record=record) for line, record in zip(logs[0].lines, server, strict=True)]
    )
    (first, *_) = audit.compare([other, *logs[1:]])
    assert (first.path, first.number, first.subject[1], first.field) == (paths[0][0], 1, 1, "model_after")
