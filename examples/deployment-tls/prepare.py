"""Make what a deployment of four hospitals needs: certificates for TLS, everybody's signing key, and the roster.

Here one program makes it all, in a folder for each party. In earnest each makes its own key (`secagg identity new`) and
hands over the public line, certificates come from an authority that all trust, and nobody ever holds two folders.
"""

import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from secagg import Identity, Roster

HOSPITALS = ("north", "south", "east", "west")
DAYS = 30


def named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def write_secret(path: Path, data: bytes) -> None:
    """Write a file that nobody but its owner can read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)


@dataclass(frozen=True)
class Authority:
    """Signs certificates. Its key is never written: after this program no more can be signed."""

    key: ec.EllipticCurvePrivateKey

    def certificate(self, name: str, key: ec.EllipticCurvePublicKey, extension: x509.ExtensionType) -> bytes:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(named("consortium"), named(name), key, x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=DAYS))
        critical = isinstance(extension, x509.BasicConstraints)
        return builder.add_extension(extension, critical).sign(self.key, SHA256()).public_bytes(Encoding.PEM)

    def certify(self, party: Path, hosts: list[str]) -> None:
        """Give a party a key and a certificate for the machine that it runs on."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.certificate(
            party.name, key.public_key(), x509.SubjectAlternativeName(list(map(entry, hosts)))
        )
        (party / "tls.pem").write_bytes(certificate)
        write_secret(party / "tls.key", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def entry(host: str) -> x509.GeneralName:
    """Return how a certificate names a machine: by its address or by its name."""
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def node_config(party: Path, number: int) -> str:
    """Return what a SuperNode is started with: all that limits what this hospital accepts stands here."""
    own = {
        "secagg-adversary": "active",
        "secagg-roster": party / "roster.json",
        "secagg-identity": party / "identity.json",
        "secagg-store": party / "store",
        "secagg-audit": party / "log.jsonl",
    }
    place = f"partition-id={number} num-partitions={len(HOSPITALS)} secagg-minimum-cohort=3"
    return " ".join([place, *(f"{key}='{value}'" for key, value in own.items())])


def main(home: Path, hosts: list[str]) -> None:
    home.mkdir()
    home = home.resolve()
    authority = Authority(ec.generate_private_key(ec.SECP256R1()))
    root = authority.certificate("consortium", authority.key.public_key(), x509.BasicConstraints(True, 0))
    identities = [Identity.generate(name) for name in ("server", *HOSPITALS)]
    roster = Roster.of("x25519", [own.public(number) for number, own in enumerate(identities)])
    for number, own in enumerate(identities):
        party = home / own.name
        party.mkdir()
        (party / "ca.pem").write_bytes(root)
        authority.certify(party, hosts)
        own.save(party / "identity.json")
        roster.save(party / "roster.json")
        if number:
            (party / "node.config").write_text(node_config(party, number - 1), encoding="utf-8")
    print(f"{home.name}: the server and {len(HOSPITALS)} hospitals, certificates for {', '.join(hosts)}, {DAYS} days")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python prepare.py FOLDER [HOST…]   (FOLDER is made; by default localhost and 127.0.0.1)")
    main(Path(sys.argv[1]), sys.argv[2:] or ["localhost", "127.0.0.1"])
